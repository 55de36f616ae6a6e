"""Minted roles on real PostgreSQL, of every version found, by a superuser and by a mere CREATEROLE role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from msgspec.structs import replace

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions, role_name
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.unit.minting import ADMINISTRATORS, Scene, lease_of, login_of, pinned, scene_with


@pytest.fixture(params=ADMINISTRATORS)
def scene(each_postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with scene_with(each_postgres, request.param) as scene:
        yield scene


def test_a_minted_role_reads_what_its_groups_read_and_writes_nothing(scene: Scene) -> None:
    _, issued = scene.issue()
    with closing(scene.log_in(issued)) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (200,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM payments")
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM payments")


def test_a_writing_role_is_minted_only_where_it_is_asked_for(scene: Scene) -> None:
    _, issued = scene.issue(roles=("app_write",), read_only=False)
    with closing(scene.log_in(issued)) as connection:
        assert connection.execute("UPDATE payments SET paid = paid WHERE id = 1").rowcount == 1


def test_a_read_only_target_never_mints_a_role_that_could_write(scene: Scene) -> None:
    order = scene.order(roles=("app_read", "app_write"))
    with pytest.raises(BackendFailed, match=r"it may write `public\.analytics_daily`") as refused:
        asyncio.run(scene.issuer.issue(order, pinned))
    assert "read_only: false" in refused.value.hint
    assert not scene.exists(order)


@pytest.mark.parametrize(
    ("give", "take", "told"),
    [
        ("CREATE ON SCHEMA public TO app_read", "CREATE ON SCHEMA public FROM app_read", "schema `public`"),
        ("UPDATE (item) ON orders TO PUBLIC", "UPDATE (item) ON orders FROM PUBLIC", "`public.orders`"),
        ("DELETE ON customer_contacts TO app_read", "DELETE ON customer_contacts FROM app_read", "contacts"),
        ("pg_write_all_data TO app_read", "pg_write_all_data FROM app_read", "pg_write_all_data"),
        ("pg_execute_server_program TO app_read", "pg_execute_server_program FROM app_read", "server_program"),
        ("postgres TO app_read", "postgres FROM app_read", "member of `postgres`"),
    ],
)
def test_no_side_door_makes_a_read_only_role_write(scene: Scene, give: str, take: str, told: str) -> None:
    if told == "pg_write_all_data" and scene.server.installation.major < 14:
        pytest.skip("this role is new in PostgreSQL 14")
    scene.superuser(f"GRANT {give}")
    try:
        order = scene.order()
        with pytest.raises(BackendFailed, match="would not be read-only") as refused:
            asyncio.run(scene.issuer.issue(order, pinned))
        assert told in refused.value.message
        assert not scene.exists(order)
    finally:
        scene.superuser(f"REVOKE {take}")


def test_it_cannot_become_its_group_where_the_server_can_forbid_that(scene: Scene) -> None:
    _, issued = scene.issue()
    with closing(scene.log_in(issued)) as connection:
        if scene.server.installation.major >= 16:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET ROLE app_read")
        else:  # there it can, and is no more than it was
            connection.execute("SET ROLE app_read")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM payments")


def test_the_clear_password_reaches_neither_the_server_nor_its_log(scene: Scene) -> None:
    before = scene.server.log_position()
    _, issued = scene.issue()
    scene.log_in(issued).close()
    heard = eventually(lambda: scene.server.log(before), "a log")
    assert "CREATE ROLE" in heard
    assert "SCRAM-SHA-256$4096:" in heard
    assert login_of(issued).password.reveal() not in heard
    assert scene.password not in heard


def test_no_two_sessions_share_a_password_and_none_is_short(scene: Scene) -> None:
    passwords = {login_of(scene.issue()[1]).password.reveal() for _ in range(3)}
    assert len(passwords) == 3
    assert all(len(each) == 43 for each in passwords)


def test_it_ends_with_its_order_even_if_the_broker_never_comes_back(scene: Scene) -> None:
    order, _ = scene.issue()
    known = "SELECT extract(epoch FROM rolvaliduntil)::float8, rolconnlimit FROM pg_roles"
    rows = scene.superuser(f"{known} WHERE rolname = '{role_name(order.session)}'")
    assert rows == [(float(int(order.expires_at)), 20)]


def test_a_role_past_its_end_lets_nobody_in(scene: Scene) -> None:
    order, issued = scene.issue()
    over = replace(order, expires_at=time.time() - 60)
    asyncio.run(scene.issuer.renew(lease_of(order, issued), issued.credential, over, pinned))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        scene.log_in(issued)


def test_where_the_servers_clock_is_far_ahead_the_clocks_are_named_and_no_role_is_made(scene: Scene) -> None:
    order = scene.order()
    over = replace(order, expires_at=time.time() - 60)
    with pytest.raises(BackendFailed, match=r"source `postgres-role` of target `db`.*the server's clock") as failed:
        asyncio.run(scene.issuer.issue(over, pinned))
    assert "NTP" in failed.value.hint
    assert not scene.exists(order)


def test_settings_and_limits_are_the_roles_defaults(scene: Scene) -> None:
    _, issued = scene.issue(statement_timeout="15m", connection_limit=1)
    with closing(scene.log_in(issued)) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15min",)
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            scene.log_in(issued)


def test_many_sessions_open_at_once(scene: Scene) -> None:
    orders = [scene.order() for _ in range(12)]

    async def all_at_once() -> list[Issued]:
        return await asyncio.gather(*(scene.issuer.issue(order, pinned) for order in orders))

    issued = asyncio.run(all_at_once())
    assert all(scene.exists(order) for order in orders)
    for each in issued:
        scene.log_in(each).close()


# --- grants of the configuration ---


@pytest.fixture
def granting(scene: Scene) -> Iterator[Scene]:
    """The administrator may hand on SELECT on payments."""
    scene.superuser(f"GRANT SELECT ON payments TO {scene.admin} WITH GRANT OPTION")
    yield scene
    for order in scene.orders:
        scene.revoke(order)
    if scene.admin != scene.server.superuser:
        scene.superuser(f"REVOKE SELECT ON payments FROM {scene.admin} CASCADE")


GRANT = "GRANT SELECT ON public.payments TO {{role}}"


def test_grants_are_given_to_the_role_alone(granting: Scene) -> None:
    _, issued = granting.issue(roles=(), grants=(GRANT,))
    with closing(granting.log_in(issued)) as connection:
        assert connection.execute("SELECT count(*) FROM payments").fetchone() == (400,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM customers")


def test_sessions_of_two_brokers_do_not_trip_over_each_others_grants(granting: Scene) -> None:
    issuers = [PostgresRoleIssuer() for _ in range(3)]
    orders = [granting.order(roles=(), grants=(GRANT,)) for _ in range(9)]

    async def open_and_end(index: int) -> None:
        issued = await issuers[index % 3].issue(orders[index], pinned)
        await issuers[index % 3].revoke(lease_of(orders[index], issued), orders[index].target)

    async def all_at_once() -> None:
        await asyncio.gather(*(open_and_end(index) for index in range(9)))

    asyncio.run(all_at_once())
    assert not any(granting.exists(order) for order in orders)


def test_a_grant_that_the_administrator_may_not_give_leaves_nothing_behind(scene: Scene) -> None:
    order = scene.order(grants=("GRANT SELECT ON public.nowhere TO {{role}}",))
    with pytest.raises(BackendFailed, match=r"public\.nowhere"):
        asyncio.run(scene.issuer.issue(order, pinned))
    assert not scene.exists(order)


def test_a_grant_that_only_warns_is_a_failure(each_postgres: Postgres) -> None:
    scene = Scene(each_postgres, each_postgres.admin, each_postgres.admin_password)
    scene.superuser(f"GRANT SELECT ON orders TO {scene.admin}")
    try:
        order = scene.order(roles=(), grants=("GRANT SELECT ON public.orders TO {{role}}",))
        with pytest.raises(BackendFailed, match="could not grant all") as refused:
            asyncio.run(scene.issuer.issue(order, pinned))
        assert "WITH GRANT OPTION" in refused.value.hint
        assert not scene.exists(order)
    finally:
        scene.superuser(f"REVOKE SELECT ON orders FROM {scene.admin}")


@pytest.mark.parametrize(
    "grant",
    [
        "DROP TABLE x -- {{role}}",
        "GRANT app_read TO someone",
        "COMMIT",
        "GRANT app_read TO {{role}}; COMMIT; CREATE TABLE public.smuggled ()",
        'GRANT app_read TO "{{role}}"',
    ],
)
def test_only_grants_to_the_role_can_be_configured(grant: str) -> None:
    with pytest.raises(ValueError, match="one GRANT statement"):
        PostgresRoleOptions(user="a", password=Secret("b"), grants=(grant,))
