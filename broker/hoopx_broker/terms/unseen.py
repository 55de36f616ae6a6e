"""Characters that a text may hold without an eye seeing them, or that do something to what stands around them."""

from __future__ import annotations

import re

# More marks than any script stacks on one letter; beyond it they climb over the lines above and below.
MAX_STACK = 4

# Printable by Unicode's categories and yet nothing to see: joiners, fillers, variation selectors, the Braille blank.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def is_unseen(c: str) -> bool:
    """Controls, formats (bidirectional ones too), blanks other than the space, halves of surrogate pairs, and such."""
    return not c.isprintable() or _BLANK.match(c) is not None
