"""Shut roles out: bar them and cut what is logged in as them, all that end at the same time in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from psycopg import sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins.postgres_admin import Connection, Pause, is_superuser
from hoopx_plugins.postgres_kept import Kept

# A backend ends within milliseconds of being told; one that has not after five seconds hangs in the kernel.
LOOKS = 250
# In one transaction: the first need not wait for the last.
MOST = 25
BETWEEN_LOOKS = 0.02

_OIDS = "SELECT rolname::text, oid FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)"
_CUT = """
SELECT usesysid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usesysid = ANY (%s)
"""

Told = Callable[[Exception], Exception]


class _Case:
    """A role that is being shut out, and who waits for it."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.oid = 0
        self.looks = 0
        self.shut: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def settle(self, oid: int | None) -> None:
        if not self.shut.done():
            self.shut.set_result(oid)

    def fail(self, error: Exception) -> None:
        if not self.shut.done():
            self.shut.set_exception(error)


class Barrier:
    """`told` says an error as people read it; `patience` is how many seconds a step may take at most."""

    def __init__(self, kept: Kept, told: Told, pause: Pause, patience: Callable[[], float]) -> None:
        self._kept = kept
        self._told = told
        self._pause = pause
        self._patience = patience
        self._asked: list[_Case] = []
        self._cutting: list[_Case] = []
        self._work: asyncio.Task[None] | None = None

    async def shut_out(self, role: str) -> int | None:
        """Returns when nobody can log in as `role` nor is logged in: its oid, None where there is no such role.

        Who was in the middle of logging in may show up afterwards. Raises `BackendFailed`.
        """
        case = _Case(role)
        self._asked.append(case)
        self._go_to_work()
        return await case.shut

    def _go_to_work(self) -> None:
        if self._work is None and self._asked:
            self._work = asyncio.get_running_loop().create_task(self._shut_out_all(), name="shutting roles out")

    async def _shut_out_all(self) -> None:
        try:
            async with self._kept.connection() as connection:
                await connection.execute("SET search_path = pg_catalog")
                right = await _right_to_cut(connection)
                while self._asked or self._cutting:
                    async with asyncio.timeout(self._patience()):
                        await self._bar(connection, right)
                        await self._cut(connection)
                    if self._cutting and not self._asked:
                        await self._pause(BETWEEN_LOOKS)
        except asyncio.CancelledError:
            for case in self._taken():
                case.shut.cancel()
            raise
        except Exception as error:  # each that waits hears of it, and nobody else
            for case in self._taken():
                case.fail(self._told(error))
        finally:
            self._work = None
            self._go_to_work()

    def _taken(self) -> list[_Case]:
        cases = [*self._asked, *self._cutting]
        self._asked, self._cutting = [], []
        return cases

    async def _bar(self, connection: Connection, right: str | None) -> None:
        # Taken over before anything is asked: whoever comes meanwhile has their turn in the next round.
        asked, self._asked = self._asked[:MOST], self._asked[MOST:]
        self._cutting += asked
        if not asked:
            return
        rows = await (await connection.execute(_OIDS, [[case.role for case in asked]])).fetchall()
        oids = {str(role): int(str(oid)) for role, oid in rows}
        for case in asked:
            case.oid = oids.get(case.role, 0)
            if not case.oid:
                case.settle(None)
        there = [case for case in asked if case.oid]
        await self._each(there, lambda some: connection.execute(_barring([case.role for case in some], right)))

    async def _cut(self, connection: Connection) -> None:
        """End all their sessions, and see which are gone."""
        busy: set[int] = set()

        async def cut(some: Sequence[_Case]) -> None:
            rows = await (await connection.execute(_CUT, [[case.oid for case in some]])).fetchall()
            busy.update(int(str(oid)) for oid, _ in rows)

        await self._each([case for case in self._cutting if not case.shut.done()], cut)
        for case in self._cutting:
            case.looks += 1
            if case.oid not in busy:
                case.settle(case.oid)
            elif case.looks > LOOKS:
                case.fail(does_not_end())
        self._cutting = [case for case in self._cutting if not case.shut.done()]

    async def _each(self, cases: Sequence[_Case], step: Callable[[Sequence[_Case]], Awaitable[object]]) -> None:
        """One statement for all; where that fails, one for each, so that nobody suffers for another."""
        if not cases:
            return
        try:
            await step(cases)
        except psycopg.Error as error:
            if len(cases) == 1:
                cases[0].fail(self._told(error))
                return
            for case in cases:
                await self._each([case], step)


def does_not_end() -> BackendFailed:
    return BackendFailed("a session of a minted role does not end", "look for it in pg_stat_activity; it is barred")


async def _right_to_cut(connection: Connection) -> str | None:
    """What gives an administrator a role's own rights, which ending its sessions and the next steps need."""
    if await is_superuser(connection):
        return None
    inherited = " WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160000 else ""
    return "GRANT {} TO CURRENT_USER" + inherited


def _barring(roles: Sequence[str], right: str | None) -> sql.Composed:
    """One transaction: no new logins."""
    steps = ["ALTER ROLE {} NOLOGIN", *([right] if right else [])]
    return sql.SQL("; ").join(sql.SQL(step).format(sql.Identifier(role)) for role in roles for step in steps)
