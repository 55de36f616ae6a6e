"""Profiles, statements of one's own, and longer leases of `postgres-role`, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import TARGETS_OWN, Issued, Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.postgres_mint import PostgresProfile
from hoopx_plugins.postgres_role import PostgresRoleOptions, role_name
from tests.peers.postgres import Postgres
from tests.unit.minting import Scene, lease_of, login_of, pinned, scene_with

CREATE = "CREATE ROLE {{role}} LOGIN PASSWORD {{password}} VALID UNTIL {{expires}} CONNECTION LIMIT 2"
PROFILES = {
    "write": PostgresProfile(roles=("app_write",), read_only=False),
    "read": PostgresProfile(roles=("app_read",), statement_timeout="90s"),
}


@pytest.fixture
def scene(postgres: Postgres) -> Iterator[Scene]:
    with scene_with(postgres, "createrole") as scene:
        yield scene


def options(**changes: Any) -> PostgresRoleOptions:
    return PostgresRoleOptions(user="a", password=Secret("b"), **changes)


def bound(scene: Scene, *names: str, **changes: Any) -> tuple[Order, Issued]:
    """A lease of a session to which rules have bound these profiles."""
    order = replace(scene.order(**({"roles": (), "profiles": PROFILES} | changes)), obligations={"profile": names})
    order = order if names else replace(order, obligations={})
    return order, asyncio.run(scene.issuer.issue(order, pinned))


def may_write(scene: Scene, issued: Issued) -> bool:
    with closing(scene.log_in(issued)) as connection:
        connection.execute("SET default_transaction_read_only = off")
        try:
            connection.execute("UPDATE payments SET paid = paid WHERE id = 1")
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True


def test_a_rule_chooses_the_profile_and_of_several_the_least(scene: Scene) -> None:
    assert may_write(scene, bound(scene, "write")[1])
    order, issued = bound(scene, "write", "read")
    assert not may_write(scene, issued)
    assert issued.handle == {"role": role_name(order.session), "profile": "read"}
    assert not may_write(scene, bound(scene, profile="read")[1])


def test_an_agent_whose_human_alone_is_bound_gets_no_more_than_the_targets_own_profile(scene: Scene) -> None:
    assert not may_write(scene, bound(scene, "write", TARGETS_OWN, profile="read")[1])
    assert may_write(scene, bound(scene, "write", TARGETS_OWN, profile="write")[1])
    with pytest.raises(BackendFailed, match="does not know which profile"):
        bound(scene, "write", TARGETS_OWN)


@pytest.mark.parametrize(
    ("names", "changes", "told"),
    [
        (("admin",), {}, r"no profile `admin`.*there are: `write`, `read`"),
        (("read", "admin"), {}, r"no profile `admin`"),
        ((), {}, r"does not know which profile.*`write`, `read`"),
        (("read",), {"profiles": {}, "roles": ("app_read",)}, r"no profile `read`.*there are: none"),
    ],
)
def test_no_profile_is_ever_guessed(scene: Scene, names: tuple[str, ...], changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BackendFailed, match=told) as refused:
        bound(scene, *names, **changes)
    assert "@profile" in refused.value.hint


def test_statements_make_the_role_and_everything_else_still_holds(scene: Scene) -> None:
    before = scene.server.log_position()
    note = "COMMENT ON ROLE {{role}} IS {{person}};"
    order, issued = scene.issue(create=(CREATE, "ALTER ROLE {{role}} SET work_mem = '8MB'", note))
    with closing(scene.log_in(issued)) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("8MB",)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        assert connection.execute("SHOW client_connection_check_interval").fetchone() == ("2s",)
    known = "SELECT rolconnlimit, extract(epoch FROM rolvaliduntil)::float8, shobj_description(oid, 'pg_authid')"
    rows = scene.superuser(f"{known} FROM pg_roles WHERE rolname = '{role_name(order.session)}'")
    assert rows == [(2, float(int(order.expires_at)), "ann")]
    assert login_of(issued).password.reveal() not in scene.server.log(before)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("GRANT SELECT ON public.nowhere TO {{role}}", r"statement 2 of `create`.*target `db`.*public\.nowhere"),
        ("ALTER ROLE {{role}} PASSWORD PASSWORD {{password}}", r"statement 2 of `create`.*syntax error.*PASSWORD"),
        ("ALTER ROLE {{role}} VALID UNTIL 'infinity'", "until the end of its lease and no longer"),
        ("ALTER ROLE {{role}} NOLOGIN", "until the end of its lease and no longer"),
        ("CREATE DATABASE smuggled", r"statement 2 of `create`.*cannot run inside a transaction block"),
    ],
)
def test_a_statement_that_fails_half_way_leaves_nothing_and_is_named(scene: Scene, statement: str, told: str) -> None:
    order = scene.order(create=(CREATE, statement))
    with pytest.raises(BackendFailed, match=told) as failed:
        asyncio.run(scene.issuer.issue(order, pinned))
    assert not scene.exists(order)
    assert failed.value.hint
    assert "SCRAM" not in failed.value.message


@pytest.mark.parametrize(
    ("create", "told"),
    [
        (("CREATE ROLE {{role}} LOGIN PASSWORD {{password}}",), "must begin with a CREATE ROLE"),
        (("GRANT a TO {{role}}", CREATE), "must begin with a CREATE ROLE"),
        ((CREATE, "COMMIT"), "statement 2 of `create` must begin with one of ALTER"),
        ((CREATE, "ROLLBACK"), "must begin with one of"),
        ((CREATE, "PREPARE TRANSACTION 'x'"), "must begin with one of"),
        ((CREATE, "DO 'begin end'"), "must begin with one of"),
        ((CREATE, "GRANT a TO {{role}}; COMMIT"), "more than one statement"),
        ((CREATE, "GRANT a TO {{role}} /* ; */"), "comment"),
        ((CREATE, "COMMENT ON ROLE {{role}} IS '{{person}}'"), "placeholder in quotes"),
        ((CREATE, "COMMENT ON ROLE {{role}} IS E'\\'; COMMIT; --'"), "backslash"),
        ((CREATE, "COMMENT ON ROLE {{role}} IS $$x$$"), "dollar"),
        ((CREATE, "COMMENT ON ROLE {{role}} IS 'x"), "open quote"),
        ((CREATE, "GRANT {{group}} TO {{role}}"), r"unknown placeholder; known are \{\{expires\}\}"),
        ((CREATE, "GRANT a TO {{Role}}"), "braces"),
    ],
)
def test_what_is_no_plain_statement_is_refused_when_it_is_read(create: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        options(create=create)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profiles": PROFILES, "profile": "reed"}, "`profile` must be one of"),
        ({"profiles": PROFILES, "roles": ("a",)}, "not beside them"),
        ({"create": (CREATE,), "connection_limit": 4}, "CONNECTION LIMIT in `create`"),
        ({"columns_of": ("customers",)}, r"schema\.table"),
        ({"read_only": False, "strict": True}, "no meaning"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        options(**changes)


# --- longer leases ---


def test_a_lease_is_made_longer_by_as_much_as_is_ordered_and_no_more(scene: Scene) -> None:
    order, issued = scene.issue()
    later = replace(order, expires_at=time.time() + 7200.75)
    renewed = asyncio.run(scene.issuer.renew(lease_of(order, issued), issued.credential, later, pinned))
    assert renewed.credential == issued.credential
    assert renewed.handle == issued.handle
    known = "SELECT extract(epoch FROM rolvaliduntil)::float8 FROM pg_roles WHERE rolname"
    assert scene.superuser(f"{known} = '{role_name(order.session)}'") == [(float(int(later.expires_at)),)]


def test_a_role_that_is_gone_or_barred_is_not_brought_back(scene: Scene) -> None:
    order, issued = scene.issue()
    role = role_name(order.session)
    scene.superuser(f"ALTER ROLE {role} NOLOGIN")
    with pytest.raises(BackendFailed, match="is barred"):
        asyncio.run(scene.issuer.renew(lease_of(order, issued), issued.credential, order, pinned))
    scene.revoke(order, issued)
    with pytest.raises(BackendFailed, match="is gone"):
        asyncio.run(scene.issuer.renew(lease_of(order, issued), issued.credential, order, pinned))
    assert not scene.exists(order)


# --- ways round read-only ---


@pytest.mark.parametrize(
    ("give", "take", "told"),
    [
        ("GRANT UPDATE ON SEQUENCE orders_id_seq TO app_read", "REVOKE UPDATE ON SEQUENCE orders_id_seq FROM app_read",
         r"move the sequence `public\.orders_id_seq`"),
        ("GRANT CREATE ON DATABASE app TO app_read", "REVOKE CREATE ON DATABASE app FROM app_read", "create schemas"),
        ("GRANT TRIGGER ON orders TO app_read", "REVOKE TRIGGER ON orders FROM app_read", r"write `public\.orders`"),
        ("ALTER ROLE app_read CREATEDB", "ALTER ROLE app_read NOCREATEDB", "member of `app_read`"),
        ("ALTER ROLE app_read NOINHERIT; GRANT app_write TO app_read",
         "REVOKE app_write FROM app_read; ALTER ROLE app_read INHERIT", r"may write `public\.analytics_daily`"),
        ("SELECT lo_create(4711); GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC", "SELECT lo_unlink(4711)",
         "write the large object 4711"),
    ],
)  # fmt: skip
def test_no_way_round_makes_a_read_only_role_write(scene: Scene, give: str, take: str, told: str) -> None:
    scene.superuser(give)
    try:
        order = scene.order()
        with pytest.raises(BackendFailed, match=f"would not be read-only.*{told}"):
            asyncio.run(scene.issuer.issue(order, pinned))
        assert not scene.exists(order)
    finally:
        scene.superuser(take)


DEFINER = """
CREATE FUNCTION public.pay(which integer) RETURNS void LANGUAGE sql SECURITY DEFINER
AS 'UPDATE payments SET paid = NOT paid WHERE id = which'
"""


def test_strictly_nothing_that_everybody_may_do_is_left(scene: Scene) -> None:
    found: list[str] = []
    for undo in (
        "DROP FUNCTION public.pay",
        "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC",
        "REVOKE TEMPORARY ON DATABASE app FROM PUBLIC",
    ):
        if not found:
            scene.superuser(DEFINER)
        with pytest.raises(BackendFailed, match="would not be read-only") as refused:
            scene.issue(strict=True)
        found.append(refused.value.message.partition(": ")[2])
        scene.superuser(undo)
    try:
        assert "pay(integer)`, which runs with the rights of its owner" in found[0]
        assert "lo_creat(integer)`, which makes or writes large objects" in found[1]
        assert found[2] == "it may make temporary tables"
        scene.issue(strict=True)
    finally:
        scene.superuser(
            "GRANT TEMPORARY ON DATABASE app TO PUBLIC;"
            "GRANT EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) TO PUBLIC"
        )
