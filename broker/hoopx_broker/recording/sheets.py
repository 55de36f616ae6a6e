"""Write the statements of a recording as CSV, for spreadsheets that must not obey what somebody typed into SQL."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from hoopx_broker.recording.inert import inert
from hoopx_broker.recording.outcomes import Ran, statements, written
from hoopx_broker.recording.replay import Moment
from hoopx_broker.terms.entries import Opened

HEADS = (
    "time", "session", "user", "on_behalf_of", "target", "stream", "n", "prepared", "ruling", "rules", "reason",
    "masked", "effects", "tables", "request", "text", "parameters", "rows", "affected", "outcome", "seconds", "error",
)  # fmt: skip
# With these a spreadsheet begins a formula, also in full width and behind blanks.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def sheet(told: Iterable[Moment]) -> Iterator[str]:
    """Lines of RFC 4180, each with its end; every cell is quoted. The first names the columns."""
    entries = iter(told)
    first = next(entries, None)
    if first is None:
        return
    opened = first[1] if isinstance(first[1], Opened) else None
    yield _line(HEADS)
    for ran in statements(chain([first], entries)):
        yield _line(_cells(opened, ran))


def _cells(opened: Opened | None, ran: Ran) -> Iterator[str]:
    who = opened.principal if opened else None
    yield written(ran.at)
    yield opened.session if opened else ""
    yield who.user if who else ""
    yield (who.on_behalf_of or "") if who else ""
    yield opened.target if opened else ""
    yield from (ran.stream, str(ran.n), str(ran.statement or ""))
    yield from (ran.ruling, ", ".join(ran.rules), ran.reason, ", ".join(ran.masked))
    yield from (", ".join(ran.effects), ", ".join(ran.tables), ran.request)
    yield ran.text if ran.has_text else f"(the text of #{ran.statement})" if ran.statement else ""
    yield json.dumps(ran.parameters, ensure_ascii=False) if ran.parameters else ""
    yield str(ran.rows)
    yield str(ran.affected)
    yield ran.tag
    yield "" if ran.seconds is None else f"{ran.seconds:.6f}"
    yield f"{ran.code} {ran.error}".strip()


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def harmless(cell: str) -> str:
    """Text that neither a spreadsheet takes for a formula nor a terminal for a command; its lines stay lines."""
    shown = "\n".join(inert(line) for line in cell.replace("\r\n", "\n").split("\n"))
    return f"'{shown}" if shown.lstrip(" \n'\"").startswith(_FORMULA) else shown
