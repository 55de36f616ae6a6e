"""Rows of COPY as lines, in text and csv: found, taken apart and put together again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.copying_cells import Look, Rewrites, Sees, Spelling, rewrites


class LineSpelling(Spelling, Protocol):
    """How a format of lines writes values and keeps them apart."""

    delimiter: bytes
    # The pattern of a cell. It never backtracks: its time is that of one pass, whatever was stored.
    cell: bytes
    # Without this in a line, all delimiters there are between cells.
    hint: bytes
    # A line that is no row but says that no more will come.
    end_mark: bytes | None

    def is_plain(self, rows: bytes) -> bool:
        """Are line ends and delimiters all there is to know of where rows and cells end?"""

    def follow(self) -> Callable[[bytes], bool]:
        """Told piece after piece of rows, from the start of one: whether a row ends in this piece."""


class Lines:
    """Most rows are split at their delimiters. Only where a value may hold one too, a pattern finds the cells."""

    def __init__(
        self,
        spelling: LineSpelling,
        masks: Sequence[Mask | None],
        look: Look | None,
        sees: Sees | None,
        *,
        header: bool,
    ) -> None:
        self._spelling = spelling
        self._delimiter = spelling.delimiter
        self._width = len(masks)
        self._rewrites = rewrites(spelling, masks, look)
        # What is left to do where there is nothing to look at.
        self._hidden = rewrites(spelling, masks, None)
        self._sees = sees
        self._in_header = header
        self._is_over = False
        self._ends_row = spelling.follow()
        cell, delimiter = spelling.cell, re.escape(spelling.delimiter)
        self._row = re.compile(rb"(%b(?:%b%b)*+)(\r?\n)" % (cell, delimiter, cell))
        self._cell = re.compile(rb"(?:\A|%b)(%b)" % (delimiter, cell))

    def hide(self, data: bytes) -> tuple[list[bytes], int]:
        """From the start of a row: the rows to send, and where the one begins whose end is still to come."""
        if self._in_header or self._is_over or not self._spelling.is_plain(data):
            rows, stop = self._by_pattern(data)
        else:
            rows, stop = self._by_splitting(data)
        if stop < len(data):
            self._ends_row = self._spelling.follow()
            if self._ends_row(data[stop:]):
                raise BrokenPeer("a row of a COPY is not of the format that it was asked for")
        return rows, stop

    def goes_on(self, piece: bytes) -> bool:
        """Does the row that was begun not end in this next piece of it?"""
        return not self._ends_row(piece)

    def finish(self) -> None:
        """Rows of lines may end after any of them."""

    def _by_splitting(self, data: bytes) -> tuple[list[bytes], int]:
        delimiter, width = self._delimiter, self._width
        *lines, rest = data.split(b"\n")
        if self._sees is not None and not self._rewrites_for(data):
            return ([data[: len(data) - len(rest)]] if lines else []), len(data) - len(rest)
        rows: list[bytes] = []
        for line in lines:
            cells = line.split(delimiter, width)  # one more than fits is enough to know
            if len(cells) != width:
                self._check_none(line)
            for column, rewrite in self._rewrites_for(line):
                cells[column] = rewrite(cells[column])
            rows.append(delimiter.join(cells) + b"\n")
        return rows, len(data) - len(rest)

    def _rewrites_for(self, data: bytes) -> Rewrites:
        """What is to be done to the cells in whole rows."""
        return self._rewrites if self._sees is None or self._sees(data) else self._hidden

    def _by_pattern(self, data: bytes) -> tuple[list[bytes], int]:
        rows: list[bytes] = []
        at = 0
        while (row := self._row.match(data, at)) is not None:
            if self._is_over:
                raise BrokenPeer("the rows of a COPY go on behind their end")
            line, end = row.groups()
            rows.append(self._line(line) + end)
            at = row.end()
        return rows, at

    def _line(self, line: bytes) -> bytes:
        if line == self._spelling.end_mark:
            self._is_over = True
            return line
        cells = self._cell.findall(line) if self._spelling.hint in line else line.split(self._delimiter, self._width)
        if len(cells) != self._width:
            self._check_none(line)
        if self._in_header:  # names of columns hide nothing
            self._in_header = False
            return line
        for column, rewrite in self._rewrites:
            cells[column] = rewrite(cells[column])
        return self._delimiter.join(cells)

    def _check_none(self, line: bytes) -> None:
        """A row without any columns is an empty line, which looks like one empty cell."""
        if self._width or line:
            raise BrokenPeer("a row of a COPY has another number of columns than its table or query")
