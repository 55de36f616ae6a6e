"""Drop roles that left nothing behind, all that were shut out together in one go; nearly every session is such."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from hoopx_broker.terms.errors import HoopxError
from hoopx_plugins.postgres_admin import Connection
from hoopx_plugins.postgres_drop import SHORT_LOCKS, Barred
from hoopx_plugins.postgres_kept import Kept
from hoopx_plugins.postgres_turns import Turn, Urgency

# At once, so that whoever waits for a session to open has a turn in between.
MOST = 25

# Those that own nothing, have nothing in another database, prepared no transaction, and did not log in just before
# they were barred. What they were granted goes with `DROP OWNED`.
_PLAIN = """
SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.oid = ANY (%s)
AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity WHERE usesysid = r.oid)
AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_xacts WHERE owner = r.rolname)
AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_shdepend AS s
    WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = r.oid
      AND (s.deptype = 'o' OR s.dbid NOT IN
           (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))
)
"""


class Sweep:
    """What it does not manage is left to whoever asked: it fails nobody."""

    def __init__(self, kept: Kept, turn: Turn, patience: Callable[[], float]) -> None:
        self._kept = kept
        self._turn = turn
        self._patience = patience
        self._asked: list[tuple[Barred, asyncio.Future[bool]]] = []
        self._work: asyncio.Task[None] | None = None

    async def drops(self, role: Barred) -> bool:
        """True when the role is gone; false where it is to be dropped by itself."""
        loop = asyncio.get_running_loop()
        dropped: asyncio.Future[bool] = loop.create_future()
        self._asked.append((role, dropped))
        if self._work is None:
            self._work = loop.create_task(self._drop_all(), name="dropping roles")
        return await dropped

    async def _drop_all(self) -> None:
        try:
            async with self._kept.connection() as connection:
                await connection.execute(f"SET search_path = pg_catalog; {SHORT_LOCKS}")
                while self._asked:
                    await self._drop_some(connection)
        except (psycopg.Error, HoopxError, TimeoutError):
            pass  # each finds out by itself what is wrong, and says so
        finally:
            self._work = None
            left, self._asked = self._asked, []
            for _, dropped in left:
                _settle(dropped, is_dropped=False)

    async def _drop_some(self, connection: Connection) -> None:
        some, self._asked = self._asked[:MOST], self._asked[MOST:]
        gone: set[int] = set()
        try:
            async with asyncio.timeout(self._patience()), self._turn.taken(Urgency.LATER):
                gone = await _drop([role for role, _ in some], connection)
        except psycopg.Error:
            if connection.broken:
                raise
        finally:
            for role, dropped in some:
                _settle(dropped, is_dropped=role.oid in gone)


async def _drop(roles: Sequence[Barred], connection: Connection) -> set[int]:
    """The oids of those that are gone: all that are plain, or none."""
    rows = await (await connection.execute(_PLAIN, [[role.oid for role in roles]])).fetchall()
    plain = {int(str(oid)) for (oid,) in rows}
    names = sql.SQL(", ").join(sql.Identifier(role.name) for role in roles if role.oid in plain)
    if plain:
        # Sent as one, so it is one transaction.
        await connection.execute(sql.SQL("DROP OWNED BY {names}; DROP ROLE {names}").format(names=names))
    return plain


def _settle(dropped: asyncio.Future[bool], *, is_dropped: bool) -> None:
    if not dropped.done():
        dropped.set_result(is_dropped)
