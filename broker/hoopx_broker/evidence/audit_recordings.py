"""Hold recordings against the log: none changed, none missing, none that nobody knows of."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.evidence.examination import Bench, Examination, Suspect
from hoopx_broker.evidence.learned import LogSeen
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.evidence.shelves import Lying


class Inquest:
    """Looks at all recordings with one bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def all(self, log: LogSeen, seen: Seen | None) -> tuple[list[Suspect], int]:
        """What is wrong, and how many recordings there are."""
        there = await self._bench.shelves.all()
        self._bench.progress.begin([lying.size for lying in there.values()])
        rows = seen.unlogged if seen is not None else {}
        sessions = sorted({*there, *log.sessions, *rows})
        return await self._judged(((session, there.get(session)) for session in sessions), log, seen), len(there)

    async def again(self, suspects: Iterable[Suspect], log: LogSeen, seen: Seen) -> list[Suspect]:
        """What is still wrong with these, by a later look."""
        places = [
            (session, await self._bench.shelves.find(session)) for session in sorted({one.session for one in suspects})
        ]
        return await self._judged(places, log, seen)

    async def _judged(
        self, places: Iterable[tuple[str, Lying | None]], log: LogSeen, seen: Seen | None
    ) -> list[Suspect]:
        found: list[Suspect] = []
        for session, lying in places:
            one = Examination(self._bench, log, seen, session)
            suspect = await one.there(lying) if lying is not None else one.gone()
            if suspect is None and lying is not None:
                self._bench.counts.spooled += lying.is_spooled
                self._bench.progress.count()
            if suspect is not None:
                found.append(suspect)
        return found
