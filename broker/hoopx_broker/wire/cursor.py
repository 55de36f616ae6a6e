"""Read bytes that a peer sent; the one place where their lack becomes an error."""

from __future__ import annotations

import struct

_INT16 = struct.Struct("!h")
_UINT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")


class BrokenPeer(Exception):
    """A peer broke its protocol. The message never quotes what the peer sent beyond a type or a length."""


class Cursor:
    """Walks over one frame's body. Every read that would pass the end raises `BrokenPeer`."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    @property
    def left(self) -> int:
        return self._end - self._at

    def _advance(self, size: int) -> int:
        at = self._at
        if size < 0 or at + size > self._end:
            raise BrokenPeer("a message ends before its content does")
        self._at = at + size
        return at

    def int16(self) -> int:
        return int(_INT16.unpack_from(self._data, self._advance(2))[0])

    def uint16(self) -> int:
        return int(_UINT16.unpack_from(self._data, self._advance(2))[0])

    def int32(self) -> int:
        return int(_INT32.unpack_from(self._data, self._advance(4))[0])

    def uint32(self) -> int:
        return int(_UINT32.unpack_from(self._data, self._advance(4))[0])

    def byte(self) -> int:
        return self._data[self._advance(1)]

    def take(self, size: int) -> bytes:
        at = self._advance(size)
        return self._data[at : at + size]

    def rest(self) -> bytes:
        return self.take(self.left)

    def cstring(self) -> bytes:
        """Up to the next NUL, which is consumed and not returned."""
        end = self._data.find(b"\0", self._at, self._end)
        if end < 0:
            raise BrokenPeer("a text in a message has no end")
        text = self._data[self._at : end]
        self._at = end + 1
        return text

    def finish(self) -> None:
        if self._at != self._end:
            raise BrokenPeer("a message goes on after its content ended")
