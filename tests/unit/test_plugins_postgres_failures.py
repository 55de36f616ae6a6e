"""What goes wrong between the broker and the server that mints: named, with a remedy, and without a secret."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import new_lease_id, new_session_id
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, TlsModeName, UpstreamTls
from hoopx_plugins import postgres_admin, postgres_barrier, postgres_role
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions, role_name
from tests.peers.postgres import Postgres
from tests.unit.minting import login_of, pinned

WRONG = "not-the-password-4711"


def order_for(server: Postgres, mode: TlsModeName = "verify-full", **changes: Any) -> Order:
    login: dict[str, Any] = {"user": server.admin, "password": Secret(server.admin_password), "roles": ("app_read",)}
    place: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "ca": str(server.ca),
        "database": server.database,
    }
    place |= {key: changes.pop(key) for key in list(changes) if key in place}
    options = PostgresRoleOptions(**(login | changes))
    tls = UpstreamTls(mode=mode, ca=place["ca"])
    target = Target(
        "db", "postgres", place["host"], place["port"], place["database"], tls, "postgres-role", credentials=options
    )
    return Order(new_lease_id(), new_session_id(), target, Principal("ann", "human"), time.time() + 60)


def failure(order: Order) -> BackendFailed:
    with pytest.raises(BackendFailed) as failed:
        asyncio.run(PostgresRoleIssuer().issue(order, pinned))
    told = f"{failed.value.message} {failed.value.hint} {failed.value!r} {failed.value.__cause__!r}"
    assert order.target.credentials.password.reveal() not in told
    assert "\n" not in failed.value.message
    assert failed.value.hint
    return failed.value


def revoke(order: Order) -> None:
    lease = Lease(order.lease, order.session, "db", "postgres-role", "", "pending", order.expires_at)
    asyncio.run(PostgresRoleIssuer().revoke(lease, order.target))


def test_a_wrong_password_names_the_source_and_the_remedy(postgres: Postgres) -> None:
    failed = failure(order_for(postgres, password=Secret(WRONG)))
    assert failed.message.startswith("the source `postgres-role` of target `db` cannot log in to 127.0.0.1:")
    assert "the password is wrong" in failed.message
    assert "credentials.password" in failed.hint


def test_nothing_listening_is_told_apart() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        options = PostgresRoleOptions(user="a", password=Secret(WRONG))
        where = ("127.0.0.1", taken.getsockname()[1], "app", UpstreamTls(mode="disable"), "postgres-role")
        target = Target("db", "postgres", *where, credentials=options)
        order = Order(new_lease_id(), new_session_id(), target, Principal("ann", "human"), 0.0)
        assert "nothing listens there" in failure(order).message


def test_a_server_that_stays_silent_does_not_hold_anybody_up(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_admin, "CONNECT_TIMEOUT", 2)  # the shortest that libpq takes
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        assert "does not answer" in failure(order_for(postgres, port=silent.getsockname()[1])).message


def test_a_database_that_is_not_there_is_named(postgres: Postgres) -> None:
    assert "does not exist" in failure(order_for(postgres, database="nowhere")).message


def test_a_certificate_of_a_stranger_is_refused(postgres: Postgres) -> None:
    failed = failure(order_for(postgres, ca=str(postgres.foreign_ca)))
    assert "certificate cannot be verified" in failed.message


def test_a_self_made_authority_is_not_among_the_public_ones(postgres: Postgres) -> None:
    assert "certificate cannot be verified" in failure(order_for(postgres, ca=None)).message


def test_tls_is_never_given_up_quietly(postgres: Postgres) -> None:
    failed = failure(order_for(postgres, mode="disable", ca=None, database="tls_only"))
    assert "pg_hba.conf" in failed.message
    order = order_for(postgres, mode="require", ca=None, database="tls_only")
    asyncio.run(PostgresRoleIssuer().issue(order, pinned))
    revoke(order)


@pytest.fixture
def mere(postgres: Postgres) -> Iterator[Postgres]:
    postgres.sql("CREATE ROLE mere LOGIN PASSWORD 'mere-password'")
    yield postgres
    postgres.sql("DROP ROLE mere")


def test_an_administrator_without_createrole_is_told_what_is_missing(mere: Postgres) -> None:
    failed = failure(order_for(mere, user="mere", password=Secret("mere-password")))
    assert "permission denied to create role" in failed.message
    assert "ALTER ROLE mere CREATEROLE" in failed.hint


def test_an_unknown_group_is_named_and_nothing_stays(each_postgres: Postgres) -> None:
    order = order_for(each_postgres, roles=("app_read", "app_raed"))
    failed = failure(order)
    assert 'role "app_raed" does not exist' in failed.message
    assert "credentials.roles" in failed.hint
    assert role_name(order.session) not in each_postgres.roles()


def test_a_group_that_is_not_the_administrators_to_give_is_named(each_postgres: Postgres) -> None:
    """PostgreSQL 15 lets CREATEROLE give away any group but a superuser's."""
    group = "app_secret" if each_postgres.installation.major >= 16 else each_postgres.superuser
    each_postgres.sql("CREATE ROLE app_secret")
    try:
        failed = failure(order_for(each_postgres, roles=(group,)))
        assert "WITH ADMIN OPTION" in failed.hint
    finally:
        each_postgres.sql("DROP ROLE app_secret")


