"""Wait until a time of the clock on the wall, which may be set, on a machine that may sleep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


async def wait_until(
    due: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[object]], piece: float
) -> None:
    """Sleeps at least once, for `piece` seconds at most at a time, and looks at the clock in between.

    A clock that is set back does not make the wait longer than it was to be.
    """
    left = max(0.0, due - clock())
    while True:
        slice_ = min(left, piece)
        await sleep(slice_)
        left = min(left - slice_, due - clock())
        if left <= 0:
            return
