"""All recordings that an audit can look at: those in the store, and those that still wait in the spool for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from hoopx_broker.recording.format import SUFFIX
from hoopx_broker.seams.store import EvidenceStore, NotStored


class Lying(Struct, frozen=True):
    """Where the recording of a session lies now."""

    session: str
    size: int
    store: EvidenceStore
    is_spooled: bool = False

    @property
    def name(self) -> str:
        return self.session + SUFFIX

    def read(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self.store.get(self.name, start, length)


class Shelves:
    """`spool` is the directory from which recordings go to the store, where that is not the same."""

    def __init__(self, store: EvidenceStore, spool: EvidenceStore | None = None) -> None:
        self._store = store
        self._spool = spool

    async def all(self) -> dict[str, Lying]:
        """By session, in their order. The spool is looked at first: from there they go to the store, never back."""
        found: dict[str, Lying] = {}
        for place in (self._spool, self._store):
            if place is not None:
                async for each in place.list("s_"):
                    if each.name.endswith(SUFFIX) and "/" not in each.name:
                        session = each.name.removesuffix(SUFFIX)
                        found[session] = Lying(session, each.size, place, place is self._spool)
        return dict(sorted(found.items()))

    async def find(self, session: str) -> Lying | None:
        """Where it is now, which may be elsewhere than it was."""
        for place in (self._spool, self._store):
            if place is not None:
                try:
                    there = await place.stat(session + SUFFIX)
                except NotStored:
                    continue
                return Lying(session, there.size, place, place is self._spool)
        return None
