"""What becomes of the cells in the rows of a COPY, whatever its format: hidden, looked at, or left as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hoopx_broker.masking.shapes import Mask

Look = Callable[[bytes, int], bytes | None]
# May there be anything to look at in these bytes? False is certain.
Sees = Callable[[bytes], bool]
Rewrite = Callable[[bytes], bytes]
Rewrites = tuple[tuple[int, Rewrite], ...]


class Spelling(Protocol):
    """How one format writes a value as a cell."""

    # The cell that is NULL for sure; None where a value could be written the same.
    null: bytes | None

    def read(self, cell: bytes) -> bytes:
        """The value of a cell that is not `null`."""

    def write(self, value: bytes | None) -> bytes: ...


def rewrites(spelling: Spelling, masks: Sequence[Mask | None], look: Look | None) -> Rewrites:
    """Each column, from 0, whose cells may not pass as they are, and what makes the new cell of the old one."""
    found = ((column, _rewrite(spelling, mask, look, column)) for column, mask in enumerate(masks))
    return tuple((column, rewrite) for column, rewrite in found if rewrite is not None)


def _rewrite(spelling: Spelling, mask: Mask | None, look: Look | None, column: int) -> Rewrite | None:
    if mask is not None:
        return _hiding(spelling, mask)
    return None if look is None else _looking(spelling, look, column)


def _hiding(spelling: Spelling, mask: Mask) -> Rewrite:
    null, constant = spelling.null, spelling.write(mask.value)
    # A cell that may be NULL or a value is hidden as a value: who picks what NULL looks like could ask for one so.
    instead_of_null = constant if mask.nulls or null is None else null
    if mask.of is None:
        return lambda cell: instead_of_null if cell == null else constant
    read, write, instead_of = spelling.read, spelling.write, mask.instead_of
    return lambda cell: instead_of_null if cell == null else write(instead_of(read(cell)))


def _looking(spelling: Spelling, look: Look, column: int) -> Rewrite:
    null, read, write = spelling.null, spelling.read, spelling.write

    def looked_at(cell: bytes) -> bytes:
        if cell == null:
            return cell
        value = read(cell)
        seen = look(value, column)
        return cell if seen == value else write(seen)

    return looked_at
