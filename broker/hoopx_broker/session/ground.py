"""The catalog of one target, which its sessions share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hoopx_broker.terms.catalog import Catalog

# Given the catalog as it was read last, or None.
ReadCatalog = Callable[[Catalog | None], Awaitable[Catalog]]


class Ground:
    """What the sessions on one target share: its catalog, and how often that was changed through this broker.

    The catalog is the same for every login. `as_of` is the minute and the number of changes that it was read at.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.reading = asyncio.Lock()
        self.catalog: Catalog | None = None
        self.as_of = (0, 0)

    async def at(self, minute: int, read: ReadCatalog) -> Catalog:
        """The catalog of this minute, read now if nobody has read it since the last change. Raises `BackendFailed`."""
        async with self.reading:
            if self.catalog is None or self.as_of != (minute, self.changes):
                await self._read(minute, read)
            assert self.catalog is not None
            return self.catalog

    async def anew(self, minute: int, read: ReadCatalog) -> Catalog:
        """Read it, whoever has read it before: something that only the caller knows of may have changed it."""
        async with self.reading:
            await self._read(minute, read)
            assert self.catalog is not None
            return self.catalog

    async def _read(self, minute: int, read: ReadCatalog) -> None:
        changes = self.changes  # those of now: what changes while it is read, may or may not be in it
        self.catalog = await read(self.catalog)
        self.as_of = (minute, changes)
