"""The binary format of COPY: a header, rows of sized cells, and a trailer."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.copying_cells import Look, rewrites

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = struct.Struct("!11sii")
# The lower half of the flags may be anything; of the upper, none but the one for oids was ever given a meaning.
_CRITICAL = 0xFFFF0000
_COUNT = struct.Struct("!h")
_SIZE = struct.Struct("!i")
_NULL = _SIZE.pack(-1)
_TRAILER = -1


class Sized:
    """A cell is its size and its value."""

    null: bytes | None = _NULL

    def read(self, cell: bytes) -> bytes:
        return cell[4:]

    def write(self, value: bytes | None) -> bytes:
        return _NULL if value is None else _SIZE.pack(len(value)) + value


class Binary:
    """Reads from the start of a row, and gives what was whole."""

    def __init__(self, masks: Sequence[Mask | None], look: Look | None) -> None:
        found = dict(rewrites(Sized(), masks, look))
        self._rewrites = [found.get(column) for column in range(len(masks))]
        self._is_begun = False
        self._is_over = False
        # How many bytes the row that was begun needs at least to go on.
        self._missing = 0

    def hide(self, data: bytes) -> tuple[list[bytes], int]:
        """From the start of a row: the rows to send, and where the one begins whose end is still to come.

        The header goes with the first row, and the trailer counts as a row, as in the messages of a server.
        """
        rows: list[bytes] = []
        at = 0
        while at < len(data) and (stop := self._row(data, at, rows)):
            at = stop
        return rows, at

    def goes_on(self, piece: bytes) -> bool:
        """Does the row that was begun not end in this next piece of it?"""
        self._missing -= len(piece)
        return self._missing > 0

    def finish(self) -> None:
        """Raises `BrokenPeer` without a trailer."""
        if not self._is_over:
            raise BrokenPeer("the data of a COPY ends before its trailer")

    def _row(self, data: bytes, start: int, rows: list[bytes]) -> int:
        """Where it ends, 0 where it is not whole."""
        if self._is_over:
            raise BrokenPeer("the rows of a COPY go on behind their trailer")
        at = start
        if not self._is_begun and not (at := self._after_header(data)):
            return 0
        if self._lacks(data, at + _COUNT.size):
            return 0
        count = _COUNT.unpack_from(data, at)[0]
        at += _COUNT.size
        if count != _TRAILER:
            return self._cells(data, start, at, count, rows)
        self._is_over = True
        rows.append(data[start:at])
        return at

    def _after_header(self, data: bytes) -> int:
        """0 where it is not whole."""
        if self._lacks(data, _HEADER.size):
            return 0
        signature, flags, extension = _HEADER.unpack_from(data)
        if signature != _SIGNATURE or flags & _CRITICAL or extension < 0:
            raise BrokenPeer("a COPY in binary begins with a header that is not known")
        stop: int = _HEADER.size + extension
        return 0 if self._lacks(data, stop) else stop

    def _cells(self, data: bytes, start: int, at: int, count: int, rows: list[bytes]) -> int:
        """Where they end, 0 where they are not whole."""
        if count != len(self._rewrites):
            raise BrokenPeer("a row of a COPY has another number of columns than its table or query")
        cells: list[bytes] = []
        kept, end = start, len(data)  # from `kept` on, bytes pass as they are
        for rewrite in self._rewrites:
            following = at + 4
            if following <= end:
                size = _SIZE.unpack_from(data, at)[0]
                if size < -1:
                    raise BrokenPeer("a cell of a COPY has a length out of bounds")
                following += size if size > 0 else 0
            if following > end:
                self._missing = following - end
                return 0
            if rewrite is not None:
                cells.append(data[kept:at])
                cells.append(rewrite(data[at:following]))
                kept = following
            at = following
        cells.append(data[kept:at])
        self._is_begun = True
        rows.append(b"".join(cells))
        return at

    def _lacks(self, data: bytes, size: int) -> bool:
        self._missing = size - len(data)
        return self._missing > 0
