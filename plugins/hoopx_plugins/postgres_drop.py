"""Drop a minted role: bar it, cut its sessions, hand over what it made, drop it; each step safe to repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from psycopg import errors, sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins.postgres_admin import Connection

Login = Callable[[str], AbstractAsyncContextManager[Connection]]
Pause = Callable[[float], Awaitable[None]]

# A backend ends within milliseconds of being told; one that has not after five seconds hangs in the kernel.
LOOKS = 50
BETWEEN_LOOKS = 0.1

_OID = "SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s"
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


async def drop_role(connection: Connection, role: str, heirs: Sequence[str], login: Login, pause: Pause) -> None:
    """Returns when `role` is gone for certain; what it made belongs then to the first of `heirs` that can have it.

    Where it fails in between, the role can at least not log in.
    """
    await connection.execute("SET search_path = pg_catalog")
    oid = await _oid(connection, role) or await _oid_after_all(connection, role)
    if oid is None:
        return
    await _bar(connection, role)
    await _cut(connection, oid, pause)
    await _hand_over(connection, role, heirs)
    for database in await _elsewhere(connection, role, oid):
        async with login(database) as there:
            await _hand_over(there, role, heirs)
    # Whoever was in the middle of logging in when the role was barred shows up only now.
    await _cut(connection, oid, pause)
    await connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


async def _oid(connection: Connection, role: str) -> int | None:
    row = await (await connection.execute(_OID, [role])).fetchone()
    return int(str(row[0])) if row else None


async def _oid_after_all(connection: Connection, role: str) -> int | None:
    """Nobody sees the role, but a transaction that makes it may be about to end: its broker was killed just then.

    Making a role of the same name waits for that transaction; if it comes to nothing, so does ours.
    """
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    except (errors.UniqueViolation, errors.DuplicateObject):
        return await _oid(connection, role)
    return None


async def _bar(connection: Connection, role: str) -> None:
    """No new logins; and the administrator gets the role's own rights, which the next steps need."""
    name = sql.Identifier(role)
    await connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
    if await _is_superuser(connection):
        return
    grant = "GRANT {} TO CURRENT_USER"
    if connection.info.server_version >= 160000:
        grant += " WITH INHERIT TRUE, SET TRUE"
    await connection.execute(sql.SQL(grant).format(name))


async def _is_superuser(connection: Connection) -> bool:
    mine = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"
    row = await (await connection.execute(mine)).fetchone()
    return bool(row and row[0])


async def _cut(connection: Connection, oid: int, pause: Pause) -> None:
    """End all sessions of the role, and see them gone."""
    for _ in range(LOOKS):
        told = await (await connection.execute(_CUT, [oid])).fetchall()
        if not told:
            return
        await pause(BETWEEN_LOOKS)
    raise BackendFailed("a session of a minted role does not end", "look for it in pg_stat_activity; it is barred")


async def _hand_over(connection: Connection, role: str, heirs: Sequence[str]) -> None:
    """What the role made in this database becomes an heir's; its privileges there end."""
    name = sql.Identifier(role)
    await connection.execute("SET search_path = pg_catalog")
    for (gid,) in await (await connection.execute(_PREPARED, [role])).fetchall():
        # Only its owner may give up a prepared transaction, which would hold its locks for ever.
        await connection.execute(sql.SQL("SET ROLE {}").format(name))
        await connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(str(gid)))
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


async def _elsewhere(connection: Connection, role: str, oid: int) -> list[str]:
    rows = await (await connection.execute(_ELSEWHERE, {"role": role, "oid": oid})).fetchall()
    return [str(row[0]) for row in rows]
