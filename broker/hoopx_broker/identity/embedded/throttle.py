"""Count failures, and say when somebody has failed too often for now."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

# Addresses or names remembered at once: some megabytes at the worst.
MAX_NAMES = 10_000


class Throttle:
    """Shut for a name once it failed `limit` times within `window` seconds, until the oldest failure is past it."""

    def __init__(self, limit: int, window: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def is_shut(self, name: str) -> bool:
        failures = self._failures.get(name)
        if failures is None:
            return False
        while failures and failures[0] <= self._clock() - self._window:
            failures.popleft()
        return len(failures) >= self._limit

    def failed(self, name: str) -> None:
        self._failures.setdefault(name, deque(maxlen=self._limit)).append(self._clock())
        self._failures.move_to_end(name)
        while len(self._failures) > MAX_NAMES:
            self._failures.popitem(last=False)

    def forgive(self, name: str) -> None:
        self._failures.pop(name, None)
