"""Whose turn it is on a server: one at a time, and those that a person waits for before the tidying up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum

from psycopg import errors

from hoopx_plugins.postgres_admin import Pause

# PostgreSQL raises an error when two transactions change the privileges of one table; with another broker on the same
# server that is over in milliseconds.
ATTEMPTS = 6
PAUSE = 0.05


class Urgency(Enum):
    """Who goes first."""

    SOON = "a session waits for it to open"
    LATER = "nobody can log in any more, the rest is tidying up"


class Turn:
    """As a lock, but what is urgent does not queue behind what is not."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[Urgency, deque[asyncio.Future[None]]] = {urgency: deque() for urgency in Urgency}

    @asynccontextmanager
    async def taken(self, urgency: Urgency) -> AsyncIterator[None]:
        await self._take(urgency)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, urgency: Urgency) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[urgency].append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():  # it was our turn in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for queue in self._waiting.values():
            while queue:
                called = queue.popleft()
                if not called.done():
                    called.set_result(None)
                    return
        self._is_taken = False


async def until_undisturbed(work: Callable[[], Awaitable[None]], pause: Pause) -> None:
    """Do `work`, again where another broker's work on that server came in between."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await work()
        except (errors.InternalError_, errors.SerializationFailure, errors.DeadlockDetected) as error:
            if attempt == ATTEMPTS or not _is_passing(error):
                raise
            await pause(PAUSE * attempt)
        else:
            return


def _is_passing(error: errors.Error) -> bool:
    """True for a collision of two transactions; PostgreSQL has no code of its own for one on a catalog row."""
    return not isinstance(error, errors.InternalError_) or "concurrently" in (error.diag.message_primary or "")
