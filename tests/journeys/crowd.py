"""Many sessions in one process, opened and left by the messages of the `hoopx` command; killed, it leaves them all.

Run as a module. `CROWD` in its environment is a `Crowd` as JSON. It says each thing on a line of its own:
`opened SECONDS` for each session, `ready` when all run their statement, and `ended REASON` for each that the broker
ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Ended, Open, Opened
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import SESSION, STREAM, Broker, Control, open_control, open_stream
from hoopx_broker.wire.postgres import messages
from hoopx_cli import settings as cli_settings
from hoopx_cli import trust
from hoopx_cli.credential import Credential
from tests.journeys.stage import Running, Stage

_READY = b"Z\0\0\0\5I"  # ReadyForQuery, outside of a transaction


class Crowd(Struct, frozen=True):
    """`sql` runs in every session; empty for sessions without a client. `at_once` are opened side by side."""

    target: str
    count: int
    sql: str = ""
    at_once: int = 8


class _Client:
    """A native client behind a stream, which hears only whether it may go on."""

    def __init__(self) -> None:
        self.is_ready = asyncio.Event()
        self._heard = b""

    def far_says(self, data: bytes) -> None:
        self._heard += data
        if self._heard.endswith(_READY):
            self.is_ready.set()

    def far_is_full(self) -> None:
        pass

    def far_has_room(self) -> None:
        pass

    def far_ended(self, reason: str) -> None:
        pass


def gathered(stage: Stage, crowd: Crowd, who: str) -> Running:
    """The crowd of one person beside the scene; whoever asks for it ends it."""
    said = {"CROWD": msgspec.json.encode(crowd).decode()}
    return Running([sys.executable, "-m", __name__], stage.environment(who, **said), stage.home)


async def _hold(crowd: Crowd, broker: Broker, credential: Credential, turn: asyncio.Semaphore) -> Control:
    async with turn:
        begun = time.perf_counter()
        control = await open_control(broker, credential.headers("GET", broker.url + SESSION))
        control.say(Open(crowd.target))
        opened = await control.hear()
        assert isinstance(opened, Opened), opened
        _say(f"opened {time.perf_counter() - begun:.4f}")
        if crowd.sql:
            await _run(crowd, broker, credential.of_grant(Secret(opened.grant)))
        return control


async def _run(crowd: Crowd, broker: Broker, grant: Credential) -> None:
    client = _Client()
    stream = await open_stream(broker, grant.headers("GET", broker.url + STREAM), client)
    stream.send(messages.startup({"user": "crowd", "database": "app"}))
    await client.is_ready.wait()
    stream.send(messages.query(crowd.sql.encode()))


async def _follow(control: Control) -> None:
    while (said := await control.hear()) is not None:
        if isinstance(said, Ended):
            _say(f"ended {said.reason}")
            break
    await control.close()


async def _stay(crowd: Crowd) -> None:
    environ = dict(os.environ)
    settings = cli_settings.read(cli_settings.Flags(), environ)
    broker = Broker(settings.broker, trust.context(settings))
    credential = Credential(Secret(environ["HOOPX_TOKEN"]), ProofKey.create(), "Bearer")
    turn = asyncio.Semaphore(crowd.at_once)
    controls = await asyncio.gather(*(_hold(crowd, broker, credential, turn) for _ in range(crowd.count)))
    _say("ready")
    await asyncio.gather(*(_follow(control) for control in controls))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_stay(msgspec.json.decode(os.environ["CROWD"], type=Crowd)))
