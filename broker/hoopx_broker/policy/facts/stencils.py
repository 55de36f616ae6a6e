"""The stencil of a statement: what stays of a simple text without the numbers that it compares with.

Applications send one text over and over, with another number each time. Texts of one stencil have the same tokens, but
for the value of an integer behind `=`, `<` or `>`. So the grammar reads the same tree from them, and no fact of a plain
statement comes from such a value: a court that has ruled on one of them need not have the others read.

Simple are texts in which nothing begins that would have to be cut as the server cuts it: no quotes, dollars, comments,
backslashes, nothing beyond ASCII. All others have no stencil.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hoopx_broker.terms.facts import StatementFacts

# Commands with settings take values behind `=` that mean something: `copy … with (header = 1)`, `set x = 1`.
_PLAIN = frozenset({"select", "insert", "update", "delete"})
_NOT_SIMPLE = re.compile(rb"['\"$\\\x00-\x08\x0b-\x1f\x7f-\xff]|--|/\*")
# An operator that stands alone, behind a word or `)`, and an integer of four bytes, which ends where its token ends.
_COMPARED = re.compile(rb"(?<=[0-9A-Za-z_)] [=<>] )[0-9]{1,9}(?=[ \t\n;),]|\Z)")
# It stands for a number and is in no simple text, so no text passes for the stencil of others.
_ANY = b"$"


def stencil(text: bytes) -> bytes | None:
    """None where the text is not simple, or compares with no number."""
    if _NOT_SIMPLE.search(text) is not None:
        return None
    found, numbers = _COMPARED.subn(_ANY, text)
    return found if numbers else None


def is_told_by_stencil(facts: Iterable[StatementFacts]) -> bool:
    """Whether these are the facts of every text of that stencil."""
    return all(one.kinds <= _PLAIN and not one.settings and not one.dangerous for one in facts)
