"""Lay text out on a screen of so many columns: what is a line, how it looks, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from hoopx_cli.inert import inert, inert_lines, width

_ELLIPSIS = "…"


class Style(Enum):
    """How a line looks, where there are colours, by its code of ECMA-48."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    CHOSEN = "7"
    EXACT = "36"
    WARNING = "1;33"
    BAD = "31"


class Line(Struct, frozen=True):
    """One line of a screen; its text is inert and fits.

    With `runs` its pieces look each in their own way: their text, and the parameters of the sequence that makes it so.
    """

    text: str = ""
    style: Style = Style.PLAIN
    runs: tuple[tuple[str, str], ...] = ()


def cut(text: str, room: int) -> str:
    """`text` on one line of at most `room` columns; what is left out shows as `…`."""
    safe = inert(text)
    if width(safe) <= room:
        return safe
    return (fitting(safe, room - 1)[0] if room > 1 else "") + _ELLIPSIS[: max(room, 0)]


def wrapped(text: str, room: int) -> Iterator[str]:
    """All of `text`, broken at blanks where there are any."""
    for line in inert_lines(text):
        rest = line
        while width(rest) > room:
            piece, rest = fitting(rest, room)
            head, blank, tail = piece.rpartition(" ")
            if blank and head.strip() and not rest.startswith(" "):
                piece, rest = head, tail + rest
            yield piece.rstrip()
            rest = rest.lstrip(" ")
        yield rest


def exactly(text: str, room: int) -> Iterator[str]:
    """All of `text`, every character: `│` stands before each line of it, `┆` before what went over the edge."""
    for line in inert_lines(text):
        mark, rest = "│", line
        while True:
            piece, rest = fitting(rest, room - 2)
            yield f"{mark} {piece}"
            if not rest:
                break
            mark = "┆"


def fitting(text: str, room: int) -> tuple[str, str]:
    """As much as fits, at least one character, and the rest. Marks stay with their letter."""
    used = 0
    for at, char in enumerate(text):
        used += width(char)
        if used > room and at:
            return text[:at], text[at:]
    return text, ""
