"""At the end of a lease a real server is asked: what is logged in is cut, and the login must be refused."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from msgspec.structs import replace

from hoopx_broker.session.parting import PostgresParting
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import AwsKeys, DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

USER, PASSWORD = "parting_probe", "a-long-enough-password"
LOGIN = DatabaseLogin(USER, Secret(PASSWORD))
DOOR = PostgresParting()


def target_on(server: Postgres) -> Target:
    tls = UpstreamTls("verify-full", str(server.ca))
    return Target("db", "postgres", server.host, server.port, server.database, tls, "double")


@pytest.fixture
def role(postgres: Postgres) -> Iterator[Target]:
    postgres.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    yield target_on(postgres)
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'")
    postgres.sql(f"DROP ROLE IF EXISTS {USER}")


def is_refused(target: Target, login: DatabaseLogin = LOGIN) -> bool:
    async def ask() -> bool:
        try:
            return await DOOR.is_refused(login, target)
        finally:
            await asyncio.sleep(0.01)  # the transport closes a turn of the loop later

    return asyncio.run(ask())


def test_a_login_that_works_is_not_refused_and_leaves_no_connection(postgres: Postgres, role: Target) -> None:
    assert not is_refused(role)
    eventually(lambda: postgres.backends(USER) == [], "the probe's connection is gone")


@pytest.mark.parametrize(
    "statement",
    [
        f"DROP ROLE {USER}",
        f"ALTER ROLE {USER} NOLOGIN",
        f"ALTER ROLE {USER} PASSWORD 'another'",
        f"ALTER ROLE {USER} VALID UNTIL '2001-01-01'",
    ],
    ids=["dropped", "barred", "another password", "expired"],
)
def test_whatever_ended_it_the_login_is_refused(postgres: Postgres, role: Target, statement: str) -> None:
    postgres.sql(statement)
    assert is_refused(role)


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_every_way_to_the_server_tells_it(postgres: Postgres, role: Target, mode: str) -> None:
    there = replace(role, tls=UpstreamTls(mode))  # type: ignore[arg-type]
    assert not is_refused(there)
    postgres.sql(f"ALTER ROLE {USER} NOLOGIN")
    assert is_refused(there)


def test_no_other_failure_passes_for_a_refusal(postgres: Postgres, role: Target) -> None:
    """Who cannot get in for want of a connection, a database or a certificate gets in tomorrow."""
    postgres.sql(f"ALTER ROLE {USER} CONNECTION LIMIT 0")
    foreign = UpstreamTls("verify-full", str(postgres.foreign_ca))
    places = (role, replace(role, database="no_such_database"), replace(role, tls=foreign))
    for there in (*places, replace(role, port=nobody_listens())):
        with pytest.raises(BackendFailed, match="`db` could not be asked") as caught:
            is_refused(there)
        assert PASSWORD not in caught.value.message


@pytest.mark.parametrize("said", [b"", b"S", b"X", b"N", b"E\0\0\0\x0bC28P01\0\0"])
def test_strangers_at_the_address_confirm_nothing(said: bytes) -> None:
    """Even the code of a refusal counts only after TLS."""
    with answering(said) as port:
        there = Target("db", "postgres", "127.0.0.1", port, "app", UpstreamTls("require"), "double")
        with pytest.raises(BackendFailed, match="could not be asked"):
            is_refused(there)


def test_everything_that_is_logged_in_is_cut(postgres: Postgres, role: Target) -> None:
    with busy(postgres, "SELECT pg_sleep(1000)"), busy(postgres, "SELECT count(*) FROM generate_series(1, 1e12)"):
        eventually(lambda: len(postgres.backends(USER)) == 2, "both are at work")
        asyncio.run(DOOR.cut(LOGIN, role))
        eventually(lambda: postgres.backends(USER) == [], "nobody is left")


def test_there_is_nothing_to_cut_where_the_login_is_refused(postgres: Postgres, role: Target) -> None:
    postgres.sql(f"ALTER ROLE {USER} NOLOGIN")
    asyncio.run(DOOR.cut(LOGIN, role))


def test_what_cannot_be_cut_is_told_without_the_password(role: Target) -> None:
    with pytest.raises(BackendFailed) as caught:
        asyncio.run(DOOR.cut(LOGIN, replace(role, port=nobody_listens())))
    assert PASSWORD not in caught.value.message


def test_keys_are_not_for_a_database(role: Target) -> None:
    with pytest.raises(TypeError):
        asyncio.run(DOOR.is_refused(AwsKeys("AKIA", Secret("x")), role))


@contextmanager
def busy(server: Postgres, statement: str) -> Iterator[None]:
    with psycopg.connect(server.dsn(USER, PASSWORD), autocommit=True) as connection:

        def run() -> None:
            with pytest.raises(psycopg.OperationalError):
                connection.execute(statement.encode())

        thread = threading.Thread(target=run)
        thread.start()
        yield
        thread.join(20)
        assert not thread.is_alive()


def nobody_listens() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def answering(said: bytes) -> Iterator[int]:
    """A server that says one thing and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1024)
                client.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)
