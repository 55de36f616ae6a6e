"""Minted roles at their end: nothing outlives its session, nothing is lost, and nobody gains rights by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.postgres_drop import Barred
from hoopx_plugins.postgres_role import PostgresRoleIssuer, role_name
from hoopx_plugins.postgres_server import Server
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.unit.minting import ADMINISTRATORS, ANN, Scene, lease_of, scene_with


@pytest.fixture(params=ADMINISTRATORS)
def scene(each_postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with scene_with(each_postgres, request.param) as scene:
        yield scene


def test_an_ended_role_is_gone_and_its_password_with_it(scene: Scene) -> None:
    order, issued = scene.issue()
    scene.revoke(order, issued)
    assert not scene.exists(order)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        scene.log_in(issued)


def test_revoking_can_be_repeated_and_needs_no_handle(scene: Scene) -> None:
    order, issued = scene.issue()
    for known in (None, issued, None):
        scene.revoke(order, known)
        assert not scene.exists(order)


def test_a_role_that_never_came_to_be_is_revoked_too(scene: Scene) -> None:
    scene.revoke(scene.order())


def test_its_sessions_are_cut_open_transactions_and_all(scene: Scene) -> None:
    order, issued = scene.issue(roles=("app_write",), read_only=False)
    with closing(scene.log_in(issued)) as idle, closing(scene.log_in(issued)) as busy:
        busy.execute("BEGIN")
        busy.execute("UPDATE payments SET paid = false WHERE id = 7")
        scene.revoke(order, issued)
        assert scene.server.backends(role_name(order.session)) == []
        for each in (idle, busy):
            with pytest.raises(psycopg.OperationalError):
                each.execute("SELECT 1")
    assert scene.superuser("SELECT paid FROM payments WHERE id = 7") == [(True,)]


@pytest.fixture
def making(scene: Scene) -> Iterator[Scene]:
    """Writing sessions may create in the schema public."""
    scene.superuser("GRANT CREATE ON SCHEMA public TO app_write")
    yield scene
    for order in scene.orders:
        scene.revoke(order)
    scene.superuser("DROP TABLE IF EXISTS kept; DROP FUNCTION IF EXISTS kept_too(), peek(); DROP VIEW IF EXISTS look")
    scene.superuser("ALTER DEFAULT PRIVILEGES FOR ROLE app_read, app_write REVOKE SELECT ON TABLES FROM app_read")
    scene.superuser("REVOKE CREATE ON SCHEMA public FROM app_write")


def test_what_it_made_stays_and_belongs_to_its_group(making: Scene) -> None:
    order, issued = making.issue(roles=("app_read", "app_write"), read_only=False)
    with closing(making.log_in(issued)) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("CREATE FUNCTION kept_too() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("GRANT SELECT ON kept TO app_read")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app_read")
        connection.execute("CREATE TEMP TABLE passing (id int)")
        making.revoke(order, issued)
    owners = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'kept'"
    # A function may only belong to who may create in its schema, unless a superuser gives it away.
    by_superuser = making.admin == making.server.superuser
    assert making.superuser(owners) == [("app_read" if by_superuser else "app_write",)]
    assert not making.exists(order)


def test_a_role_that_another_broker_drops_meanwhile_is_gone_all_the_same(making: Scene) -> None:
    order, issued = making.issue(roles=("app_write",), read_only=False)
    with closing(making.log_in(issued)) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    lease, rival = lease_of(order, issued), PostgresRoleIssuer()

    class Overtaken(PostgresRoleIssuer):
        async def _drop(self, server: Server, target: Target, role: Barred) -> None:
            await rival.revoke(lease, target)
            await super()._drop(server, target, role)

    asyncio.run(Overtaken().revoke(lease, order.target))
    assert not making.exists(order)


def test_an_heir_that_cannot_have_it_leaves_the_role_barred_and_says_so(making: Scene) -> None:
    making.superuser("CREATE ROLE stranger")
    try:
        order, issued = making.issue(roles=("app_write",), heir="stranger", read_only=False)
        with closing(making.log_in(issued)) as connection:
            connection.execute("CREATE FUNCTION kept_too() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        if making.admin == making.server.superuser:
            making.revoke(order, issued)
            assert not making.exists(order)
        else:
            with pytest.raises(BackendFailed, match=r"is barred but not dropped.*`stranger` cannot get them"):
                making.revoke(order, issued)
            making.orders[-1] = Order(order.lease, order.session, making.target(roles=("app_write",)), ANN, 0.0)
            making.revoke(making.orders[-1])
    finally:
        making.superuser("DROP FUNCTION IF EXISTS kept_too(); DROP ROLE stranger")


def test_what_it_left_behind_runs_with_no_more_rights_than_it_had(making: Scene) -> None:
    """Handed to the administrator, a SECURITY DEFINER function or a view would be a way up for the next session."""
    making.superuser(f"CREATE TABLE vault (id int); GRANT SELECT ON vault TO {making.admin}")
    try:
        order, issued = making.issue(roles=("app_write",), read_only=False)
        with closing(making.log_in(issued)) as connection:
            connection.execute("SET check_function_bodies = off")
            peek = "LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT count(*) FROM vault); END'"
            connection.execute(f"CREATE FUNCTION peek() RETURNS bigint {peek}")
            connection.execute("CREATE VIEW look AS SELECT * FROM vault")
            connection.execute("GRANT SELECT ON look TO app_read")
        making.revoke(order, issued)
        _, later = making.issue()
        with closing(making.log_in(later)) as connection:
            for attempt in ("SELECT peek()", "SELECT * FROM look"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(attempt)
    finally:
        making.superuser("DROP VIEW IF EXISTS look; DROP TABLE vault")


def test_without_an_heir_nothing_is_given_away_or_deleted(making: Scene) -> None:
    grants = ("GRANT app_write TO {{role}}",)
    order, issued = making.issue(roles=(), grants=grants, read_only=False)
    with closing(making.log_in(issued)) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    with pytest.raises(BackendFailed, match="owns objects, and no heir is named") as failed:
        making.revoke(order, issued)
    assert "credentials.heir" in failed.value.hint
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        making.log_in(issued)
    assert making.superuser("SELECT count(*) FROM kept") == [(0,)]
    making.orders[-1] = Order(order.lease, order.session, making.target(heir="app_write"), ANN, order.expires_at)
    making.revoke(making.orders[-1])
    assert not making.exists(order)


def test_what_it_did_in_another_database_is_taken_over_too(scene: Scene) -> None:
    order, issued = scene.issue(roles=("app_write",), read_only=False)
    scene.superuser("GRANT CREATE ON SCHEMA public TO PUBLIC", "tls_only")
    try:
        with closing(scene.log_in(issued, "tls_only")) as elsewhere:
            elsewhere.execute("CREATE TABLE public.elsewhere (id int)")
            scene.revoke(order, issued)
        assert not scene.exists(order)
    finally:
        scene.superuser("DROP TABLE IF EXISTS public.elsewhere", "tls_only")
        scene.superuser("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "tls_only")


def test_half_done_states_are_finished(scene: Scene) -> None:
    order, issued = scene.issue()
    scene.superuser(f'ALTER ROLE "{role_name(order.session)}" NOLOGIN')
    scene.superuser(f'GRANT "{role_name(order.session)}" TO {scene.admin}')
    scene.revoke(order, issued)
    assert not scene.exists(order)


def test_a_mint_still_under_way_when_its_broker_died_is_waited_for(scene: Scene) -> None:
    order = scene.order()
    role = role_name(order.session)
    with closing(psycopg.connect(scene.server.dsn(scene.admin, scene.password))) as dead_broker:
        dead_broker.execute(f'CREATE ROLE "{role}" LOGIN')

        async def revoke_while_it_commits() -> None:
            revoking = asyncio.ensure_future(scene.issuer.revoke(lease_of(order), order.target))
            await asyncio.to_thread(lambda: eventually(lambda: waiting_for_a_lock(scene), "a waiting revoke"))
            await asyncio.to_thread(dead_broker.commit)
            await revoking

        asyncio.run(revoke_while_it_commits())
    assert not scene.exists(order)


def waiting_for_a_lock(scene: Scene) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'CREATE ROLE'"
    return bool(scene.superuser(waiting))


@pytest.mark.parametrize("session", ["", "x; DROP", 's"', "S_UP", "a" * 41, "postgres\n"])
def test_a_damaged_lease_names_nobody_elses_role(session: str) -> None:
    with pytest.raises(BackendFailed, match="no role name follows"):
        role_name(SessionId(session))


def test_a_handle_that_was_tampered_with_harms_nobody(scene: Scene) -> None:
    order, issued = scene.issue()
    lease = Lease(LeaseId("l_x"), order.session, "db", "postgres-role", "", "live", 0.0, {"role": scene.server.admin})
    asyncio.run(scene.issuer.revoke(lease, order.target))
    assert scene.server.admin in scene.server.roles()
    assert not scene.exists(order)
    assert issued.handle == {"role": role_name(order.session)}
