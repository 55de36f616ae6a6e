"""Hide cells in rows: the DataRow messages of one result, in the format they came in."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import native

_HEAD = struct.Struct("!cIH")
_SIZE = struct.Struct("!i")
_NULL = _SIZE.pack(-1)
_ROW_HEAD = 7


def hide_in_python(data: bytes, masks: Sequence[Mask | None]) -> bytes:
    """`data` holds whole DataRow messages. Raises `BrokenPeer` where a row does not have one cell for each mask."""
    replacements = [None if mask is None else _replacement(mask) for mask in masks]
    width = len(replacements)
    out: list[bytes] = []
    at, end = 0, len(data)
    size_of = _SIZE.unpack_from
    try:
        while at < end:
            _, length, count = _HEAD.unpack_from(data, at)
            stop = at + 1 + length
            if count != width:
                raise BrokenPeer("a row has other columns than its description")
            cells: list[bytes] = []
            at += _ROW_HEAD
            kept = at  # cells from here on pass as they are
            for replacement in replacements:
                size = size_of(data, at)[0]
                if size == -1:
                    if replacement is not None and replacement[1] is not None:
                        cells.append(data[kept:at])
                        cells.append(replacement[1])
                        kept = at + 4
                    at += 4
                    continue
                following = at + 4 + size
                if size < 0 or following > stop:
                    raise BrokenPeer("a cell's length does not fit its row")
                if replacement is not None:
                    constant, _, mask = replacement
                    cells.append(data[kept:at])
                    cells.append(constant if mask is None else _cell(mask.instead_of(data[at + 4 : following])))
                    kept = following
                at = following
            if at != stop:
                raise BrokenPeer("a row's length does not fit its cells")
            cells.append(data[kept:at])
            body = b"".join(cells)
            out.append(_HEAD.pack(b"D", len(body) + 6, width))
            out.append(body)
    except struct.error as error:
        raise BrokenPeer("a row ends before its cells do") from error
    return b"".join(out)


def _replacement(mask: Mask) -> tuple[bytes, bytes | None, Mask | None]:
    """The cell for every value, the one for NULL where NULL is hidden too, the mask where it looks at the value."""
    constant = _cell(mask.value)
    return constant, constant if mask.nulls else None, None if mask.of is None else mask


def _cell(value: bytes | None) -> bytes:
    return _NULL if value is None else _SIZE.pack(len(value)) + value


hide = native.hide if native.IS_COMPILED else hide_in_python
