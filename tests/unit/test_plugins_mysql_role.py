"""Users for sessions on a real MariaDB, by an administrator that is no superuser, through the real keeper of leases."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pymysql
import pytest
from msgspec.structs import replace

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins import mysql_admin, mysql_mint
from hoopx_plugins.mysql_mint import MysqlProfile
from hoopx_plugins.mysql_role import MysqlRoleOptions
from hoopx_plugins.postgres_role import role_name
from tests.peers.mariadb import MariaDb
from tests.unit.minting import login_of, pinned
from tests.unit.mysql_minting import Scene, ask, lease_of, unlisted


@pytest.fixture
def scene(mariadb: MariaDb) -> Iterator[Scene]:
    """Ends with no user left."""
    scene = Scene(mariadb)
    yield scene
    for order in scene.orders:
        scene.revoke(replace(order, target=scene.target()))
    assert mariadb.users() == set()


def test_a_user_reads_what_its_role_reads_until_it_is_revoked_and_cut(scene: Scene) -> None:
    order, issued = scene.issue()
    assert login_of(issued).user == role_name(order.session)
    with closing(scene.log_in(issued)) as connection:
        assert ask(connection, "SELECT item FROM app.orders") == [("widget",)]
        with pytest.raises(pymysql.OperationalError, match="command denied"):
            ask(connection, "DELETE FROM app.orders")
        scene.revoke(order)
        with pytest.raises(pymysql.OperationalError, match=r"Lost connection|gone away|killed"):
            ask(connection, "SELECT 1")
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        scene.log_in(issued)
    scene.revoke(order)


def test_the_keeper_makes_it_and_a_broker_that_was_killed_leaves_no_user(scene: Scene, tmp_path: Path) -> None:
    async def play() -> None:
        store = await Store.open(tmp_path / "state.db")
        try:
            first, second = scene.order(), scene.order()
            keeper = keeper_over(store, first.target)
            lease, _ = await keeper.lease(first)
            assert lease.handle == {"user": role_name(first.session)}
            assert await keeper.end(first.lease)
            await keeper.lease(second)
            # Killed: nobody calls `end`. The next broker finds the lease in the state.
            after = keeper_over(store, first.target)
            (left,) = await after.recover()
            assert await after.end(left.id)
        finally:
            await store.close()
        assert scene.server.users() == set()

    def keeper_over(store: Store, target: Target) -> Keeper:
        calls: dict[str, Any] = {"sleep": asyncio.sleep, "random": lambda: 1.0, "on_alarm": lambda lease: None}
        return Keeper(store, {"db": scene.issuer}, {"db": target}, clock=time.time, **calls)

    asyncio.run(play())


@pytest.mark.parametrize("step", range(1, 6, 2))
def test_a_broker_killed_at_any_step_leaves_nobody_who_could_log_in(
    scene: Scene, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements after the `step`th are never sent, not even those that would undo the others."""
    order = scene.order(grants=("GRANT SELECT ON app.orders TO {{user}}",))
    sent: list[str] = []
    run = mysql_admin.Administrator.run

    def dying(self: mysql_admin.Administrator, statement: str, where: str = "") -> None:
        sent.append(statement)
        if len(sent) > step:
            raise SystemExit
        run(self, statement, where)

    with monkeypatch.context() as patch:
        patch.setattr(mysql_admin.Administrator, "run", dying)
        with pytest.raises(SystemExit):
            in_a_thread(lambda: scene.issuer.issue(order, pinned))
    created = [each for each in sent[:step] if each.startswith("CREATE USER")]
    assert scene.server.users() == ({role_name(order.session)} if created else set())
    assert all("ACCOUNT LOCK" in each for each in created)
    scene.revoke(order)
    assert scene.server.users() == set()


