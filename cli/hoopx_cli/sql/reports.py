"""Say what a database, or hoopx before it, has against a statement, and what the command leaves with because of it."""

from __future__ import annotations

from collections.abc import Iterator

from hoopx_broker.terms.errors import ExitCode
from hoopx_broker.wire.postgres import refusals
from hoopx_cli.inert import inert, width
from hoopx_cli.sql.happenings import Report

# Of a line, so much stands around the place of an error, as in psql.
AROUND = 60
CUT = "..."

_BY_SOURCE = {
    refusals.DENIED: ExitCode.DENIED,
    refusals.REFUSED: ExitCode.REFUSED,
    refusals.PENDING_STILL: ExitCode.PENDING,
}


def exit_code(report: Report) -> ExitCode:
    """Of a statement that failed."""
    if report.source in _BY_SOURCE:
        return _BY_SOURCE[report.source]
    if report.is_final or report.code[:2] in ("53", "58"):  # it lacks resources, or its system failed
        return ExitCode.BACKEND_FAILED
    return ExitCode.SQL_FAILED


def lines(report: Report, text: str = "", room: int = 80) -> Iterator[str]:
    """As psql says it; `text` is the statement."""
    yield f"{report.severity}:  {report.message}"
    if report.position and text:
        yield from place(text, report.position, room)
    for name, said in (("DETAIL", report.detail), ("HINT", report.hint), ("CONTEXT", report.context)):
        if said:
            yield f"{name}:  {said}"


def place(text: str, position: int, room: int) -> Iterator[str]:
    """The line of a statement that an error is in, and a mark under the place. `position` counts from 1."""
    at = min(position - 1, len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)].replace("\t", " ")
    number = text.count("\n", 0, start) + 1
    head = f"LINE {number}: "
    before, shown = _around(line, at - start, max(min(AROUND, room - len(head)), 20))
    yield head + shown
    yield " " * (len(head) + before) + "^"


def _around(line: str, at: int, room: int) -> tuple[int, str]:
    """As much of the line as there is room for, and how wide what stands before the place is."""
    if width(inert(line)) <= room:
        return width(inert(line[:at])), inert(line)
    first = max(0, min(at - room // 2, len(line) - room))
    last = first + room
    head, tail = CUT if first else "", CUT if last < len(line) else ""
    return width(inert(line[first:at])) + len(head), head + inert(line[first:last]) + tail
