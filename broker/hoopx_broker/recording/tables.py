"""Lay recorded rows out as an aligned table, line by line, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from hoopx_broker.recording.cells import UnreadableRow, form_of, rows, shown
from hoopx_broker.recording.inert import inert, width
from hoopx_broker.terms.entries import Columns, Rows

# A table is for reading; whole cells are in the export.
MAX_CELL = 60
_CUT = "…"
# Rows that are looked at before the first is shown, to find how wide the columns are.
_SAMPLE = 200
_NULL = "∅"


class Table:
    """One result, of the statement or execution `n`. Widths only grow: rows that come later stay in line."""

    def __init__(self, n: int, columns: Columns | None) -> None:
        self.n = n
        self._columns = columns
        self._titles = _titles(columns) if columns else []
        self._widths = [width(title) for title in self._titles]
        self.headed = columns is None

    def lines(self, data: bytes) -> Iterator[str]:
        """The lines of some of the result's rows, after the column names if these are the first."""
        texts = self._texts(data)
        sample = list(islice(texts, _SAMPLE))
        self._fit(sample)
        if not self.headed:
            yield from self.heading()
        for row in chain(sample, texts):
            yield row if isinstance(row, str) else self._line(row)

    def heading(self) -> Iterator[str]:
        """The column names and the rule under them."""
        self.headed = True
        yield self._line(self._titles)
        yield "─┼─".join("─" * w for w in self._widths)

    def _texts(self, data: bytes) -> Iterator[list[str] | str]:
        """Rows as texts; where the bytes stop being rows, one line that says so."""
        try:
            for cells in rows(data):
                yield [self._text(cell, index) for index, cell in enumerate(cells)]
        except UnreadableRow as error:
            yield f"(the rest is not readable: {error})"

    def _text(self, cell: bytes | None, index: int) -> str:
        # A character has at most four bytes, so nothing that would be seen is cut off here.
        text = shown(None if cell is None else cell[: 4 * MAX_CELL + 4], *self._kind(index))
        if text is None:
            return _NULL
        return _shortened(text, cell is not None and len(cell) > 4 * MAX_CELL + 4)

    def _kind(self, index: int) -> tuple[int, int]:
        if self._columns is None or index >= len(self._columns.types):
            return 0, 0
        return self._columns.types[index], form_of(self._columns.formats, index)

    def _fit(self, sample: Iterable[list[str] | str]) -> None:
        for row in sample:
            if isinstance(row, list):
                self._widths += [0] * (len(row) - len(self._widths))
                self._widths[: len(row)] = [max(w, width(t)) for w, t in zip(self._widths, row, strict=False)]

    def _line(self, texts: Sequence[str]) -> str:
        widths = chain(self._widths, [0] * len(texts))
        return " │ ".join(text + " " * (w - width(text)) for text, w in zip(texts, widths, strict=False)).rstrip()


def decoded(columns: Columns | None, entry: Rows) -> list[list[str | None]] | None:
    """All cells of an entry in full, for export; None where its bytes are not rows."""
    types, formats = (columns.types, columns.formats) if columns else ((), ())
    try:
        return [
            [shown(c, types[i] if i < len(types) else 0, form_of(formats, i)) for i, c in enumerate(row)]
            for row in rows(entry.data)
        ]
    except UnreadableRow:
        return None


def _titles(columns: Columns) -> list[str]:
    masked = set(columns.masked)
    return [_shortened(inert(n)) + (" (masked)" if i in masked else "") for i, n in enumerate(columns.names)]


def _shortened(text: str, cut: bool = False) -> str:
    return text if len(text) <= MAX_CELL and not cut else text[: MAX_CELL - 1] + _CUT
