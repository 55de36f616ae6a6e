"""Lines of recordings at the edge of a terminal: what goes on stands below, and shows that it goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hoopx_cli.inert import width
from hoopx_cli.output import Output
from hoopx_cli.screen import fitting

_BAR = re.compile(r" *│ ")  # before what was said in a session
_NARROW = 60  # columns; below, what was said stands nearer to the edge


def tell_folded(out: Output, line: str) -> None:
    """As it is where no terminal is: other programs break lines as they like."""
    columns = out.columns
    for piece in [line] if columns is None or width(line) <= columns else laid(line, columns):
        out.data(piece)


def laid(line: str, columns: int) -> Iterator[str]:
    """A line of a story, broken at the edge. What was said in the session stays behind its bar."""
    head, mark = "", ""
    if bar := _BAR.match(line):
        head = bar[0] if columns >= _NARROW else "│ "
        line, mark = line[len(bar[0]) :], head.replace("│", "┆")
    elif line.startswith("  "):
        text = line.lstrip(" ")
        head = " " * (len(line) - len(text)) if columns >= _NARROW else "  "
        line, mark = text, head + "  "
    room = max(columns - max(len(head), len(mark)), 1)
    for number, piece in enumerate(_broken(line, room)):
        yield (mark if number else head) + piece


def _broken(line: str, room: int) -> Iterator[str]:
    rest = line
    while width(rest) > room:
        piece, rest = fitting(rest, room)
        whole, blank, tail = piece.rpartition(" ")
        if blank and whole.strip() and not rest.startswith(" "):
            piece, rest = whole + blank, tail + rest
        yield piece
    yield rest
