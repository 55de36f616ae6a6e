"""Functions that tell nothing of a value beside what they return: they fail for no value, and give one row for each.

Whoever may not see a value may still have it computed with, because the result is hidden too. A function that raises
an error for some values, or gives more rows for some, would tell them apart.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Of the functions that make rows, those whose rows have one column, whatever they are given.
_ONE_COLUMN = frozenset(
    [
        "generate_series",
        "generate_subscripts",
        "json_object_keys",
        "jsonb_object_keys",
        "regexp_matches",
        "regexp_split_to_table",
        "string_to_table",
    ]
)
# With a second one, the encoding that the first must be of.
_ALONE = "length"


def is_silent(name: str, argument: int, arguments: int) -> bool:
    """Whether argument number `argument` (from 0) of PostgreSQL's function `name`, called with so many, is free."""
    known = _names("silent.txt")
    if name == _ALONE and arguments > 1:
        return False
    return name in known or f"{name}:{argument}" in known


def makes_rows(name: str) -> bool:
    """Whether it gives as many rows as its arguments say."""
    return name in _names("makes_rows.txt")


def makes_one_column(name: str) -> bool:
    """Whether in FROM it gives exactly one column, of its own name."""
    return name in _ONE_COLUMN


@cache
def _names(file: str) -> frozenset[str]:
    """Names in `pg_catalog`, for those of which only one argument is free with its number: `left:0`."""
    return frozenset((Path(__file__).parent / file).read_text("ascii").split())
