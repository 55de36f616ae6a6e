"""The SQL of the rooms is one text for SQLite and PostgreSQL: what only one of them reads is refused by both.

Written so: parameters `?` or `:name`; `"user"` in quotes; numbers 0 and 1 for truth; `json_each(…)` for the members of
a JSON text, with the columns `key` and `value`; a table's name before a column in the `WHERE` of an upsert.
"""

from __future__ import annotations

import re
from functools import lru_cache

# The rooms have some hundred texts; lists put together from filters make some more.
_MEMORY = 2_000

_TOKEN = re.compile(
    r"""
    (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" )
  | (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<cast> :: )
  | (?P<mark> \? )
  | :(?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<percent> % )
  | (?P<members> \bjson_each\b(?=\s*\() )
    """,
    re.VERBOSE | re.DOTALL,
)

# What one of them does not read, or reads as something else -> what both read.
_STRANGE = {
    r"(?<![.:\w])user\b": '`user` is who is logged in to PostgreSQL: write `"user"`',
    r"\bIS\s+(?:NOT\s+)?[?:]": "`IS` a parameter is SQLite's: write `(c = :p OR (c IS NULL AND :p IS NULL))`",
    r"\b(?:max|min)\s*\([^()]*,": "`max` and `min` of two are SQLite's: write `CASE WHEN`",
    r"\b(?:WHERE|AND|OR)\s+[01]\b(?!\s*[=<>])": "a number is no condition in PostgreSQL: write `TRUE`",
    r"\bNOT\s+(?:\w+\.)?(?:spent|glass)\b": "a number is no condition in PostgreSQL: compare it to 0",
    r"\bjson_(?:group_array|group_object|object|array|extract)\b|\bjson\s*\(": "JSON is put together in Python",
    r"\bRETURNING\b": "SQLite 3.34 knows no `RETURNING`",
    r"\bOR\s+(?:IGNORE|REPLACE|ABORT)\b": "write `ON CONFLICT`",
    r"\b(?:strftime|datetime|unixepoch|julianday|last_insert_rowid|rowid|ifnull|total)\b": "is SQLite's alone",
    r"::": "write `CAST(… AS …)`",
}
_STRANGERS = [(re.compile(pattern, re.IGNORECASE), why) for pattern, why in _STRANGE.items()]


@lru_cache(_MEMORY)
def refuse_strange(text: str) -> None:
    """Raises `ValueError` for a text that only one of the two would read as it is meant."""
    bare = _TOKEN.sub(_without_words, text)
    for pattern, why in _STRANGERS:
        if found := pattern.search(bare):
            raise ValueError(f"{found[0]!r} in a statement on the state: {why}")


@lru_cache(_MEMORY)
def for_psycopg(text: str) -> str:
    """The same statement as psycopg wants its parameters. Raises `ValueError` as `refuse_strange`."""
    refuse_strange(text)
    kinds = {found.lastgroup for found in _TOKEN.finditer(text)} & {"mark", "name"}
    if len(kinds) > 1:
        raise ValueError("a statement on the state has parameters of both kinds")
    return _TOKEN.sub(_replaced, text)


def _without_words(found: re.Match[str]) -> str:
    """Nothing in quotes or comments is of interest, and no parameter's name."""
    match found.lastgroup:
        case "quoted" | "comment":
            return " '' "
        case "name":
            return ":p"
        case _:
            return found[0]


def _replaced(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "mark":
            return "%s"
        case "name":
            return f"%({found['name']})s"
        case "members":
            return "json_members"  # its own function in the schema: PostgreSQL's `json_each` reads objects alone
        case _:
            return found[0].replace("%", "%%")
