"""Why outputs of the suite may differ between the direct way and the way through hoopx."""

from __future__ import annotations

import re

from msgspec import Struct

from tests.regress.compare import Hunk


class Reason(Struct, frozen=True):
    """One class of differences: where it may be, and what its lines look like."""

    name: str
    files: frozenset[str]
    through: re.Pattern[str]
    direct: re.Pattern[str] = re.compile("")

    def explains(self, name: str, hunk: Hunk) -> bool:
        if self.files and name not in self.files:
            return False
        return all(self.through.search(line) for line in hunk.through) and all(
            self.direct.search(line) for line in hunk.direct
        )


REASONS = (
    Reason(
        "with `standard_conforming_strings` off hoopx judges nothing",
        frozenset({"strings"}),
        re.compile("hoopx could not parse|`standard_conforming_strings` off|switch it on again|^$"),
    ),
    Reason(
        "the grammar of PostgreSQL 18 says where an error is that older servers name without a place",
        frozenset({"create_table"}),
        re.compile(r"^LINE \d+: |^ *\^$"),
        re.compile("(?!)"),
    ),
)


def explain(name: str, hunk: Hunk) -> Reason | None:
    return next((reason for reason in REASONS if reason.explains(name, hunk)), None)
