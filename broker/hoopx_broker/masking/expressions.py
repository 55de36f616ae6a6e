"""Compile search patterns with RE2: a search takes time in proportion to the text, whoever wrote text and pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

import re2

# What the states of one pattern may take. Beyond that RE2 forgets some and goes on, more slowly.
MAX_MEMORY = 16 * 1024 * 1024
# A pattern that somebody wrote into a configuration; the programs of longer ones are no longer small.
MAX_PATTERN = 1000
MAX_OWN_MEMORY = 4 * 1024 * 1024

# How often anything is looked for in one cell: half a second of work, in which no other session is served.
MAX_FINDS = 500_000

_EMPTY = "(?:)"
_NO_WIDTH = frozenset("bBAz")


# Of longer texts each pattern is looked for by itself: all at once, their states are too many.
MAX_CHOOSING = 4096


class Found(Protocol):
    """Where a pattern was found; the span of group 0 is all of it."""

    def span(self, group: int = 0) -> tuple[int, int]: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class Expression(Protocol):
    """A compiled pattern. `match` begins at `pos` exactly, `search` wherever it can."""

    @property
    def groups(self) -> int: ...
    def search(self, text: bytes, pos: int = 0) -> Found | None: ...
    def match(self, text: bytes, pos: int = 0) -> Found | None: ...


class BadPattern(Exception):
    """A pattern that cannot be used. `what` goes on from the pattern: "matches the empty text"."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class TooMuch(Exception):
    """A cell is so full of what could be a value that nobody waits until all of it is checked."""


def every(expression: Expression, text: bytes) -> Iterator[tuple[int, int]]:
    """Where it is found, each place behind the one before. Raises `TooMuch` beyond `MAX_FINDS`."""
    at = 0
    for _ in range(MAX_FINDS):
        found = expression.search(text, at)
        if found is None:
            return
        start, at = found.span()
        yield start, at
    raise TooMuch


def over_bytes(pattern: str) -> Expression:
    """A pattern of our own, in which each character is one byte."""
    return cast(Expression, re2.compile(pattern.encode("latin-1"), _options()))


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    return options


class Chooser:
    """Tells which of some patterns of our own are in a text, by one pass over it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._count = len(patterns)
        self._set = re2.Set.SearchSet(_options())
        for pattern in patterns:
            self._set.Add(pattern.encode("latin-1"))
        self._set.Compile()

    def among(self, text: bytes) -> Iterable[int]:
        """By their places. All of them where none is found: RE2 says no more where its memory was exhausted."""
        found = self._set.Match(text) if self._count and len(text) <= MAX_CHOOSING else None
        return found or range(self._count)


def checked(pattern: str) -> Expression:
    """A pattern of somebody else. Raises `BadPattern` where RE2 refuses it, or where it is found in any text."""
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"is longer than {MAX_PATTERN} characters", "look for less, or use several detectors")
    found = over_text(pattern)
    if anywhere([without_assertions(pattern)], over_text).match(b"") is not None:
        raise BadPattern("matches the empty text", "let it match at least one character, for example with `+` for `*`")
    return found


def over_text(pattern: str) -> Expression:
    """A pattern over UTF-8. Raises `BadPattern` where RE2 refuses it."""
    options = re2.Options()
    options.max_mem = MAX_OWN_MEMORY
    options.never_capture = True
    options.log_errors = False
    try:
        return cast(Expression, re2.compile(pattern.encode(), options))
    except (re2.error, UnicodeEncodeError) as error:
        told = error.args[0] if isinstance(error, re2.error) else "not Unicode"
        told = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise BadPattern(f"is not a pattern of RE2: {told}", "see https://github.com/google/re2/wiki/Syntax") from None


def anywhere(patterns: list[str], compiled: Callable[[str], Expression]) -> Expression:
    """One expression whose `match` tells whether any of the patterns is somewhere in a text, of any bytes.

    Anchored with a prefix, because RE2 then need not go back to look for where a match begins. Not RE2's sets: those
    find nothing where their memory is exhausted, while an expression goes on with a slower machine.
    """
    return compiled(rf"\C*?(?:{'|'.join(f'(?:{pattern})' for pattern in patterns)})")


def without_assertions(pattern: str) -> str:
    """The pattern without `^`, `$`, `\\b` and the like: it is found wherever the pattern is, whatever stands around it.

    A cell in a row is surrounded by lengths, which may be any bytes.
    """
    out: list[str] = []
    at = 0
    while at < len(pattern):
        piece = _piece(pattern, at)
        at += len(piece)
        is_assertion = piece in ("^", "$") or (len(piece) == 2 and piece[0] == "\\" and piece[1] in _NO_WIDTH)
        out.append(_EMPTY if is_assertion else piece)
    return "".join(out)


def _piece(pattern: str, at: int) -> str:
    """The next character, escape, quotation or character class."""
    if pattern.startswith("\\Q", at):
        end = pattern.find("\\E", at)
        return pattern[at:] if end < 0 else pattern[at : end + 2]
    if pattern[at] == "\\":
        return pattern[at : at + 2]
    return pattern[at : _class_end(pattern, at)] if pattern[at] == "[" else pattern[at]


def _class_end(pattern: str, at: int) -> int:
    """Behind the `]` that closes the class which opens here. One that stands first is a member."""
    at += 2 if pattern.startswith("[^", at) else 1
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
            at = end + 2
        else:
            at += 2 if pattern[at] == "\\" else 1
    return at + 1
