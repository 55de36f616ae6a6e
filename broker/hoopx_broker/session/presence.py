"""A session is for somebody: when they leave, its opening is given up, or the session is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hoopx_broker.session.live import LiveSession
from hoopx_broker.tunnel.crew import Crew

_Made = TypeVar("_Made")
# Returns when nobody is there any more.
Leaving = Callable[[], Coroutine[Any, Any, object]]


async def unless_left(leaving: Leaving, making: Coroutine[Any, Any, _Made], crew: Crew) -> _Made | None:
    """What is made; None when they left before, and what was made until then is undone."""
    try:
        async with asyncio.timeout(None) as patience:
            watch = crew.start(_end_patience(leaving, patience), "patience")
            try:
                return await making
            finally:
                watch.cancel()
    except TimeoutError:
        if not patience.expired():
            raise
        return None


async def _end_patience(leaving: Leaving, patience: asyncio.Timeout) -> None:
    await leaving()
    patience.reschedule(asyncio.get_running_loop().time())


async def until_the_end(
    session: LiveSession, leaving: Leaving, left: Callable[[], str], crew: Crew, clock: Callable[[], float]
) -> str:
    """Returns why the session ends: what `left` says when they have, its time is over, or someone ended it.

    Its time may be prolonged meanwhile.
    """
    gone = crew.start(leaving(), "leaving")
    over = crew.start(session.over.wait(), "session over")
    try:
        while True:
            ends_at = session.ends_at
            seconds = max(0.0, ends_at - clock())
            done, _ = await asyncio.wait({gone, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if done or session.ends_at <= ends_at:
                break
    finally:
        gone.cancel()
        over.cancel()
    if over in done:
        return session.end_reason
    return left() if gone in done else "its time is over"
