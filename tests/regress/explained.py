"""Why outputs of the suite may differ between the direct way and hoopx; any other difference fails the lane."""

from __future__ import annotations

import re

from msgspec import Struct

from tests.regress.compare import Hunk


class Reason(Struct, frozen=True):
    """A known difference: the lines of each side, joined by newlines, match its patterns as a whole."""

    name: str
    files: frozenset[str]
    direct: str
    through: str


REASONS: tuple[Reason, ...] = (
    Reason(
        "the grammar of PostgreSQL 18 says where an error is that older servers name without a place",
        frozenset({"create_table"}),
        "",
        r"LINE 3: \) PARTITION BY MAGIC \(a\);\n *\^",
    ),
)


def explain(name: str, hunk: Hunk) -> str | None:
    """The name of the reason that is known for this difference in this file."""
    direct, through = "\n".join(hunk.direct), "\n".join(hunk.through)
    for reason in REASONS:
        if name in reason.files and re.fullmatch(reason.direct, direct) and re.fullmatch(reason.through, through):
            return reason.name
    return None
