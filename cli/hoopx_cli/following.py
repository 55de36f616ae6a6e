"""Follow a recording while it grows: the last entries first, then each as it comes."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, Generic, TypeVar, cast

T = TypeVar("T")


class Growing(io.RawIOBase):
    """What comes in pieces, read as a file is: whoever reads waits for the rest. `caught_up` is called once, with the
    first empty piece, when all that was there has been read."""

    def __init__(self, pieces: Iterator[bytes], caught_up: Callable[[], None]) -> None:
        self._pieces = pieces
        self._caught_up: Callable[[], None] | None = caught_up
        self._rest = bytearray()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            if piece:
                self._rest += piece
            elif self._caught_up is not None:
                told, self._caught_up = self._caught_up, None
                told()
        given = bytes(self._rest[:size])
        del self._rest[:size]
        return given

    def as_file(self) -> BinaryIO:
        return cast("BinaryIO", self)


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
