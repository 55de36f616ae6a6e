"""The loops over rows in a form that mypyc compiles well: once `make compiled` has built it, it takes their place.

As Python they are slower than those that `frames` and `rows` have of their own. Both keep the same laws
(`tests/laws/test_wire_rows_laws.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.wire.cursor import BrokenPeer

if TYPE_CHECKING:  # a machine's own integer, which only the compiler knows
    from mypy_extensions import i64

_NULL: Final = b"\xff\xff\xff\xff"
_NULL_SIZE: Final = 0xFFFFFFFF
# Compiled, this module is a library.
IS_COMPILED: Final[bool] = not __file__.endswith(".py")
_NEGATIVE: Final = 0x80000000


def run(data: bytes, kind: int, stop: int) -> tuple[int, int]:
    """As `frames.run_in_python`."""
    at: i64 = stop
    end: i64 = len(data)
    wanted: i64 = kind
    count: i64 = 1
    while end - at >= 5 and data[at] == wanted:
        length: i64 = data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4]
        if length < 4 or at + 1 + length > end:
            break
        at += 1 + length
        count += 1
    return int(at), int(count)


def hide(data: bytes, masks: Sequence[Mask | None]) -> bytes:
    """As `rows.hide`."""
    constants = [None if mask is None else _cell(mask.value) for mask in masks]
    nulls = [mask is not None and mask.nulls for mask in masks]
    shaped = [mask if mask is not None and mask.of is not None else None for mask in masks]
    width: i64 = len(constants)
    count = len(constants).to_bytes(2, "big")
    out: list[bytes] = []
    at: i64 = 0
    end: i64 = len(data)
    heads: dict[int, bytes] = {}  # rows of one length have one head
    copied: i64 = 0  # all before it has gone out
    while at < end:
        if at + 7 > end:
            raise BrokenPeer("a row ends before its cells do")
        start: i64 = at
        length: i64 = data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4]
        stop: i64 = at + 1 + length
        if (data[at + 5] << 8 | data[at + 6]) != width:
            raise BrokenPeer("a row has other columns than its description")
        if stop > end:
            raise BrokenPeer("a row ends before its cells do")
        head = -1  # where in `out` the row's own length will be, once a cell of it is hidden
        grown: i64 = 0
        at += 7
        kept: i64 = at
        column: i64 = 0
        while column < width:
            if at + 4 > stop:
                raise BrokenPeer("a cell's length does not fit its row")
            size: i64 = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            following: i64 = at + 4
            constant = constants[column]
            if size >= _NEGATIVE:
                if size != _NULL_SIZE:
                    raise BrokenPeer("a cell's length does not fit its row")
                if not nulls[column]:
                    constant = None
            else:
                following += size
                if following > stop:
                    raise BrokenPeer("a cell's length does not fit its row")
            if constant is not None:
                if head < 0:
                    if copied < start:
                        out.append(data[copied:start])
                    head = len(out)
                    out.append(b"")
                if kept < at:
                    out.append(data[kept:at])
                mask = shaped[column]
                if mask is not None and size < _NEGATIVE:
                    constant = _cell(mask.instead_of(data[at + 4 : following]))
                out.append(constant)
                grown += len(constant) - (following - at)
                kept = following
            at = following
            column += 1
        if at != stop:
            raise BrokenPeer("a row's length does not fit its cells")
        if head >= 0:
            out[head] = _head(heads, int(length + grown), count)
            copied = kept
    if copied < end:
        out.append(data[copied:end])
    return b"".join(out)


def _head(heads: dict[int, bytes], length: int, count: bytes) -> bytes:
    found = heads.get(length)
    if found is None:
        found = heads[length] = b"D" + length.to_bytes(4, "big") + count
    return found


def _cell(value: bytes | None) -> bytes:
    return _NULL if value is None else len(value).to_bytes(4, "big") + value
