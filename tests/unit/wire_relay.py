"""The engine between real clients and a real server: one thread for each stream, sockets on loopback."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from hoopx_broker.masking.hidden import hide
from hoopx_broker.masking.plan import OPEN, Plan, doubting, plan
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.names import resolve
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.entries import Entry
from hoopx_broker.terms.facts import FunctionName, Unreadable
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Cancel, Close, Effect, FindFunction, Judge, Note, Passage, Send, Side
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.frames import Frame, Framer
from hoopx_broker.wire.postgres.login import Upstream
from hoopx_broker.wire.postgres.messages import cancel_request
from tests.peers.postgres import Postgres

Ruler = Callable[[Judge], Passage | Deny]
KEY = b"\0\0\0\1hpx!"
CHUNK = 64 * 1024
PATIENCE = 60.0  # seconds until a silent stream is given up; what is said here takes milliseconds


def allow_all(asked: Judge) -> Passage | Deny:
    return Passage(Allow(), OPEN)


def no_drops(asked: Judge) -> Passage | Deny:
    if b"drop table" in asked.text.lower():
        return Deny("no drops", "no-drops")
    return allow_all(asked)


class Masker:
    """Rules as a broker does that hides columns: facts of the statement, then the plan."""

    def __init__(self, columns: Mapping[ColumnName, str], catalog: Catalog) -> None:
        self._catalog = catalog
        self.hidden = hide(columns, catalog)

    @property
    def doubt(self) -> Plan:
        return doubting(self.hidden)

    def __call__(self, asked: Judge) -> Passage | Deny:
        facts = read(asked.text)
        if isinstance(facts, Unreadable):
            return Deny(facts.reason, "parse")
        if not facts:
            return Passage(Allow(), self.doubt)
        planned = plan(resolve(facts, self._catalog), self.hidden)
        if isinstance(planned, Deny):
            return planned
        defines = tuple(statement.defines for statement in facts if statement.defines is not None)
        return Passage(Allow(), planned, defines)


def catalog_of(postgres: Postgres, columns: Mapping[ColumnName, str]) -> Catalog:
    """The catalog as a broker reads it."""
    tls = UpstreamTls("verify-full", str(postgres.ca))
    target = Target(
        "shop", "postgres", postgres.host, postgres.port, postgres.database, tls, "", classify=dict(columns)
    )
    login = DatabaseLogin(postgres.superuser, Secret(postgres.superuser_password))

    async def read_it() -> Catalog:
        crew, statements = Crew(lambda name, error: None), StatementReader()
        reader = CatalogReader(target, login, crew, statements)
        try:
            return await reader.catalog()
        finally:
            await reader.close()
            await statements.close()
            await crew.close()

    return asyncio.run(read_it())


class Relay:
    """Listens on a port of the kernel's choosing. `notes` is what would be recorded, `broken` what was wrong."""

    def __init__(self, postgres: Postgres, rule: Ruler, doubt: Plan = OPEN, user: str = "", password: str = "") -> None:
        self._postgres = postgres
        self._rule = rule
        self._doubt = doubt
        self._credential = DatabaseLogin(user or postgres.superuser, Secret(password or postgres.superuser_password))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.notes: list[Entry] = []
        self.broken: list[str] = []
        self._threads: list[threading.Thread] = []
        self._server_keys: list[bytes] = []

    @property
    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=me dbname=app sslmode=disable connect_timeout=30"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._stream, args=(client,))
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _stream(self, client: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(client)
            backend = stack.enter_context(socket.create_connection((self._postgres.host, self._postgres.port)))
            _Stream(self, client, backend).run()

    def engine(self) -> Engine:
        upstream = Upstream(self._credential, self._postgres.database, tls=False)
        engine = Engine(StreamId("t_1"), "prod", upstream, KEY, b"n" * 18)
        engine.doubt = self._doubt
        return engine

    def rule(self, asked: Judge) -> Passage | Deny:
        return self._rule(asked)

    def function(self, oid: int) -> FunctionName | None:
        rows = self._postgres.sql(
            "SELECT n.nspname::text, p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            f" WHERE p.oid = {oid}"
        )
        return FunctionName(*rows[0]) if rows else None

    def opened(self, server_key: bytes) -> None:
        self._server_keys.append(server_key)

    def cancel(self) -> None:
        """Hand a cancel request on for the newest stream."""
        with socket.create_connection((self._postgres.host, self._postgres.port)) as backend:
            backend.sendall(cancel_request(self._server_keys[-1]))
            backend.recv(1)


class _Stream:
    def __init__(self, relay: Relay, client: socket.socket, backend: socket.socket) -> None:
        self._relay = relay
        self._engine = relay.engine()
        self._sockets = {Side.CLIENT: client, Side.BACKEND: backend}
        self._framers = {side: Framer(side) for side in Side}
        self._waiting: deque[Frame] = deque()
        self._closing = False

    def run(self) -> None:
        sides = {self._sockets[side].fileno(): side for side in Side}
        for each in self._sockets.values():
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self._closing:
            readable, _, _ = select.select(list(sides), [], [], PATIENCE)
            if not readable:
                return
            for number in readable:
                if not self._closing:
                    self._hear(sides[number])

    def _hear(self, side: Side) -> None:
        try:
            data = self._sockets[side].recv(CHUNK)
        except OSError:
            data = b""
        try:
            if not data:
                self._perform(self._engine.on_end(side))
                return
            for frame in self._framers[side].feed(data):
                if side is Side.CLIENT:
                    self._waiting.append(frame)
                else:
                    self._perform(self._engine.on_frame(side, frame))
            while self._waiting and self._engine.takes(self._waiting[0]):
                self._perform(self._engine.on_frame(Side.CLIENT, self._waiting.popleft()))
        except BrokenPeer as error:
            self._relay.broken.append(str(error))
            self._perform(self._engine.fail(str(error)))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(side, data):
                    with suppress(OSError):
                        self._sockets[side].sendall(data)
                case Note(entry):
                    self._relay.notes.append(entry)
                case Judge():
                    self._perform(self._engine.on_ruling(self._relay.rule(effect)))
                case FindFunction(oid):
                    self._perform(self._engine.on_function(self._relay.function(oid)))
                case Cancel():
                    self._relay.cancel()
                case Close():
                    self._closing = True
                case _:
                    raise AssertionError(effect)
        if self._engine.server_key:
            self._relay.opened(self._engine.server_key)


@contextmanager
def relaying(
    postgres: Postgres, rule: Ruler = allow_all, doubt: Plan = OPEN, user: str = "", password: str = ""
) -> Iterator[Relay]:
    relay = Relay(postgres, rule, doubt, user, password)
    accepting = threading.Thread(target=relay.serve)
    accepting.start()
    try:
        yield relay
    finally:
        relay.close()
        accepting.join(PATIENCE)


@contextmanager
def masking(postgres: Postgres, columns: Mapping[ColumnName, str]) -> Iterator[Relay]:
    """A relay that hides these columns, to somebody with every right in the database."""
    masker = Masker(columns, catalog_of(postgres, columns))
    with relaying(postgres, masker, masker.doubt) as relay:
        yield relay
