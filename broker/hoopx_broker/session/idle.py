"""Notices a client that has said nothing for too long while its server had nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class IdleWatch:
    """Calls `on_idle` once, `seconds` after what was heard last, unless `is_busy` then.

    Whoever hears something only notes the time of it, because that happens for every message.
    """

    def __init__(self, seconds: float, is_busy: Callable[[], bool], on_idle: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._is_busy = is_busy
        self._on_idle = on_idle
        self.heard()
        self._timer = self._loop.call_later(seconds, self._look)

    def heard(self) -> None:
        self._heard_at = self._loop.time()

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._is_busy():
            self.heard()
        left = self._heard_at + self._seconds - self._loop.time()
        if left <= 0:
            self._on_idle()
        else:
            self._timer = self._loop.call_later(left, self._look)
