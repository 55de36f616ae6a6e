"""What is killed: pump, court and recorder on a port of their own, in a process of their own, before a real server."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import uvloop
from msgspec import Struct

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.court import Bench, Court, Start
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.ids import new_stream_id
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.login import Upstream

POLICIES = Path(__file__).parents[2] / "policies"
ANN = Principal("ann", "human", ("developers",))


class Life(Struct, frozen=True):
    """Where the server is, which session this is, and where its recording goes."""

    host: str
    port: int
    database: str
    user: str
    password: str
    session: str
    recordings: Path
    key: Path

    def target(self) -> Target:
        return Target(
            "shop", "postgres", self.host, self.port, self.database, UpstreamTls("disable"), "static", {"env": "dev"}
        )


def live(life: Life, ready: Connection) -> None:
    """Serve until killed. The port goes through `ready` once everything is there."""
    uvloop.run(_serve(life, ready))


async def _serve(life: Life, ready: Connection) -> None:
    target, login = life.target(), DatabaseLogin(life.user, Secret(life.password))
    opened = Opened(
        life.session, ANN, target.name, "postgres", life.database, "", "", "", time.time(), time.time() + 60
    )
    recorder = Recorder.create(life.recordings, opened, EvidenceKey.load_or_create(life.key, "kills"), time.monotonic)
    crew, reader, judge = Crew(_fail), StatementReader(), CedarJudge(load(POLICIES))
    catalog = CatalogReader(target, login, crew, reader)
    bench = Bench(
        lambda: judge, reader, catalog.catalog, _ask_nobody, Ground(), time.time, find_function=catalog.function
    )
    start = Start(await catalog.search_path(), login.user)
    court = Court(bench, ANN, target, await bench.ground.at(int(time.time()) // 60, bench.read_catalog), start)

    def stream() -> Stream:
        upstream = Upstream(login, life.database, tls=False)
        engine = Engine(new_stream_id(), target.name, upstream, b"k" * 36, b"n" * 18)
        around = Surroundings(target, court.hear(), crew, recorder.write, _say_nothing, _cancel, lambda _: None)
        return Stream(engine, around)

    server = await asyncio.get_running_loop().create_server(stream, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class Stream(asyncio.Protocol):
    """A client's socket, as the tunnel's end that a pump wants."""

    def __init__(self, engine: Engine, around: Surroundings) -> None:
        self._pump = Pump(engine, self, around, tls=False)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._pump.client_says(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._pump.client_left()

    def pause_writing(self) -> None:
        self._pump.client_is_full()

    def resume_writing(self) -> None:
        self._pump.client_has_room()

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def pause(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()

    def resume(self) -> None:
        assert self._transport is not None
        self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _fail(name: str, error: BaseException) -> None:
    raise RuntimeError(f"{name} failed") from error


def _say_nothing(_: str, __: str) -> None:
    """Nobody sits at this session."""


async def _ask_nobody(*_: Any) -> tuple[frozenset[str], str] | Deny:
    return Deny("nobody is here", "nobody")


async def _cancel(_: bytes) -> None:
    """Nobody cancels anything here."""
