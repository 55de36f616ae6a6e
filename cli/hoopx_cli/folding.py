"""Lines of recordings at the edge of a terminal: what goes on stands below its own beginning, behind the same bar."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hoopx_cli.inert import width
from hoopx_cli.output import Output
from hoopx_cli.screen import fitting

_LEAD = re.compile(r" *(?:│ )?")
MIN_ROOM = 20


def tell_folded(out: Output, line: str) -> None:
    """As it is where no terminal is: other programs break lines as they like."""
    for piece in folded(line, out.columns):
        out.data(piece)


def folded(line: str, columns: int | None) -> Iterator[str]:
    """`line`, which is inert, in pieces that fit; broken between words where that does not waste most of a line."""
    if columns is None or width(line) <= columns:
        yield line
        return
    lead = _LEAD.match(line)[0]  # type: ignore[index]  # it matches anything
    room, rest = max(columns - width(lead), MIN_ROOM), line[len(lead) :]
    while rest:
        piece, rest = fitting(rest, room)
        if rest and not rest.startswith(" ") and (at := piece.rfind(" ")) > room // 3:
            piece, rest = piece[:at], piece[at:] + rest
        rest = rest.lstrip(" ")
        yield lead + piece.rstrip(" ")
