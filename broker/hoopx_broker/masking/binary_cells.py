"""Look into the parts of arrays, rows and hstores in the binary format, and write the lengths anew."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from math import prod

_INT = struct.Struct("!i")
_OID = struct.Struct("!I")
_NULL = _INT.pack(-1)
_ARRAY = struct.Struct("!iiI")
_MAX_DIMENSIONS = 6  # the server's own limit
_LEAST_FIELD = 8  # a type and a length

# Of a part and its type, 0 where that is not told: the same object, another, or None for NULL.
Look = Callable[[bytes, int], bytes | None]


class _Misread(Exception):
    """These bytes are something else."""


def array(cell: bytes, look: Look) -> bytes | None:
    """None where this is no array; the same object where `look` changes nothing."""
    try:
        dimensions, has_nulls, element = _ARRAY.unpack_from(cell)
        if not 0 <= dimensions <= _MAX_DIMENSIONS or has_nulls not in (0, 1):
            return None
        head = _ARRAY.size + 8 * dimensions
        counts = [_INT.unpack_from(cell, _ARRAY.size + 8 * each)[0] for each in range(dimensions)]
        parts = list(_parts(cell, head))
    except (struct.error, _Misread):
        return None
    if len(parts) != (prod(counts) if dimensions else 0):
        return None
    return _changed(cell, parts, lambda part, _: look(part, element))


def record(cell: bytes, look: Look) -> bytes | None:
    """A row or a composite value: each field with its type."""
    try:
        count = _INT.unpack_from(cell)[0]
        if not 0 <= count <= len(cell) // _LEAST_FIELD:
            return None
        parts = list(_parts(cell, _INT.size, before=_OID.size))
    except (struct.error, _Misread):
        return None
    if len(parts) != count:
        return None
    return _changed(cell, parts, lambda part, at: look(part, _OID.unpack_from(cell, at - 8)[0]))


def hstore(cell: bytes, look: Look) -> bytes | None:
    """Keys and values by turns."""
    try:
        count = _INT.unpack_from(cell)[0]
        parts = list(_parts(cell, _INT.size))
    except (struct.error, _Misread):
        return None
    return _changed(cell, parts, lambda part, _: look(part, 0)) if len(parts) == 2 * count else None


def _parts(cell: bytes, at: int, *, before: int = 0) -> Iterator[tuple[int, int]]:
    """Where each part's content begins and ends; a NULL ends where it begins, less one. Up to the very end."""
    while at < len(cell):
        size = _INT.unpack_from(cell, at + before)[0]
        at += before + _INT.size
        if size < -1 or at + size > len(cell):
            raise _Misread
        yield at, at + size
        at += max(size, 0)


def _changed(cell: bytes, parts: list[tuple[int, int]], look: Callable[[bytes, int], bytes | None]) -> bytes:
    out: list[bytes] = []
    kept = 0
    for start, end in parts:
        if end < start:
            continue
        part = cell[start:end]
        shown = look(part, start)
        if shown is not part:
            sized = _NULL if shown is None else _INT.pack(len(shown)) + shown
            out += (cell[kept : start - _INT.size], sized)
            kept = end
    return b"".join((*out, cell[kept:])) if out else cell
