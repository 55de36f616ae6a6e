"""Make a role with all it may do, or make it last longer, on an administrator's connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import psycopg
from msgspec import Meta, Struct
from psycopg import errors, sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.postgres_admin import Connection
from hoopx_plugins.postgres_columns import check_tables, grant_unclassified
from hoopx_plugins.postgres_statements import check_create, check_grants, run, values_for
from hoopx_plugins.postgres_walls import check_read_only

# A statement goes on although its client is gone, until the server looks: with a killed broker its sessions end so.
LOOKS_FOR_CLIENT = "2s"
CONNECTIONS = 20
# By the server's own clock, which is the one that it goes by.
_HAS_TIME = """
SELECT rolvaliduntil > pg_catalog.clock_timestamp() FROM pg_catalog.pg_roles WHERE rolname = {}
"""


class PostgresProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a minted role may do. `roles` are granted to it; `grants` are further GRANT statements, `{{role}}` being it.

    `create` are statements that make the role instead of ours. `columns_of` names tables of whose columns it may read
    those that are not classified. `read_only` refuses to mint a role that could write, `strict` also one that could do
    what databases give to everybody (see docs/credentials/postgres-role.md). `connection_limit` bounds the streams of
    one session. `statement_timeout` is the role's default: `90s`, `15m`, `1h`.
    """

    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    columns_of: tuple[str, ...] = ()
    read_only: bool = True
    strict: bool = False
    connection_limit: Annotated[int, Meta(ge=1, le=1000)] | None = None
    statement_timeout: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,5}[smh]$")] | None = None

    def __post_init__(self) -> None:
        check_grants(self.grants)
        check_create(self.create)
        check_tables(self.columns_of)
        if self.create and self.connection_limit is not None:
            raise ValueError("`connection_limit` is for the role that hoopx makes: write CONNECTION LIMIT in `create`")
        if self.strict and not (self.read_only or self.columns_of):
            raise ValueError("`strict` has no meaning without `read_only` or `columns_of`")


async def mint_role(
    connection: Connection, role: str, password: Secret, order: Order, profile: PostgresProfile
) -> None:
    """Within a transaction of the caller's: whatever fails here undoes the rest."""
    source = f"the source `postgres-role` of target `{order.target.name}`"
    values = values_for(connection, order, role, _verifier(connection, role, password), _end(order))
    for number, statement in enumerate(profile.create, 1):
        await run(connection, statement, values, f"statement {number} of `create`, for {source},", order)
    if profile.create:
        await _check_made(connection, role, order)
    await _complete(connection, role, values, profile, source)
    for number, grant in enumerate(profile.grants, 1):
        await run(connection, grant, values, f"statement {number} of `grants`, for {source},", order)
    if profile.columns_of:
        await grant_unclassified(connection, role, profile.columns_of, order.target, strict=profile.strict)
    if profile.read_only:
        await check_read_only(connection, role, order.target.name, strict=profile.strict)


async def extend_role(connection: Connection, role: str, order: Order) -> None:
    """Let `role` log in until the order's end. Raises `BackendFailed` where it is gone or barred."""
    known = "SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = %s"
    row = await (await connection.execute(known, [role])).fetchone()
    if row is None or not row[0]:
        raise BackendFailed(
            f"the role `{role}` of target `{order.target.name}` {'is barred' if row else 'is gone'}",
            "open a new session: this one cannot be made longer",
        )
    await connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(role), _end(order)))


async def groups_of(connection: Connection, role: str, candidates: Sequence[str]) -> Sequence[str]:
    """Those of `candidates` that `role` is a member of: what it leaves behind must not get more rights than it had."""
    member = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%(names)s) AND EXISTS ("
    member += "SELECT 1 FROM pg_catalog.pg_roles AS m WHERE m.rolname = %(role)s"
    member += " AND pg_catalog.pg_has_role(m.oid, pg_roles.oid, 'MEMBER'))"
    rows = await (await connection.execute(member, {"names": list(candidates), "role": role})).fetchall()
    found = {str(name) for (name,) in rows}
    return [name for name in candidates if name in found]


async def _complete(
    connection: Connection, role: str, values: dict[str, str], profile: PostgresProfile, source: str
) -> None:
    """What needs no words of the operator's, sent in one go: nobody waits for the way there more than once."""
    name = sql.Identifier(role)
    steps: list[sql.Composable] = []
    if not profile.create:
        create = f"CREATE ROLE {{}} LOGIN INHERIT PASSWORD {values['password']} VALID UNTIL {values['expires']}"
        steps.append(sql.SQL(create + " CONNECTION LIMIT {}").format(name, profile.connection_limit or CONNECTIONS))
    steps.extend(_membership(connection).format(sql.Identifier(parent), name) for parent in profile.roles)
    if profile.read_only:
        steps.append(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
    if profile.statement_timeout:
        limit = profile.statement_timeout.replace("m", "min")
        steps.append(sql.SQL("ALTER ROLE {} SET statement_timeout = {}").format(name, limit))
    steps.append(sql.SQL(_HAS_TIME).format(role))
    await _demand_time(await connection.execute(sql.SQL("; ").join(steps)), source)
    if connection.info.server_version >= 140000:
        await _look_for_client(connection, name)


async def _demand_time(answers: psycopg.AsyncCursor[tuple[object, ...]], source: str) -> None:
    while answers.nextset():
        pass  # the question was asked last
    row = await answers.fetchone()
    if row is None or not row[0]:
        raise BackendFailed(
            f"{source} made a role that has ended already: the server's clock is ahead of the broker's by more than the"
            " life of the lease",
            "set the clocks of both machines right (NTP)",
        )


async def _look_for_client(connection: Connection, name: sql.Identifier) -> None:
    try:
        async with connection.transaction():
            setting = sql.SQL("ALTER ROLE {} SET client_connection_check_interval = {}")
            await connection.execute(setting.format(name, LOOKS_FOR_CLIENT))
    except errors.InvalidParameterValue:
        pass  # a server on Windows cannot look; its sessions end with their statements


async def _check_made(connection: Connection, role: str, order: Order) -> None:
    """The statements of an operator made what was asked for: a role that logs in, and ends when the lease does."""
    asked = (
        "SELECT rolcanlogin AND rolvaliduntil <= pg_catalog.to_timestamp(%s), rolsuper"
        " FROM pg_catalog.pg_roles WHERE rolname = %s"
    )
    row = await (await connection.execute(asked, [order.expires_at, role])).fetchone()
    if row is None or not row[0] or row[1]:
        raise BackendFailed(
            f"the statements of `create` for target `{order.target.name}` made no role that may log in until the end "
            "of its lease and no longer, or they made a superuser",
            "let the first be CREATE ROLE {{role}} LOGIN PASSWORD {{password}} VALID UNTIL {{expires}}",
        )


def _end(order: Order) -> str:
    """Rounded down: never beyond the order."""
    return datetime.fromtimestamp(int(order.expires_at), UTC).isoformat(sep=" ", timespec="seconds")


def _verifier(connection: Connection, role: str, password: Secret) -> str:
    """The SCRAM-SHA-256 verifier, made here: the clear password reaches neither the server nor its log."""
    made = connection.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    return made.decode()


def _membership(connection: Connection) -> sql.SQL:
    """From PostgreSQL 16 on the role has the privileges of its groups, but cannot become one of them."""
    if connection.info.server_version >= 160000:
        return sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE")
    return sql.SQL("GRANT {} TO {}")
