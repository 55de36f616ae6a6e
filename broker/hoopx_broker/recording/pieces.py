"""Read what comes in pieces as a file is read: whoever reads waits for the next piece."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 18


def as_file(next_piece: Callable[[], bytes | None]) -> BinaryIO:
    """Gives all bytes asked for unless it is at its end, where `next_piece` gives None. No piece is empty."""
    return io.BufferedReader(_Pieces(next_piece), _BUFFER)


class _Pieces(io.RawIOBase):
    def __init__(self, next_piece: Callable[[], bytes | None]) -> None:
        self._next = next_piece
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: WriteableBuffer) -> int:
        """What is there of the current piece; more would have to be waited for."""
        if not self._rest:
            self._rest = memoryview(self._next() or b"")
        room = memoryview(into).cast("B")
        size = min(len(room), len(self._rest))
        room[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
