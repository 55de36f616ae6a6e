"""Results for eyes: rows under headings as psql draws them, or one record after the other where there is no room.

The first rows are looked at before anything is written, and decide how wide columns are; what is wider moves the rest
of its line. So a result of any length takes the memory of its first rows alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from hoopx_cli.inert import inert, width
from hoopx_cli.sql.happenings import Cell, Column

# Rows that are looked at before the first is written.
FIRST_ROWS = 500
FIRST_BYTES = 1024 * 1024
NULL = "<null>"


class Shape(Enum):
    """What `\\x` switches."""

    AUTO = "auto"
    TABLE = "off"
    RECORDS = "on"


class Table:
    """One result. `room` is how wide a line may be before records are easier to read; None is no limit."""

    def __init__(self, columns: Sequence[Column], shape: Shape, room: int | None) -> None:
        self._columns = columns
        self._names = [inert(column.name) for column in columns]
        self._shape = shape
        self._room = room
        self._first: list[list[str]] | None = []
        self._bytes = 0
        self._widths: list[int] = []
        self._is_tall = False
        self._count = 0

    def rows(self, rows: Sequence[Sequence[Cell]]) -> str:
        """What can be written now."""
        shown = [[_shown(cell) for cell in row] for row in rows]
        if self._first is None:
            return self._written(shown)
        self._first += shown
        self._bytes += sum(len(cell) for row in shown for cell in row)
        if len(self._first) < FIRST_ROWS and self._bytes < FIRST_BYTES:
            return ""
        return self._begin()

    def end(self) -> str:
        return self._begin() if self._first is not None else ""

    def _begin(self) -> str:
        first, self._first = self._first or [], None
        self._widths = [
            max(width(name), max((width(row[at]) for row in first), default=0)) for at, name in enumerate(self._names)
        ]
        line = sum(self._widths) + 3 * len(self._widths) - 1
        is_wide = self._shape is Shape.AUTO and self._room is not None and line > self._room and first
        self._is_tall = self._shape is Shape.RECORDS or bool(is_wide)
        heading = "" if self._is_tall else self._heading()
        return heading + self._written(first)

    def _heading(self) -> str:
        rule = "+".join("-" * (each + 2) for each in self._widths)
        return f"{self._line(self._names)}\n{rule}\n"

    def _written(self, rows: Sequence[Sequence[str]]) -> str:
        lines = self._records(rows) if self._is_tall else map(self._line, rows)
        return "".join(f"{line}\n" for line in lines)

    def _line(self, cells: Sequence[str]) -> str:
        padded: list[str] = []
        for cell, room, column in zip(cells, self._widths, self._columns, strict=True):
            space = " " * (room - width(cell))
            padded.append(space + cell if column.is_number else cell + space)
        return (" " + " | ".join(padded)).rstrip()

    def _records(self, rows: Sequence[Sequence[str]]) -> Iterator[str]:
        names = max(map(width, self._names), default=0)
        for row in rows:
            self._count += 1
            yield f"-[ RECORD {self._count} ]-"
            for name, cell in zip(self._names, row, strict=True):
                yield f"{name}{' ' * (names - width(name))} | {cell}".rstrip()


def _shown(cell: Cell) -> str:
    return NULL if cell is None else inert(cell.decode(errors="backslashreplace"))
