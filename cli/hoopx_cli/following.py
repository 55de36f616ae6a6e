"""Show the last of many things first, then each as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Window(Generic[T]):
    """Keeps the last `size` of what it takes until it is opened; then all go straight through.

    `passed` hears of those that fell out, in order, because what is shown later may depend on them.
    """

    def __init__(self, size: int, show: Callable[[T], None], passed: Callable[[T], None] | None = None) -> None:
        self._kept: deque[T] = deque()
        self._size = size
        self._show = show
        self._passed = passed
        self._is_open = False

    def take(self, moment: T) -> None:
        if self._is_open:
            self._show(moment)
            return
        self._kept.append(moment)
        if len(self._kept) > self._size:
            gone = self._kept.popleft()
            if self._passed is not None:
                self._passed(gone)

    def open(self) -> None:
        self._is_open = True
        while self._kept:
            self._show(self._kept.popleft())
