"""Who is woken when something happens to requests: those who wait for one, for anything, or watch what is approved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from hoopx_broker.terms.ids import RequestId


class Bells:
    """Of one event loop."""

    def __init__(self) -> None:
        self._of: dict[RequestId | None, set[asyncio.Event]] = {}
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        self._watchers.append(changed)

    @contextmanager
    def listening(self, request: RequestId | None = None) -> Iterator[asyncio.Event]:
        """An event that is set whenever something may have happened to the request; to any of them, for None."""
        listener = asyncio.Event()
        self._of.setdefault(request, set()).add(listener)
        try:
            yield listener
        finally:
            self._of[request].discard(listener)
            if not self._of[request]:
                del self._of[request]

    def ring(self, requests: Iterable[RequestId]) -> None:
        """Something may have happened to these."""
        for request in (*requests, None):
            for listener in self._of.get(request, ()):
                listener.set()

    def ring_all(self) -> None:
        """Something may have happened to any of them."""
        for listeners in self._of.values():
            for listener in listeners:
                listener.set()

    def ring_watchers(self) -> None:
        for changed in self._watchers:
            changed()

    @property
    def is_silent(self) -> bool:
        """Nobody listens."""
        return not self._of


async def nap(changed: asyncio.Event, seconds: float) -> None:
    """Until the event is set, or the seconds are over."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return
