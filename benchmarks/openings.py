"""How long a session takes to open: by the API as the CLI uses it, and as a person sees it, with Python's start-up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from benchmarks.ground import TARGET, BenchStage, Ground
from hoopx_broker.api.messages import Ended, Hangup, Open, Opened
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import SESSION, Broker, open_control
from hoopx_cli import settings as cli_settings
from hoopx_cli import trust
from hoopx_cli.credential import Credential

# Seconds, one for each time.
Samples = dict[str, list[float]]

OPENING, ENDED = "opening, warm (API)", "opening and end, warm (API)"
COLD, START = "opening, the first of a fresh broker (API)", "a broker's start"
EXEC = "`hoopx exec … -- true`"
RATE = "sessions opened and ended a second"
AT_ONCE = 8


def measure_openings(on: Ground, times: int) -> Samples:
    """The warm ones one after the other; the commands, which take far longer, a fifth as often."""
    environ = on.stage.environment("ann")
    broker, credential = _caller(environ)
    found: Samples = {OPENING: [], ENDED: [], EXEC: []}
    for turn in range(times):
        opened, ended = asyncio.run(_open(broker, credential))
        found[OPENING].append(opened)
        found[ENDED].append(ended)
        if turn % 5 == 0:
            found[EXEC].append(_exec(on, environ))
    return found


def measure_cold(on: Ground, times: int) -> Samples:
    """By a broker of its own that is started anew each time, on the state that it has."""
    found: Samples = {START: [], COLD: []}
    stage = BenchStage(on.home / "cold", on.postgres)
    for _ in range(times):
        begun = time.perf_counter()
        stage.start_broker()
        try:
            found[START].append(time.perf_counter() - begun)
            found[COLD].append(asyncio.run(_open(*_caller(stage.environment("ann"))))[0])
        finally:
            stage.stop_broker()
    return found


def measure_rate(on: Ground, sessions: int) -> float:
    """Sessions a second where eight at a time open and end at once, each with a role of its own."""
    broker, credential = _caller(on.stage.environment("ann"))
    asyncio.run(_open_many(broker, credential, AT_ONCE))
    begun = time.perf_counter()
    asyncio.run(_open_many(broker, credential, sessions))
    return sessions / (time.perf_counter() - begun)


def _caller(environ: Mapping[str, str]) -> tuple[Broker, Credential]:
    settings = cli_settings.read(cli_settings.Flags(), environ)
    broker = Broker(settings.broker, trust.context(settings))
    return broker, Credential(Secret(environ["HOOPX_TOKEN"]), ProofKey.create(), "Bearer")


async def _open_many(broker: Broker, credential: Credential, sessions: int) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with turn:
            await _open(broker, credential)

    await asyncio.gather(*(one() for _ in range(sessions)))


async def _open(broker: Broker, credential: Credential) -> tuple[float, float]:
    begun = time.perf_counter()
    control = await open_control(broker, credential.headers("GET", broker.url + SESSION))
    try:
        control.say(Open(TARGET))
        said = await control.hear()
        assert isinstance(said, Opened), said
        opened = time.perf_counter() - begun
        control.say(Hangup())
        said = await control.hear()
        assert isinstance(said, Ended), said
        return opened, time.perf_counter() - begun
    finally:
        await control.close()


def _exec(on: Ground, environ: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    on.stage.hoopx("exec", TARGET, "--", "true", **environ).fine()
    return time.perf_counter() - begun
