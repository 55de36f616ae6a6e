"""Minted roles on real PostgreSQL, of every version found, by a superuser and by a mere CREATEROLE role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import LeaseId, SessionId, new_lease_id, new_session_id
from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions, role_name
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

ANN = Principal("ann", "human")


class Scene:
    """One server, one administrator, and the leases of this test."""

    def __init__(self, server: Postgres, admin: str, password: str) -> None:
        self.server = server
        self.admin, self.password = admin, password
        self.issuer = PostgresRoleIssuer()
        self.orders: list[Order] = []

    def target(self, **changes: Any) -> Target:
        login: dict[str, Any] = {"user": self.admin, "password": Secret(self.password), "roles": ("app_read",)}
        options = PostgresRoleOptions(**(login | changes))
        tls = UpstreamTls(mode="verify-full", ca=str(self.server.ca))
        host, port = self.server.host, self.server.port
        return Target("db", "postgres", host, port, self.server.database, tls, "postgres-role", credentials=options)

    def order(self, **options: Any) -> Order:
        end = time.time() + 3600
        self.orders.append(Order(new_lease_id(), new_session_id(), self.target(**options), ANN, end))
        return self.orders[-1]

    def issue(self, **options: Any) -> tuple[Order, Issued]:
        order = self.order(**options)
        return order, asyncio.run(self.issuer.issue(order))

    def revoke(self, order: Order, issued: Issued | None = None) -> None:
        asyncio.run(self.issuer.revoke(lease_of(order, issued), order.target))

    def log_in(self, issued: Issued, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        credential = issued.credential
        dsn = self.server.dsn(credential.user, credential.password.reveal(), database or self.server.database)
        return psycopg.connect(dsn, autocommit=True)

    def exists(self, order: Order) -> bool:
        return role_name(order.session) in self.server.roles()

    def superuser(self, text: str, database: str | None = None) -> list[tuple[Any, ...]]:
        return self.server.sql(text, database or self.server.database)


def lease_of(order: Order, issued: Issued | None = None) -> Lease:
    """As it is stored: without a handle where the broker died before the answer."""
    state, handle = ("live", issued.handle) if issued else ("pending", {})
    return Lease(order.lease, order.session, "db", "postgres-role", "", state, order.expires_at, handle)  # type: ignore[arg-type]


@pytest.fixture(params=["superuser", "createrole"])
def scene(each_postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Scene]:
    server = each_postgres
    admin = (
        (server.superuser, server.superuser_password)
        if request.param == "superuser"
        else (server.admin, server.admin_password)
    )
    made = Scene(server, *admin)
    yield made
    for order in made.orders:
        made.revoke(order)
    assert server.roles("hoopx_s_") == set()


# --- minting ---


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
        asyncio.run(scene.issuer.issue(order))
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
    scene.superuser(f"GRANT {give}")
    try:
        order = scene.order()
        with pytest.raises(BackendFailed, match="would not be read-only") as refused:
            asyncio.run(scene.issuer.issue(order))
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
    assert issued.credential.password.reveal() not in heard
    assert scene.password not in heard


def test_no_two_sessions_share_a_password_and_none_is_short(scene: Scene) -> None:
    passwords = {scene.issue()[1].credential.password.reveal() for _ in range(3)}
    assert len(passwords) == 3
    assert all(len(each) == 43 for each in passwords)


def test_it_ends_with_its_order_even_if_the_broker_never_comes_back(scene: Scene) -> None:
    order, _ = scene.issue()
    known = "SELECT extract(epoch FROM rolvaliduntil)::float8, rolconnlimit FROM pg_roles"
    rows = scene.superuser(f"{known} WHERE rolname = '{role_name(order.session)}'")
    assert rows == [(float(int(order.expires_at)), 20)]


def test_a_role_past_its_end_lets_nobody_in(scene: Scene) -> None:
    order = scene.order()
    over = Order(order.lease, order.session, order.target, ANN, time.time() - 60)
    issued = asyncio.run(scene.issuer.issue(over))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        scene.log_in(issued)


def test_settings_and_limits_are_the_roles_defaults(scene: Scene) -> None:
    _, issued = scene.issue(statement_timeout="15m", connection_limit=1)
    with closing(scene.log_in(issued)) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15min",)
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            scene.log_in(issued)


def test_many_sessions_open_at_once(scene: Scene) -> None:
    orders = [scene.order() for _ in range(12)]

    async def all_at_once() -> list[Issued]:
        return await asyncio.gather(*(scene.issuer.issue(order) for order in orders))

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
        issued = await issuers[index % 3].issue(orders[index])
        await issuers[index % 3].revoke(lease_of(orders[index], issued), orders[index].target)

    async def all_at_once() -> None:
        await asyncio.gather(*(open_and_end(index) for index in range(9)))

    asyncio.run(all_at_once())
    assert not any(granting.exists(order) for order in orders)


def test_a_grant_that_the_administrator_may_not_give_leaves_nothing_behind(scene: Scene) -> None:
    order = scene.order(grants=("GRANT SELECT ON public.nowhere TO {{role}}",))
    with pytest.raises(BackendFailed, match=r"public\.nowhere"):
        asyncio.run(scene.issuer.issue(order))
    assert not scene.exists(order)


def test_a_grant_that_only_warns_is_a_failure(each_postgres: Postgres) -> None:
    scene = Scene(each_postgres, each_postgres.admin, each_postgres.admin_password)
    scene.superuser(f"GRANT SELECT ON orders TO {scene.admin}")
    try:
        order = scene.order(roles=(), grants=("GRANT SELECT ON public.orders TO {{role}}",))
        with pytest.raises(BackendFailed, match="could not grant all") as refused:
            asyncio.run(scene.issuer.issue(order))
        assert "WITH GRANT OPTION" in refused.value.hint
        assert not scene.exists(order)
    finally:
        scene.superuser(f"REVOKE SELECT ON orders FROM {scene.admin}")


def test_a_second_statement_behind_a_grant_is_not_run(scene: Scene) -> None:
    order = scene.order(grants=("GRANT app_read TO {{role}}; COMMIT; CREATE TABLE public.smuggled ()",))
    with pytest.raises(BackendFailed, match="multiple commands"):
        asyncio.run(scene.issuer.issue(order))
    assert not scene.exists(order)
    assert scene.superuser("SELECT to_regclass('public.smuggled')") == [(None,)]


@pytest.mark.parametrize("grant", ["DROP TABLE x -- {{role}}", "GRANT app_read TO someone", "COMMIT"])
def test_only_grants_to_the_role_can_be_configured(grant: str) -> None:
    with pytest.raises(ValueError, match="one GRANT statement"):
        PostgresRoleOptions(user="a", password=Secret("b"), grants=(grant,))


# --- revoking ---


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


def test_what_it_made_stays_and_belongs_to_the_administrator(scene: Scene) -> None:
    scene.superuser("GRANT CREATE ON SCHEMA public TO app_write")
    if scene.admin != scene.server.superuser:
        scene.superuser(f"GRANT CREATE ON SCHEMA public TO {scene.admin}")
    order, issued = scene.issue(roles=("app_write",), read_only=False)
    try:
        with closing(scene.log_in(issued)) as connection:
            connection.execute("CREATE TABLE kept (id int)")
            connection.execute("CREATE FUNCTION kept_too() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            connection.execute("GRANT SELECT ON kept TO app_read")
            connection.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app_read")
            connection.execute("CREATE TEMP TABLE passing (id int)")
            scene.revoke(order, issued)
        owner = scene.superuser("SELECT tableowner::text FROM pg_tables WHERE tablename = 'kept'")
        assert owner == [(scene.admin,)]
        assert not scene.exists(order)
    finally:
        scene.superuser("DROP TABLE IF EXISTS kept; DROP FUNCTION IF EXISTS kept_too()")
        scene.superuser(f"REVOKE CREATE ON SCHEMA public FROM app_write, {scene.server.admin}")
        scene.superuser(f"ALTER DEFAULT PRIVILEGES FOR ROLE {scene.admin} REVOKE SELECT ON TABLES FROM app_read")


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