def test_a_held_lock_ends_the_waiting(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_admin, "LIMITS", "SET lock_timeout = '200ms'")
    with closing(psycopg.connect(postgres.dsn())) as holder:
        holder.execute("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")  # reading, so logging in, goes on
        assert "holds a lock" in failure(order_for(postgres)).hint


def test_a_hanging_server_ends_the_waiting(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_admin, "LIMITS", "SET lock_timeout = 0")
    monkeypatch.setattr(postgres_role, "PATIENCE", 0.3)
    with closing(psycopg.connect(postgres.dsn())) as holder:
        holder.execute("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")  # reading, so logging in, goes on
        assert "has stopped answering" in failure(order_for(postgres)).message


def test_a_session_that_does_not_end_keeps_the_lease_unended(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_for(postgres)
    issued = asyncio.run(PostgresRoleIssuer().issue(order, pinned))
    with closing(psycopg.connect(postgres.dsn(login_of(issued).user, login_of(issued).password.reveal()))):
        monkeypatch.setattr(postgres_barrier, "LOOKS", 0)
        with pytest.raises(BackendFailed, match="does not end"):
            revoke(order)
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(postgres.dsn(login_of(issued).user, login_of(issued).password.reveal()))
    monkeypatch.undo()
    revoke(order)
    assert role_name(order.session) not in postgres.roles()


def test_the_brokers_own_environment_changes_nothing(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = {"PGSSLMODE": "disable", "PGHOSTADDR": "127.0.0.9", "PGUSER": "x", "PGOPTIONS": "-c x=y"}
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    order = order_for(postgres)
    asyncio.run(PostgresRoleIssuer().issue(order, pinned))
    monkeypatch.undo()
    revoke(order)


def at_statement(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], None]) -> list[int]:
    """Let something happen just before the n-th statement of the plugin; the list has a member for each statement."""
    heard: list[int] = []
    real = psycopg.AsyncConnection.execute

    async def execute(self: Any, *arguments: Any, **more: Any) -> Any:
        heard.append(len(heard) + 1)
        if len(heard) == number:
            happens()
        return await real(self, *arguments, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
    return heard


def test_a_server_killed_at_any_step_of_a_revoke_is_finished_with_later(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 30):
        order = order_for(own_postgres)
        asyncio.run(PostgresRoleIssuer().issue(order, pinned))
        heard = at_statement(monkeypatch, number, own_postgres.stop)
        with suppress(BackendFailed):
            revoke(order)
        monkeypatch.undo()
        if len(heard) < number:
            assert number > 10
            return
        own_postgres.start()
        revoke(order)
        assert role_name(order.session) not in own_postgres.roles()
    raise AssertionError("a revoke has fewer statements than that")


def stop(task: asyncio.Future[Any]) -> None:
    task.cancel()


def test_a_broker_stopped_at_any_step_of_a_mint_leaves_nothing_that_revoking_does_not_find(
    each_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 30):
        order = order_for(each_postgres, statement_timeout="1h")

        async def mint_and_stop(order: Order, number: int) -> int:
            minting = asyncio.ensure_future(PostgresRoleIssuer().issue(order, pinned))
            heard = at_statement(monkeypatch, number, lambda: stop(minting))
            await asyncio.gather(minting, return_exceptions=True)
            monkeypatch.undo()
            assert minting.cancelled() == (len(heard) >= number)
            return len(heard)

        heard = asyncio.run(mint_and_stop(order, number))
        revoke(order)
        assert role_name(order.session) not in each_postgres.roles()
        if heard < number:
            assert number >= 5
            return
    raise AssertionError("a mint has fewer statements than that")


@pytest.mark.parametrize("as_superuser", [True, False], ids=["superuser", "createrole"])
def test_a_prepared_transaction_does_not_outlive_its_session(each_postgres: Postgres, as_superuser: bool) -> None:
    server = each_postgres
    login = (server.superuser, server.superuser_password) if as_superuser else (server.admin, server.admin_password)
    order = order_for(server, user=login[0], password=Secret(login[1]), roles=("app_write",), read_only=False)
    issued = asyncio.run(PostgresRoleIssuer().issue(order, pinned))
    credential = login_of(issued)
    for database in ("app", "tls_only"):
        dsn = server.dsn(credential.user, credential.password.reveal(), database)
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            connection.execute("BEGIN; UPDATE payments SET paid = false WHERE id = 1")
            connection.execute(f"PREPARE TRANSACTION 'left behind in {database}'")
    assert len(server.sql("SELECT gid FROM pg_prepared_xacts")) == 2
    revoke(order)
    assert server.sql("SELECT gid FROM pg_prepared_xacts") == []
    assert role_name(order.session) not in server.roles()
