"""Does a ticket look as rules demand? Their patterns are RE2's, which takes linear time whoever wrote the ticket."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 200  # the form of a ticket's name; more is pasted by mistake


def fits(patterns: Iterable[str], ticket: str) -> bool:
    """Does the whole ticket match every pattern? One that RE2 does not take matches nothing."""
    return all(_matches(pattern, ticket) for pattern in patterns)


def problem_of(pattern: str) -> str | None:
    """What is wrong with a pattern, if anything."""
    if not 0 < len(pattern) <= MAX_PATTERN or not pattern.isprintable():
        return f"is not 1 to {MAX_PATTERN} printable characters"
    try:
        _compiled(pattern)
    except re2.error as error:
        text = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        return f"is not a pattern of RE2: {text}"
    return None


def _matches(pattern: str, ticket: str) -> bool:
    try:
        return bool(_compiled(pattern).fullmatch(ticket))
    except (re2.error, UnicodeEncodeError):
        return False


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
