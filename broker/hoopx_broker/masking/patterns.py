"""How one kind of value is looked for: loosely in whole rows, exactly in a cell, and then checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from hoopx_broker.masking.checksums import Span
from hoopx_broker.masking.expressions import Expression, TooMuch

# What stands between the groups of a number: a space, a dash, or a space that does not break, in UTF-8 or Latin-1.
SEPARATOR = r"(?:[ \-]|\xc2?\xa0)"

# A check takes some microseconds. No text that people write has so many numbers in it.
MAX_CANDIDATES = 100_000

# Which part of a candidate is the value; None where it is none.
Check = Callable[[bytes, int, int], Span | None]


def whole(cell: bytes, start: int, end: int) -> Span:
    return start, end


class Pattern(Struct, frozen=True):
    """`loose` is found in every cell that `exact` finds something in, whatever bytes surround it, and costs little.

    Where the check refuses a candidate the search goes on at its next byte, or behind it where `skips`: that is for
    candidates without a longest length.
    """

    exact: str
    loose: str
    check: Check = whole
    skips: bool = False


class Search(Struct, frozen=True):
    """A pattern ready for use. A group in the expression is the value, the rest of the match only its surroundings."""

    expression: Expression
    check: Check = whole
    skips: bool = False

    def spans(self, cell: bytes) -> Iterator[Span]:
        """Raises `TooMuch` where there are more than `MAX_CANDIDATES`, sound or not."""
        at, group, search = 0, self.expression.groups, self.expression.search
        for _ in range(MAX_CANDIDATES):
            found = search(cell, at)
            if found is None:
                return
            span = self.check(cell, *found.span(group))
            if span is not None:
                yield span
                at = max(span[1], found.start() + 1)
            else:
                at = found.end() if self.skips else found.start() + 1
        raise TooMuch
