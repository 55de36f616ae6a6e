"""Tell whoever is at a session how much of it there is: at most once a second, and only what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hoopx_broker.api.messages import Counts
from hoopx_broker.session.live import LiveSession

# People watch it; a line that changes more often is not read.
EVERY_SECONDS = 1.0


async def count(session: LiveSession, tell: Callable[[Counts], None]) -> None:
    """Runs until it is cancelled."""
    told = Counts()
    while True:
        now = counts_of(session)
        if now != told:
            tell(now)
            told = now
        await asyncio.sleep(EVERY_SECONDS)


def counts_of(session: LiveSession) -> Counts:
    recorder = session.recorder
    return Counts(recorder.statements, recorder.denied, recorder.masked, session.waiting)
