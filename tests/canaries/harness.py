"""The broker in this process, between a client of bytes and a real PostgreSQL: all that is sent or recorded is kept."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.seams.judge import Judge
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.court import Bench, Court, Start
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms import entries
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.masks import Masks
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import frames
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.frames import Framer
from hoopx_broker.wire.postgres.login import Upstream
from tests.canaries.schemas import Schema
from tests.canaries.turns import Heard, Turn, no_data, said
from tests.canaries.values import Watch
from tests.peers.postgres import Postgres
from tests.unit import wire_stage as say

POLICIES = Path(__file__).parents[2] / "policies"
ANN = Principal("ann", "human", ("developers",))
# Far longer than `statement_timeout`, which ends what a grammar makes endless.
PATIENCE = 30.0
_SETTINGS = ("statement_timeout = '3s'", "lock_timeout = '1s'", "jit = off", "max_parallel_workers_per_gather = 0")
# All that masks promise, they promise without the help of any rule.
_PERMISSIVE = '@id("all") permit (principal, action in [Action::"query", Action::"connect"], resource);'
_T = TypeVar("_T")


class Client:
    """The tunnel's end of a stream. Answers a server that wants the data of a COPY with none."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.turned = asyncio.Event()
        self.is_closed = False
        self.ready = 0
        self.wants_data = False
        self._framer = Framer(Side.BACKEND)

    def send(self, data: bytes) -> None:
        self.sent += data
        for frame in self._framer.feed(data):
            self.ready += frame.kind == frames.READY
            self.wants_data |= frame.kind == frames.COPY_IN
        self.turned.set()

    def pause(self) -> None: ...
    def resume(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True
        self.turned.set()


class Broker:
    """One session of a developer, on a database of its own. Everything is called from outside of the event loop."""

    def __init__(
        self,
        server: Postgres,
        schema: Schema,
        *,
        permissive: bool = False,
        masks: Masks = Masks(),
        database: str = "nest",
    ) -> None:
        self.schema = schema
        self.watch = Watch(schema.canaries)
        self.failures: list[str] = []
        self._server = server
        self._database = database
        self._masks = masks
        self._loop = asyncio.new_event_loop()
        self._judge = _judge(permissive=permissive)
        self._crew = Crew(lambda name, error: self.failures.append(f"{name}: {error!r}"))
        self._reader = StatementReader()
        self._streams = 0
        self._recorded: list[entries.Entry] = []
        self._told: list[str] = []
        self._catalog: CatalogReader | None = None
        self._stream: tuple[Pump, Client] | None = None
        try:
            self._hatch()
        except BaseException:
            self.close()
            raise

    # The database.

    def _hatch(self) -> None:
        """Make the database that each fresh one is a copy of."""
        self._drop(self._egg)
        self._server.sql(f"CREATE DATABASE {self._egg}", database="postgres")
        for text in self.schema.setup:
            self._server.sql(text.format(database=self._egg) if "{database}" in text else text, database=self._egg)
        self.renew()

    @property
    def _egg(self) -> str:
        return f"{self._database}_egg"

    def _drop(self, name: str) -> None:
        self._server.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", database="postgres")

    def renew(self) -> None:
        """Begin again with a fresh database and a new session."""
        self.hang_up()
        if self._catalog is not None:
            self._run(self._catalog.close())
        self._drop(self._database)
        self._server.sql(f"CREATE DATABASE {self._database} TEMPLATE {self._egg}", database="postgres")
        for setting in (*_SETTINGS, *self._path()):
            self._server.sql(f"ALTER DATABASE {self._database} SET {setting}", database="postgres")
        self._run(self._open())

    def _path(self) -> list[str]:
        """A copy of a database does not take its settings along."""
        found = self._server.sql(
            "SELECT setconfig::text[] FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
            f" WHERE d.datname = '{self._egg}'"
        )
        return [each.replace("=", " = ", 1) for (settings,) in found for each in settings]

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Past the broker."""
        return self._server.sql(text, database=self._database)

    async def _open(self) -> None:
        server = self._server
        self.target = Target(
            "nest", "postgres", server.host, server.port, self._database, UpstreamTls("disable"), "static",
            {"env": "dev"}, self.schema.classify, masks=self._masks,
        )  # fmt: skip
        self._credential = DatabaseLogin(server.superuser, Secret(server.superuser_password))
        self._catalog = reader = CatalogReader(self.target, self._credential, self._crew, self._reader)
        bench = Bench(
            lambda: self._judge, self._reader, reader.catalog, _ask_nobody, Ground(), time.time,
            find_function=reader.function,
        )  # fmt: skip
        start = Start(await reader.search_path(), server.superuser)
        catalog = await bench.ground.at(int(time.time()) // 60, bench.read_catalog)
        self._court = Court(bench, ANN, self.target, catalog, start)

    # The stream.

    def hang_up(self) -> None:
        """The next turn is the first of a new stream."""
        if self._stream is not None:
            pump, _ = self._stream
            self._stream = None
            self._run(_leave(pump))

    def say(self, turn: Turn) -> Heard:
        """One turn, and everything until the server is ready again or the stream is over."""
        return self._run(self._say(turn))

    async def _say(self, turn: Turn) -> Heard:
        pump, client = await self._connected()
        data, awaited = said(turn)
        sent, recorded, told = len(client.sent), len(self._recorded), len(self._told)
        due = client.ready + awaited
        pump.client_says(data)
        await _until(client, due, lambda: pump.client_says(no_data(turn)))
        return Heard(bytes(client.sent[sent:]), tuple(self._recorded[recorded:]), tuple(self._told[told:]))

    async def _connected(self) -> tuple[Pump, Client]:
        if self._stream is None or self._stream[1].is_closed:
            self._streams += 1
            client = Client()
            upstream = Upstream(self._credential, self._database, tls=False)
            engine = Engine(StreamId(f"t_{self._streams}"), "nest", upstream, b"k" * 36, b"n" * 18)
            around = Surroundings(
                self.target, self._court.hear(), self._crew, self._recorded.extend, self._tell, _cancel, lambda _: None
            )
            self._stream = Pump(engine, client, around, tls=False), client
            self._stream[0].client_says(say.startup(user="ann"))
            await _until(client, 1, lambda: None)
        return self._stream

    def _tell(self, kind: str, text: str) -> None:
        self._told.append(f"{kind}: {text}")

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(asyncio.wait_for(work, PATIENCE))

    def close(self) -> None:
        self.hang_up()
        if self._catalog is not None:
            self._run(self._catalog.close())
        self._run(self._reader.close())
        self._run(self._crew.close())
        self._loop.close()
        self._drop(self._database)
        self._drop(self._egg)


class Direct:
    """The same client, straight to the server, as somebody whom it lets in without a password."""

    USER = "direct"

    def __init__(self, server: Postgres, database: str = "nest") -> None:
        self._socket = socket.create_connection((server.host, server.port), PATIENCE)
        self._client = Client()
        self._socket.sendall(say.startup(user=self.USER, database=database))
        self._until(1)

    @classmethod
    def let_in(cls, server: Postgres) -> None:
        server.sql(f"CREATE ROLE {cls.USER} LOGIN SUPERUSER")
        server.let_in(f"host all {cls.USER} 127.0.0.1/32 trust")

    def say(self, turn: Turn) -> Heard:
        data, awaited = said(turn)
        sent, due = len(self._client.sent), self._client.ready + awaited
        self._socket.sendall(data)
        self._until(due)
        return Heard(bytes(self._client.sent[sent:]))

    def _until(self, ready: int) -> None:
        while self._client.ready < ready:
            data = self._socket.recv(65_536)
            assert data, "the server closed the connection"
            self._client.send(data)

    def close(self) -> None:
        self._socket.close()


def _judge(*, permissive: bool) -> Judge:
    if not permissive:
        return CedarJudge(load(POLICIES))
    with tempfile.TemporaryDirectory(prefix="canaries-") as place:
        Path(place, "all.cedar").write_text(_PERMISSIVE)
        return CedarJudge(load(Path(place)))


async def _leave(pump: Pump) -> None:
    pump.client_left()
    await asyncio.sleep(0)


async def _until(client: Client, ready: int, supply: Callable[[], None]) -> None:
    """Wait for that many ReadyForQuery, or for the end of the stream."""
    while client.ready < ready and not client.is_closed:
        client.turned.clear()
        if client.wants_data:
            client.wants_data = False
            supply()
        else:
            await client.turned.wait()


async def _ask_nobody(*_: Any) -> tuple[frozenset[str], str] | Deny:
    return Deny("nobody is here", "nest")


async def _cancel(_: bytes) -> None:
    """Nobody cancels anything here."""
