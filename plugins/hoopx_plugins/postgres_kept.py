"""Administrators' connections, kept for whoever needs one next: a login costs more than most of what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg

from hoopx_plugins.postgres_admin import Connection, refresh

# A burst is over by then, and nobody who wants to copy or drop the database waits for long.
IDLE_SECONDS = 10.0


class Kept:
    """At most `most` connections of one administrator to one database; closed when nobody has used them for a while.

    They belong to the event loop on which they were made: its end closes them.
    """

    def __init__(self, log_in: Callable[[], Awaitable[Connection]], most: int) -> None:
        self._log_in = log_in
        self._room = asyncio.Semaphore(most)
        self._free: list[tuple[Connection, float]] = []  # and until when it is kept; the longest unused first
        self._closing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One that is as new. It is not kept where anything went wrong. Raises `BackendFailed` and psycopg's errors."""
        async with self._room:
            connection = await self._as_new()
            try:
                yield connection
            except BaseException:
                await connection.close()
                raise
            self._keep(connection)

    async def _as_new(self) -> Connection:
        while self._free:
            connection, _ = self._free.pop()
            try:
                await refresh(connection)
            except psycopg.Error:  # the server was restarted, or ended it
                await connection.close()
            except BaseException:
                await connection.close()
                raise
            else:
                return connection
        return await self._log_in()

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._free.append((connection, loop.time() + IDLE_SECONDS))
        if self._closing is None:
            self._closing = loop.create_task(self._close_unused(), name="unused connections")

    async def _close_unused(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._free:
                await asyncio.sleep(max(0.0, self._free[0][1] - loop.time()))
                while self._free and self._free[0][1] <= loop.time():
                    connection, _ = self._free.pop(0)
                    await connection.close()
        finally:
            self._closing = None
            left, self._free = self._free, []
            for connection, _ in left:
                await connection.close()
