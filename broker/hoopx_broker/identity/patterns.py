"""Compare a claim with what a rule wants: plain text, or text with `*` that stays within one part of a name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 1_024  # a name of a workflow with its repository and ref; more is pasted by mistake
# Names are made of parts: `repo:acme/shop:ref:refs/heads/main`. A star never reaches into the next one, so that a
# branch or environment cannot be given a name that looks like the rest of a pattern.
_WITHIN = "[^/:]*"
_REST = "(?s:.*)"
_MAX_WHOLE = 2**63  # beyond it JSON readers differ in what a number is


def problem_of(pattern: str) -> str | None:
    """What is wrong with a pattern, if anything."""
    if not 0 < len(pattern) <= MAX_PATTERN or not pattern.isprintable():
        return "is not a pattern of printable characters"
    stars = pattern.count("**")
    if "***" in pattern or stars > 1 or (stars and not pattern.endswith("**")):
        return "has `**` elsewhere than at its end"
    if stars and pattern[:-2] and pattern[-3] not in "/:":
        return "has `**` within a part of a name"
    return None


def is_plain(pattern: str) -> bool:
    return "*" not in pattern


def fits(pattern: str, claim: Any) -> bool:
    """Whole and case-sensitive. An empty or missing claim fits nothing; of a list one member must fit."""
    if isinstance(claim, list):
        return any(_fits(pattern, member) for member in claim)
    return _fits(pattern, claim)


def _fits(pattern: str, claim: Any) -> bool:
    text = _text(claim)
    return bool(text) and (text == pattern if is_plain(pattern) else bool(_expression(pattern).fullmatch(text)))


def _text(claim: Any) -> str:
    """As GitHub and GitLab write it, who give texts for everything: `true`, `17`. Nothing for what has no such form."""
    match claim:
        case str():
            return claim
        case bool():
            return "true" if claim else "false"
        case int() if abs(claim) < _MAX_WHOLE:
            return str(claim)
        case _:
            return ""


@lru_cache(maxsize=10_000)
def _expression(pattern: str) -> Any:
    """RE2 reads in linear time, whatever a stranger names a branch."""
    body, rest = (pattern[:-2], _REST) if pattern.endswith("**") else (pattern, "")
    return re2.compile(_WITHIN.join(re2.escape(piece) for piece in body.split("*")) + rest)
