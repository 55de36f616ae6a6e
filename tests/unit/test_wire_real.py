"""Real clients through the engine to a real server: what they see is what they would see directly."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import asyncpg
import psycopg
import pytest

from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.effects import Effect, Send, Side, StartTls
from hoopx_broker.wire.postgres.engine import Engine, Phase
from hoopx_broker.wire.postgres.frames import Framer
from hoopx_broker.wire.postgres.login import Upstream
from tests.peers.clients import psql, run
from tests.peers.postgres import Postgres
from tests.unit.wire_relay import Relay, no_drops, relaying
from tests.unit.wire_stage import (
    startup,
)

Connection = psycopg.Connection[tuple[Any, ...]]
Scene = Callable[[Connection], object]
LIMIT = 30.0


@pytest.fixture(scope="module")
def relay(postgres: Postgres) -> Iterator[Relay]:
    with relaying(postgres, no_drops) as relay:
        yield relay
    assert relay.broken == []


def both(postgres: Postgres, relay: Relay, scene: Scene) -> None:
    """Play it directly and through the engine; the outcomes must be equal, and not empty."""
    with (
        psycopg.connect(postgres.dsn(), autocommit=True) as direct,
        psycopg.connect(relay.dsn, autocommit=True) as ours,
    ):
        expected = scene(direct)
        assert expected
        assert scene(ours) == expected


def simple(connection: Connection) -> object:
    cursor = connection.execute("select id, name, created_at from customers order by id limit 5")
    return [column.name for column in cursor.description or ()], cursor.fetchall()


def with_parameters(connection: Connection) -> object:
    rows = [connection.execute("select %s::int, %s::text, %s", (n, "é" * n, None)).fetchall() for n in range(20)]
    return rows, connection.execute("select %b::int8", (7,), binary=True).fetchone()


def prepared(connection: Connection) -> object:
    return [
        connection.execute("select name from customers where id = %s", (n,), prepare=True).fetchall() for n in range(9)
    ]


def many(connection: Connection) -> object:
    cursor = connection.execute("create temp table many (n int, t text)")
    cursor.executemany("insert into many values (%s, %s) returning n", [(n, "x") for n in range(50)], returning=True)
    found = []
    while True:
        found += cursor.fetchall()
        if not cursor.nextset():
            return found


def pipelined(connection: Connection) -> object:
    with connection.pipeline() as pipeline:
        first = connection.execute("select 1")
        pipeline.sync()
        second = [connection.execute("select %s::int", (n,), prepare=True) for n in range(30)]
        pipeline.sync()
        third = [connection.execute("select %s::int", (n,), prepare=True) for n in range(30)]
        return first.fetchall(), [c.fetchall() for c in second], [c.fetchall() for c in third]


def failing_pipeline(connection: Connection) -> object:
    outcomes: list[object] = []
    try:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("select 1"), connection.execute("select 1/0"), connection.execute("select 2")]
            pipeline.sync()
            cursors.append(connection.execute("select 3"))
    except psycopg.Error as error:
        outcomes.append(error.sqlstate)
    outcomes.append(connection.info.transaction_status.name)
    outcomes.append(connection.execute("select 4").fetchall())
    return outcomes


def transactions(connection: Connection) -> object:
    outcomes: list[object] = []
    try:
        with connection.transaction():
            connection.execute("create temp table gone (n int)")
            with connection.transaction(force_rollback=True):
                connection.execute("insert into gone values (1)")
            outcomes.append(connection.execute("select count(*) from gone").fetchone())
            connection.execute("select 1/0")
    except psycopg.Error as error:
        outcomes.append(error.sqlstate)
    outcomes.append(connection.execute("select to_regclass('gone')").fetchone())
    return outcomes


def server_cursor(connection: Connection) -> object:
    with connection.transaction(), connection.cursor("c") as cursor:
        cursor.execute("select id, name from customers order by id")
        return cursor.fetchmany(7), cursor.fetchmany(7), cursor.fetchall()


def copies(connection: Connection) -> object:
    connection.execute("create temp table c (n int, t text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy c from stdin") as copy:
            for n in range(3000):
                copy.write_row((n, "x" * (n % 50)))
        with cursor.copy("copy c (n, t) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((1, "binary"))
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), cursor.copy("copy c from stdin") as copy:
            copy.write(b"not a number\tx\n")
        with pytest.raises(ZeroDivisionError), cursor.copy("copy c from stdin"):
            raise ZeroDivisionError
        with cursor.copy("copy (select * from c order by n, t limit %s) to stdout", (2500,)) as copy:
            data = b"".join(bytes(block) for block in copy)
    return data, connection.execute("select count(*) from c").fetchall()


def large(connection: Connection) -> object:
    rows = connection.execute("select n, repeat('x', n % 2000) from generate_series(1, 5000) n").fetchall()
    (huge,) = connection.execute("select repeat('y', 5000000)").fetchall()
    return rows, huge


def errors(connection: Connection) -> object:
    found = []
    for text in ["selec", "select nothing", "select 1/0", "select * from nowhere", "select 'x'::int", "select $1"]:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(text.encode())
        found.append((caught.value.sqlstate, str(caught.value)))
    return found


def notices(connection: Connection) -> object:
    heard: list[tuple[str | None, str | None]] = []
    connection.add_notice_handler(lambda diagnostic: heard.append((diagnostic.severity, diagnostic.message_primary)))
    connection.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
    return heard


def notifications(connection: Connection) -> object:
    connection.execute("listen chan")
    connection.execute("select pg_notify('chan', 'payload')")
    return [(told.channel, told.payload) for told in connection.notifies(timeout=LIMIT, stop_after=1)]


def results_of_a_script(connection: Connection) -> object:
    cursor = connection.execute("select 1; select 2, 3; set application_name to 'x'; select 4 where false")
    found = []
    while True:
        found.append((cursor.statusmessage, cursor.fetchall() if cursor.description else None))
        if not cursor.nextset():
            return found


@pytest.mark.parametrize(
    "scene",
    [
        simple,
        with_parameters,
        prepared,
        many,
        pipelined,
        failing_pipeline,
        transactions,
        server_cursor,
        copies,
        large,
        errors,
        notices,
        notifications,
        results_of_a_script,
    ],
)
def test_psycopg_sees_what_it_would_see_directly(postgres: Postgres, relay: Relay, scene: Scene) -> None:
    both(postgres, relay, scene)


def test_asyncpg_sees_what_it_would_see_directly(postgres: Postgres, relay: Relay) -> None:
    async def scene(port: int, user: str, password: str | None) -> list[object]:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user=user, password=password, database="app", ssl=False
        )
        try:
            return await acts(connection)
        finally:
            await connection.close()

    async def acts(connection: Any) -> list[object]:
        found: list[object] = [await connection.fetch("select id, name from customers order by id limit 9")]
        statement = await connection.prepare("select $1::int + 1 as n")
        found.append([await statement.fetchval(n) for n in range(5)])
        async with connection.transaction():
            found.append([row async for row in connection.cursor("select id from orders order by id", prefetch=7)])
            cursor = await connection.cursor("select id from orders order by id")
            found.append([await cursor.fetch(3), await cursor.fetch(4)])
        await connection.execute("create temp table a (n int, t text)")
        await connection.executemany("insert into a values ($1, $2)", [(n, "x") for n in range(100)])
        found.append(await connection.copy_records_to_table("a", records=[(1, "y"), (2, "z")]))
        found.append(await connection.fetchval("select count(*) from a"))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch("select 1/0")
        return [*found, await connection.fetch("select 1 as still")]

    expected = asyncio.run(scene(postgres.port, postgres.superuser, postgres.superuser_password))
    assert asyncio.run(scene(relay.port, "me", None)) == expected


def test_psql_sees_what_it_would_see_directly(postgres: Postgres, relay: Relay) -> None:
    commands = psql("\\d customers", "select count(*) from orders", "\\copy analytics_daily to stdout", "selec")
    environ = {"PGHOST": "127.0.0.1", "PGDATABASE": "app", "PGSSLMODE": "disable"}
    secret = {"PGUSER": postgres.superuser, "PGPASSWORD": postgres.superuser_password}
    direct = run(commands, environ | secret | {"PGPORT": str(postgres.port)})
    assert "identity" in direct.out
    assert run(commands, environ | {"PGUSER": "me", "PGPORT": str(relay.port)}) == direct


def test_a_denied_statement_is_not_in_the_log_of_the_server(postgres: Postgres, relay: Relay) -> None:
    since = postgres.log_position()
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        for prepare in (False, True):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no-drops"):
                connection.execute("drop table orders", prepare=prepare)
        assert connection.execute("select count(*) from orders").fetchone() == (400,)
    assert "drop table" not in postgres.log(since)


def test_a_running_statement_can_be_cancelled(relay: Relay) -> None:
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        timer = threading.Timer(0.5, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60)")
        timer.join()
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_login_proves_itself_over_tls_bound_to_the_certificate(postgres: Postgres) -> None:
    """The database `tls_only` takes nobody without TLS. What a stage plays in one process, a socket does here."""
    context = ssl.create_default_context(cafile=str(postgres.ca))
    credential = DatabaseLogin(postgres.superuser, Secret(postgres.superuser_password))
    engine = Engine(StreamId("t_1"), "prod", Upstream(credential, "tls_only", tls=True), b"hoopxkey", b"n" * 18)
    framer, bare = Framer(Side.BACKEND), socket.create_connection((postgres.host, postgres.port), LIMIT)
    with bare:
        (hello,) = Framer(Side.CLIENT).feed(startup(user="me"))
        bare.sendall(_for_backend(engine.on_frame(Side.CLIENT, hello)))
        framer.expect_tls_answer()
        (answer,) = framer.feed(bare.recv(100))
        assert engine.on_frame(Side.BACKEND, answer) == [StartTls()]
        with context.wrap_socket(bare, server_hostname="localhost") as secured:
            certificate = secured.getpeercert(binary_form=True) or b""
            said = _for_backend(engine.on_tls(sha256(certificate).digest()))
            assert b"SCRAM" not in said
            everything = said
            while engine.phase is Phase.LOGIN:
                secured.sendall(said)
                heard = framer.feed(secured.recv(65536))
                said = b"".join(_for_backend(engine.on_frame(Side.BACKEND, frame)) for frame in heard)
                everything += said
    assert engine.phase is Phase.READY
    assert b"SCRAM-SHA-256-PLUS" in everything
    assert postgres.superuser_password.encode() not in everything


def _for_backend(effects: list[Effect]) -> bytes:
    return b"".join(effect.data for effect in effects if isinstance(effect, Send) and effect.side is Side.BACKEND)
