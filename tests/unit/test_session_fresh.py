"""Logins that live for minutes: each connection gets its own, also when it is two kilobytes of a clear password."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import LeaseId, StreamId
from hoopx_broker.terms.leases import Credential, DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.login import Upstream
from tests.peers.postgres import Postgres
from tests.unit.leases_stage import SourceDouble, order, stage
from tests.unit.test_session_pump import READY, Bench, Link

USER = "iam_reader"
TOKEN = "token-" + "0123456789abcdef" * 128  # RDS's are 300 to 2,000 characters, and come as clear passwords
STALE = DatabaseLogin(USER, Secret("expired"))
FRESH = DatabaseLogin(USER, Secret(TOKEN))
STARTUP = struct.pack("!II", 8 + 5 + len(USER) + 1 + 1, 196608) + b"user\0" + USER.encode() + b"\0\0"


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Postgres]:
    """As RDS: the user's password is asked for in the clear, under TLS only."""
    postgres.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{TOKEN}'")
    postgres.let_in(f"hostssl all {USER} 127.0.0.1/32 password")
    yield postgres
    postgres.sql(f"DROP ROLE {USER}")


class Fresh:
    """What the source gives, one after the other; how often it was asked."""

    def __init__(self, *answers: DatabaseLogin | BackendFailed) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self) -> DatabaseLogin:
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, BackendFailed):
            raise answer
        return answer


def target(server: Postgres, mode: str = "verify-full") -> Target:
    tls = UpstreamTls(mode, str(server.ca) if mode == "verify-full" else None)  # type: ignore[arg-type]
    return Target("db", "postgres", server.host, server.port, server.database, tls, "aws-rds-iam")


async def said_to_a_client(server: Postgres, where: Target, fresh: Fresh) -> tuple[bytes, list[tuple[str, str]]]:
    """What a client hears that says hello, until it is let in or shut out; and what its person is told."""
    link, told, failures = Link(), list[tuple[str, str]](), list[BaseException]()
    crew = Crew(lambda _, error: failures.append(error))
    upstream = Upstream(STALE, where.database, tls=True, verified=where.tls.mode == "verify-full")

    async def no_cancel(_: bytes) -> None:
        raise AssertionError

    around = Surroundings(
        where,
        Bench(),  # type: ignore[arg-type]  # the part of a court that a pump sees
        crew,
        lambda entries: None,
        lambda kind, message: told.append((kind, message)),
        no_cancel,
        lambda pump: None,
        fresh,
    )
    pump = Pump(Engine(StreamId("t_1"), "db", upstream, b"\0" * 8, b"nonce"), link, around, tls=True)
    pump.client_says(STARTUP)
    while not (link.heard.endswith(READY) or link.closed):  # noqa: ASYNC110 - the peers know no events
        await asyncio.sleep(0.005)
    heard = link.heard
    pump.end("the scene is over")
    await crew.close()
    while await asyncio.to_thread(server.backends, USER):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)
    watched = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    while len(watched.get_map()) > 1:  # noqa: ASYNC110 - until the connection is lost here, too
        await asyncio.sleep(0.01)
    assert not failures
    return heard, told


def test_a_stream_logs_in_with_what_the_source_gives_for_it(server: Postgres) -> None:
    fresh = Fresh(FRESH)
    heard, _ = asyncio.run(said_to_a_client(server, target(server), fresh))
    assert heard.endswith(READY)
    assert fresh.asked == 1
    assert TOKEN.encode() not in heard


def test_a_token_of_two_kilobytes_goes_to_no_server_that_is_not_verified(server: Postgres) -> None:
    heard, _ = asyncio.run(said_to_a_client(server, target(server, "require"), Fresh(FRESH)))
    assert b"clear password" in heard
    assert not heard.endswith(READY)


def test_a_source_that_fails_is_named_to_the_client_and_its_person(server: Postgres) -> None:
    failure = BackendFailed("the source `aws-rds-iam` of target `db` failed: the broker has no AWS credentials")
    heard, told = asyncio.run(said_to_a_client(server, target(server), Fresh(failure)))
    assert b"`aws-rds-iam`" in heard
    assert "the broker has no AWS credentials" in told[0][1]


def test_the_catalog_is_read_with_a_login_of_its_own_time(server: Postgres) -> None:
    fresh = Fresh(FRESH, STALE)

    async def scene() -> None:
        crew, statements = Crew(lambda _, error: None), StatementReader()
        reader = CatalogReader(target(server), STALE, crew, statements, fresh)
        try:
            assert "public" in await reader.search_path()
            await reader.search_path()  # the connection is kept, and needs no other login
            assert fresh.asked == 1
            await reader.close()
            with pytest.raises(BackendFailed, match="password authentication failed"):
                await reader.search_path()
        finally:
            await reader.close()
            await statements.close()
            await crew.close()

    asyncio.run(scene())


class Ticking(SourceDouble):
    """A source whose passwords count."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    async def fresh(self, credential: Credential, target: Target) -> Credential:
        self.given += 1
        assert isinstance(credential, DatabaseLogin)
        return DatabaseLogin(credential.user, Secret(f"password-{self.given}"))


def test_the_keeper_asks_the_source_each_time_and_nobody_else_for_others(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path, source=Ticking()) as s:
            await s.keeper.lease(order())
            given = [await s.keeper.fresh(LeaseId("l_1")) for _ in range(2)]
            assert [each.password.reveal() for each in given if isinstance(each, DatabaseLogin)] == [
                "password-1",
                "password-2",
            ]
            await s.keeper.end(LeaseId("l_1"))
            with pytest.raises(BackendFailed, match="is over"):
                await s.keeper.fresh(LeaseId("l_1"))
        async with stage(tmp_path) as s:
            _, credential = await s.keeper.lease(order(2))
            assert await s.keeper.fresh(LeaseId("l_2")) is credential

    asyncio.run(scene())