def test_a_user_that_is_revoked_while_it_is_made_does_not_come_back_by_a_grant(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread cannot be stopped: it goes on when nobody waits any more, and what it makes is revoked meanwhile."""
    order = scene.order(roles=(), grants=("GRANT SELECT ON app.orders TO {{user}}",))
    run = mysql_admin.Administrator.run

    def slow(self: mysql_admin.Administrator, statement: str, where: str = "") -> None:
        if statement.startswith("GRANT"):
            run(self, f"DROP USER {role_name(order.session)}@'%'")
        run(self, statement, where)

    with monkeypatch.context() as patch:
        patch.setattr(mysql_admin.Administrator, "run", slow)
        with pytest.raises(BackendFailed, match="`grants`, for the source `mysql-role`"):
            asyncio.run(scene.issuer.issue(order, pinned))
    assert scene.server.users() == set()


def test_a_server_that_hangs_holds_no_thread_that_others_need(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def made(*given: Any) -> None:
        threads.append(threading.current_thread().name)
        mysql_mint.make_user(*given)

    monkeypatch.setattr("hoopx_plugins.mysql_role.make_user", made)
    scene.issue()
    assert [name.partition("_")[0] for name in threads] == ["mysql"]


def in_a_thread(work: Callable[[], Awaitable[object]]) -> None:
    """`SystemExit` must not be raised through a running event loop."""
    raised: list[BaseException] = []

    def play() -> None:
        try:
            asyncio.run(cast(Any, work()))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=play)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_the_clear_password_is_in_no_log_and_goes_to_no_replica(scene: Scene) -> None:
    _, issued = scene.issue()
    scene.log_in(issued).close()
    heard = scene.server.heard()
    assert heard.count(login_of(issued).user) > 3
    assert login_of(issued).password.reveal() not in heard


def test_limits_and_tls_are_the_users_own(scene: Scene) -> None:
    order, issued = scene.issue(connection_limit=1, statement_seconds=7)
    (known,) = scene.server.sql(f"SHOW CREATE USER '{role_name(order.session)}'@'%'")
    for part in ("REQUIRE SSL", "MAX_USER_CONNECTIONS 1", "MAX_STATEMENT_TIME 7", "PASSWORD EXPIRE INTERVAL 1 DAY"):
        assert part in str(known[0])
    with closing(scene.log_in(issued)), pytest.raises(pymysql.OperationalError, match="max_user_connections"):
        scene.log_in(issued)


# --- read-only, classified columns, profiles ---


@pytest.mark.parametrize(
    ("give", "take", "told"),
    [
        ("GRANT INSERT ON app.* TO app_read", "REVOKE INSERT ON app.* FROM app_read", r"INSERT on `app`\.`\*`"),
        ("GRANT UPDATE (item) ON app.orders TO app_read", "REVOKE UPDATE (item) ON app.orders FROM app_read",
         r"UPDATE on `app`\.`orders`"),
        ("GRANT app_write TO app_read", "REVOKE app_write FROM app_read", "it has (INSERT|UPDATE|DELETE|CREATE VIEW)"),
        ("GRANT FILE ON *.* TO app_read", "REVOKE FILE ON *.* FROM app_read", "FILE on"),
        ("GRANT ALL ON app.* TO app_read", "REVOKE ALL ON app.* FROM app_read; GRANT SELECT ON app.* TO app_read",
         "ALL PRIVILEGES on"),
        ("GRANT SELECT ON app.* TO app_read WITH GRANT OPTION", "REVOKE GRANT OPTION ON app.* FROM app_read",
         "may hand it on"),
        ("GRANT DELETE ON app.orders TO PUBLIC", "REVOKE DELETE ON app.orders FROM PUBLIC", "DELETE on"),
    ],
)  # fmt: skip
def test_no_way_makes_a_read_only_user_write(scene: Scene, give: str, take: str, told: str) -> None:
    scene.server.sql(give)
    try:
        with pytest.raises(BackendFailed, match=f"would not be read-only: .*{told}"):
            scene.issue()
        assert scene.server.users() == set()
    finally:
        for statement in take.split("; "):
            scene.server.sql(statement)


def test_a_classified_column_cannot_be_read_whatever_is_asked(scene: Scene) -> None:
    _, issued = scene.issue(roles=(), unclassified=("app.*", "app.safe"))
    with closing(scene.log_in(issued)) as connection:
        assert ask(connection, "SELECT * FROM app.orders") == [(1, "widget")]
        assert ask(connection, "SELECT * FROM app.safe") == [(1, "Ann")]
        for text in (
            "SELECT ssn FROM app.customers",
            "SELECT * FROM app.contacts",
            "HANDLER app.customers OPEN",
            "CHECKSUM TABLE app.customers",
            "SELECT id FROM app.customers NATURAL JOIN (SELECT '000-12-3456' AS ssn) AS guess",
            "SHOW CREATE TABLE app.customers",
            "SELECT LOAD_FILE('/etc/hostname') FROM app.orders INTO OUTFILE '/tmp/x'",
        ):
            with pytest.raises(pymysql.MySQLError, match=r"denied|Access"):
                ask(connection, text)


def test_grants_on_columns_are_no_wall_on_this_server(scene: Scene) -> None:
    """Why `unclassified` gives whole tables or nothing. If this fails, the server has learned to look at columns."""
    _, issued = scene.issue(roles=(), grants=("GRANT SELECT (id) ON app.customers TO {{user}}",))
    with closing(scene.log_in(issued)) as connection:
        with pytest.raises(pymysql.OperationalError, match="denied"):
            ask(connection, "SELECT ssn FROM app.customers")
        ask(connection, "HANDLER app.customers OPEN AS door")
        assert ask(connection, "HANDLER door READ FIRST") == [(1, "Ann", "000-12-3456", "3456")]


@pytest.mark.parametrize(
    "grant",
    ["ON app.*", "ON app.customers", "(id) ON app.customers", "ON app.contacts", "ON `a__`.*"],
)
def test_another_way_to_a_classified_column_means_no_user(scene: Scene, grant: str) -> None:
    if "a__" in grant:
        scene.server.sql(f"GRANT SELECT ON `a__`.* TO {scene.server.admin} WITH GRANT OPTION")
    with pytest.raises(BackendFailed, match="could read classified columns: it has SELECT on"):
        scene.issue(roles=(), unclassified=("app.*",), grants=(f"GRANT SELECT {grant} TO {{{{user}}}}",))
    assert scene.server.users() == set()
    if "a__" in grant:
        scene.server.sql(f"REVOKE SELECT, GRANT OPTION ON `a__`.* FROM {scene.server.admin}")


def test_a_rule_chooses_the_profile(scene: Scene) -> None:
    profiles = {
        "write": MysqlProfile(roles=("app_write",), read_only=False),
        "read": MysqlProfile(roles=("app_read",)),
    }
    order = replace(scene.order(roles=(), profiles=profiles), obligations={"profile": ("write",)})
    issued = asyncio.run(scene.issuer.issue(order, pinned))
    assert issued.handle == {"user": role_name(order.session), "profile": "write"}
    with closing(scene.log_in(issued)) as connection:
        ask(connection, "UPDATE app.orders SET item = item")


# --- statements of one's own ---

CREATE = "CREATE USER {{user}} {{identified}} REQUIRE SSL WITH MAX_USER_CONNECTIONS 2"


def test_statements_make_the_user(scene: Scene) -> None:
    order, issued = scene.issue(roles=(), create=(CREATE, "GRANT SELECT ON app.orders TO {{user}}"))
    with closing(scene.log_in(issued)) as connection:
        assert ask(connection, "SELECT item FROM app.orders") == [("widget",)]
    (known,) = scene.server.sql(f"SHOW CREATE USER '{role_name(order.session)}'@'%'")
    assert "MAX_USER_CONNECTIONS 2" in str(known[0])


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("GRANT SELECT ON app.nowhere TO {{user}}", r"statement 2 of `create`, for.*target `db`.*nowhere"),
        ("GRANT SELECT ON app.orders TO {{user}} {{identified}} {{identified}}", "statement 2 of `create`.*syntax"),
        ("GRANT SHUTDOWN ON *.* TO {{user}}", "statement 2 of `create`.*[Aa]ccess denied"),
    ],
)
def test_a_statement_that_fails_half_way_is_named_and_the_user_undone(scene: Scene, statement: str, told: str) -> None:
    with pytest.raises(BackendFailed, match=told) as failed:
        scene.issue(create=(CREATE, statement))
    assert failed.value.hint
    assert mysql_admin._HASHES.search(failed.value.message) is None
    assert scene.server.users() == set()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"create": ("CREATE USER {{user}}",)}, "must begin with a CREATE USER that holds"),
        ({"create": (CREATE, "DROP DATABASE app")}, "must begin with ALTER or CREATE"),
        ({"create": (CREATE, "GRANT a TO {{user}}; DROP DATABASE app")}, "more than one statement"),
        ({"create": (CREATE, "GRANT a TO {{user}} # x")}, "comment"),
        ({"create": (CREATE,), "connection_limit": 4}, "write them in `create`"),
        ({"grants": ("GRANT a TO b",)}, r"hold \{\{user\}\}"),
        ({"unclassified": ("customers",)}, r"database\.table"),
    ],
)
def test_what_is_no_plain_statement_is_refused_when_it_is_read(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MysqlRoleOptions(user="a", password=Secret("b"), **changes)


# --- longer leases, and what sessions leave behind ---


def test_a_lease_is_made_longer_but_nothing_that_was_barred_comes_back(scene: Scene) -> None:
    order, issued = scene.issue()
    later = replace(order, expires_at=time.time() + 3 * 86400 - 60)
    renewed = asyncio.run(scene.issuer.renew(lease_of(order), issued.credential, later, pinned))
    assert renewed.credential == issued.credential
    scene.log_in(renewed).close()
    account = f"'{role_name(order.session)}'@'%'"
    assert "EXPIRE INTERVAL 3 DAY" in str(scene.server.sql(f"SHOW CREATE USER {account}"))
    scene.server.sql(f"ALTER USER {account} ACCOUNT LOCK")
    with pytest.raises(BackendFailed, match="is barred"):
        asyncio.run(scene.issuer.renew(lease_of(order), issued.credential, later, pinned))
    scene.revoke(order)
    with pytest.raises(BackendFailed, match="is gone"):
        asyncio.run(scene.issuer.renew(lease_of(order), issued.credential, later, pinned))


def test_what_a_session_left_behind_has_nobodys_rights_any_more(scene: Scene) -> None:
    order, issued = scene.issue(roles=("app_write",), read_only=False)
    with closing(scene.log_in(issued)) as connection:
        ask(connection, "CREATE SQL SECURITY DEFINER VIEW app.left_behind AS SELECT ssn FROM app.customers")
        ask(connection, "CREATE EVENT app.ticking ON SCHEDULE EVERY 1 SECOND DO UPDATE app.orders SET item = 'hacked'")
    scene.revoke(order)
    scene.server.sql("UPDATE app.orders SET item = 'widget'")
    try:
        with pytest.raises(pymysql.OperationalError, match="definer"):
            scene.server.sql("SELECT * FROM app.left_behind")
        time.sleep(1.1)  # the event would have run by now
        assert scene.server.sql("SELECT item FROM app.orders") == [("widget",)]
    finally:
        scene.server.sql("DROP VIEW app.left_behind;\nDROP EVENT app.ticking;\nUPDATE app.orders SET item = 'widget'")


def test_a_user_of_another_host_pattern_is_found_all_the_same(scene: Scene) -> None:
    order, _ = scene.issue(host="127.0.0.%")
    scene.revoke(replace(order, target=scene.target(host="10.0.0.1")))
    assert scene.server.users() == set()


def test_a_connection_that_does_not_end_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    order, issued = scene.issue()
    with closing(scene.log_in(issued)), monkeypatch.context() as patch:
        patch.setattr(mysql_mint, "_kill", lambda admin, thread: None)
        patch.setattr(mysql_mint, "LOOKS", 2)
        with pytest.raises(BackendFailed, match="does not end"):
            scene.revoke(order)
    scene.revoke(order)


# --- failures ---


@pytest.mark.parametrize(
    ("changes", "told", "remedy"),
    [
        ({"password": Secret("not-the-password-4711")}, "the password is wrong", "credentials.user"),
        ({"port": 1}, "nothing listens there", "correct `address`"),
        ({"mode": "disable", "ca": None, "user": "tls_only"}, "the password is wrong|TLS", "`"),
        ({"roles": ("nobody_knows",)}, "Invalid role specification", "correct `credentials.roles`"),
        ({"roles": ("app_read", "app_write")}, "one role at a time", "make one role"),
        ({"unclassified": ("app.nowhere",), "roles": ()}, r"as `app\.nowhere`", "unclassified"),
        ({"unclassified": ("app.customers",), "roles": ()}, r"as `app\.customers`", "make a view without them"),
    ],
)  # fmt: skip
def test_a_failure_names_the_source_and_the_remedy(
    scene: Scene, changes: dict[str, Any], told: str, remedy: str
) -> None:
    with pytest.raises(BackendFailed, match=told) as failed:
        scene.issue(**changes)
    assert remedy in failed.value.hint
    assert "4711" not in failed.value.message + failed.value.hint
    assert scene.server.users() == set()


def test_a_certificate_of_a_stranger_is_refused(scene: Scene) -> None:
    with pytest.raises(BackendFailed, match="certificate cannot be verified"):
        asyncio.run(scene.issuer.issue(unlisted(scene.target(ca=scene.server.foreign_ca)), pinned))


def test_a_server_that_nobody_verified_is_not_told_the_password_in_clear(mariadb: MariaDb) -> None:
    """A double that asks for it, as somebody in between would; its bytes follow the protocol's handshake."""
    scene, heard = Scene(mariadb), bytearray()
    greeting = b"\x0a8.0.36\x00" + b"\x01\0\0\0" + b"12345678\0" + b"\xff\xf7\x21\x02\0\xff\x81\x15" + b"\0" * 10
    greeting += b"123456789012\0mysql_native_password\0"
    ask_clear = b"\xfemysql_clear_password\0"

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
            heard.extend(peer.recv(4096))
            peer.sendall(len(ask_clear).to_bytes(3, "little") + b"\x02" + ask_clear)
            heard.extend(peer.recv(4096))

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        order = unlisted(scene.target("disable", port=listener.getsockname()[1]))
        with pytest.raises(BackendFailed, match="asks for the password in a way that is refused"):
            asyncio.run(scene.issuer.issue(order, pinned))
        thread.join()
    assert scene.server.admin.encode() in heard
    assert scene.server.admin_password.encode() not in heard
