"""Drop a minted role that is shut out: hand over what it made, and drop it; each step safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct
from psycopg import errors, sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins import postgres_admin
from hoopx_plugins.postgres_admin import Connection, Pause
from hoopx_plugins.postgres_barrier import BETWEEN_LOOKS, LOOKS, does_not_end
from hoopx_plugins.postgres_turns import Turn, Urgency

Login = Callable[[str], AbstractAsyncContextManager[Connection]]


class Barred(Struct, frozen=True):
    """A role that nobody can log in as any more; `postgres_barrier` makes it so."""

    name: str
    oid: int


# Whoever asks to open a session does not wait behind somebody's lock on what a minted role owned.
SHORT_LOCKS = "SET lock_timeout = '300ms'"

_CUT = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usesysid = %s
"""
# Databases of this server, other than the present one, where the role owns something or holds a privilege.
_ELSEWHERE = """
SELECT DISTINCT d.datname::text
FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = %(oid)s
  AND d.datname <> pg_catalog.current_database()
UNION
SELECT database::text FROM pg_catalog.pg_prepared_xacts
WHERE owner = %(role)s::name AND database <> pg_catalog.current_database()
"""
_PREPARED = """
SELECT gid FROM pg_catalog.pg_prepared_xacts
WHERE owner = %s::name AND database = pg_catalog.current_database()
"""


# True where the role owns something in this database, or something that belongs to none.
_OWNS = """
SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_roles AS r ON r.oid = s.refobjid
    WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o' AND r.rolname = %s
      AND s.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
)
"""


async def being_made(connection: Connection, role: str) -> bool:
    """Nobody sees the role, but a transaction that makes it may be about to end: its broker was killed just then.

    Making a role of the same name waits for that transaction; if it comes to nothing, so does ours.
    """
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    except (errors.UniqueViolation, errors.DuplicateObject):
        return True
    return False


async def drop_role(
    connection: Connection, role: Barred, heirs: Sequence[str], login: Login, turn: Turn, pause: Pause
) -> None:
    """Returns when `role` is gone for certain; what it made belongs then to the first of `heirs` that can have it.

    Safe to repeat: where it fails in between, the role can at least not log in.
    """
    try:
        await _drop(connection, role, heirs, login, turn, pause)
    except errors.UndefinedObject:
        await connection.execute(postgres_admin.LIMITS)
        # Where several brokers were told to revoke it, another one may have been first.
        if await _exists(connection, role):
            raise


async def _drop(
    connection: Connection, role: Barred, heirs: Sequence[str], login: Login, turn: Turn, pause: Pause
) -> None:
    await _hand_over_in_turn(connection, role.name, heirs, turn)
    for database in await _elsewhere(connection, role):
        async with login(database) as there:
            await _hand_over(there, role.name, heirs)
    # Whoever was in the middle of logging in when the role was barred shows up only now.
    await _cut(connection, role.oid, pause)
    await connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role.name)))


async def _exists(connection: Connection, role: Barred) -> bool:
    asked = "SELECT 1 FROM pg_catalog.pg_roles WHERE oid = %s OR rolname = %s"
    return await (await connection.execute(asked, [role.oid, role.name])).fetchone() is not None


async def _cut(connection: Connection, oid: int, pause: Pause) -> None:
    for _ in range(LOOKS):
        if not await (await connection.execute(_CUT, [oid])).fetchall():
            return
        await pause(BETWEEN_LOOKS)
    raise does_not_end()


async def _hand_over_in_turn(connection: Connection, role: str, heirs: Sequence[str], turn: Turn) -> None:
    """In turn, for two that change the privileges of one table disturb each other; but not for long."""
    await connection.execute(SHORT_LOCKS)
    try:
        async with turn.taken(Urgency.LATER):
            await _hand_over(connection, role, heirs)
    except errors.LockNotAvailable:
        await connection.execute(postgres_admin.LIMITS)
        await _hand_over(connection, role, heirs)
    else:
        await connection.execute(postgres_admin.LIMITS)


async def _hand_over(connection: Connection, role: str, heirs: Sequence[str]) -> None:
    """What the role made in this database becomes an heir's; its privileges there end."""
    name = sql.Identifier(role)
    await connection.execute("SET search_path = pg_catalog")
    for (gid,) in await (await connection.execute(_PREPARED, [role])).fetchall():
        # Only its owner may give up a prepared transaction, which would hold its locks for ever.
        await connection.execute(sql.SQL("SET ROLE {}").format(name))
        try:
            await connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(str(gid)))
        finally:
            await connection.execute("RESET ROLE")
    async with connection.transaction():
        if await _owns(connection, role):
            await _reassign(connection, role, heirs)
        await connection.execute(sql.SQL("DROP OWNED BY {}").format(name))


async def _owns(connection: Connection, role: str) -> bool:
    row = await (await connection.execute(_OWNS, [role])).fetchone()
    return bool(row and row[0])


async def _reassign(connection: Connection, role: str, heirs: Sequence[str]) -> None:
    """Never to the administrator: a view or a SECURITY DEFINER function would run with its rights from then on."""
    why = "and no heir is named"
    for heir in heirs:
        try:
            async with connection.transaction():
                reassign = sql.SQL("REASSIGN OWNED BY {} TO {}")
                await connection.execute(reassign.format(sql.Identifier(role), sql.Identifier(heir)))
        except errors.InsufficientPrivilege as error:
            why = f"and `{heir}` cannot get them ({error.diag.message_primary})"
        else:
            return
    raise BackendFailed(
        f"the minted role `{role}` is barred but not dropped: it owns objects, {why}",
        "name a `credentials.heir` with CREATE where they are, make the administrator a member of it, or drop them",
    )


async def _elsewhere(connection: Connection, role: Barred) -> list[str]:
    rows = await (await connection.execute(_ELSEWHERE, {"role": role.name, "oid": role.oid})).fetchall()
    return [str(row[0]) for row in rows]
