"""Look into rows that no plan hides: scan whole DataRow messages, and rewrite those in which something is found."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.looked_into import is_encoded
from hoopx_broker.wire.cursor import BrokenPeer

_HEAD = struct.Struct("!cIH")
_LENGTH = struct.Struct("!I")
_SIZE = struct.Struct("!i")
_NULL = _SIZE.pack(-1)
_ROW_HEAD = 7
# Below this the length of every row and cell has a zero, which no built-in pattern matches: none reaches into the next.
_ONE_BY_ONE = 1 << 24

# The type and format of each column to look into; None for others.
Covered = Sequence[tuple[int, int] | None]


def hide(data: bytes, detection: Detection, covered: Covered) -> bytes:
    """`data` holds whole DataRow messages; the same object comes back where nothing is found.

    Raises `BrokenPeer` where a row that is looked into does not have one cell for each column.
    """
    encoded = any(column is not None and is_encoded(column[0]) for column in covered)
    if not any(covered) or not detection.sees(data, encoded=encoded):
        return data
    try:
        if detection.crosses or len(data) >= _ONE_BY_ONE:
            return _each_row(data, detection, covered)
        return _hinted_rows(data, detection, covered, encoded=encoded)
    except struct.error as error:
        raise BrokenPeer("a row ends before its cells do") from error


class _Hints:
    """Where in the data something may be hidden next: `upcoming` is where it ends, beyond everything if nowhere."""

    def __init__(self, data: bytes, detection: Detection, *, encoded: bool) -> None:
        self._data = data
        self._detection = detection
        self._encoded = encoded
        self._known: dict[int, int] = {}
        self.upcoming = 0

    def pass_over(self, place: int) -> int:
        """The next that ends behind this place."""
        if self.upcoming <= place:
            found = self._detection.next_hint(self._data, place, self._known, encoded=self._encoded)
            self.upcoming = found if found >= 0 else len(self._data) * 2
        return self.upcoming


def _hinted_rows(data: bytes, detection: Detection, covered: Covered, *, encoded: bool) -> bytes:
    """Go from hint to hint, and pass over the rows between."""
    out: list[bytes] = []
    hints = _Hints(data, detection, encoded=encoded)
    at = kept = 0
    while at < len(data) and (hint := hints.pass_over(at)) <= len(data):
        # The first byte of the next row looks like a letter, so a hint may end behind it and be meant for this row.
        start, stop = _row_at(data, at, hint - 1)
        shown = _row(data, start, stop, detection, covered, hints)
        if shown is not None:
            out += (data[kept:start], shown)
            kept = stop
        at = stop
    return b"".join((*out, data[kept:])) if out else data


def _each_row(data: bytes, detection: Detection, covered: Covered) -> bytes:
    out: list[bytes] = []
    at = kept = 0
    while at < len(data):
        start, at = _row_at(data, at, at + 1)
        shown = _row(data, start, at, detection, covered, None)
        if shown is not None:
            out += (data[kept:start], shown)
            kept = at
    return b"".join((*out, data[kept:])) if out else data


def _row_at(data: bytes, at: int, place: int) -> tuple[int, int]:
    """The row that holds the byte before `place`, found from the row that begins at `at`."""
    length_of, end = _LENGTH.unpack_from, len(data)
    while True:
        stop = at + 1 + int(length_of(data, at + 1)[0])
        if stop > end or stop < at + _ROW_HEAD:
            raise BrokenPeer("a row's length does not fit its message")
        if place <= stop:
            return at, stop
        at = stop


def _row(data: bytes, at: int, stop: int, detection: Detection, covered: Covered, hints: _Hints | None) -> bytes | None:
    """None where nothing is found. Without hints every cell is looked into."""
    if _HEAD.unpack_from(data, at)[2] != len(covered):
        raise BrokenPeer("a row has other columns than its description")
    cells: list[bytes] = []
    at += _ROW_HEAD
    kept = at
    for column in covered:
        size = int(_SIZE.unpack_from(data, at)[0])
        following = at + 4 + max(size, 0)
        if size < -1 or following > stop:
            raise BrokenPeer("a cell's length does not fit its row")
        # A hint may end in the length behind the cell that it is meant for.
        if column is not None and size > 0 and (hints is None or hints.pass_over(at + 4) <= following + 4):
            cell = data[at + 4 : following]
            shown = detection.hide(cell, *column)
            if shown is not cell:
                cells += (data[kept:at], _NULL if shown is None else _SIZE.pack(len(shown)) + shown)
                kept = following
        at = following
    if at != stop:
        raise BrokenPeer("a row's length does not fit its cells")
    if not cells:
        return None
    body = b"".join((*cells, data[kept:stop]))
    return _HEAD.pack(b"D", len(body) + 6, len(covered)) + body
