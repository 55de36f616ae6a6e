"""Results for programs: JSON, JSON lines and CSV, written as rows come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from hoopx_cli.output import inert_json
from hoopx_cli.sql.cells import quoted
from hoopx_cli.sql.happenings import Cell, Column
from hoopx_cli.sql.tables import Table

_NEEDS_QUOTES = re.compile(rb'[",\r\n]|^\s|\s$|^\\\.$|^$')


class Result(Protocol):
    """One result on its way out."""

    def rows(self, rows: Sequence[Sequence[Cell]]) -> str | bytes: ...

    def end(self) -> str | bytes: ...


class JsonLines:
    """One object a row."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._keys = [quoted(name) + b":" for name in distinct(column.name for column in columns)]
        self._writers = [column.as_json for column in columns]

    def objects(self, rows: Sequence[Sequence[Cell]]) -> Iterable[str]:
        for row in rows:
            pairs = [
                key + (b"null" if cell is None else write(cell.decode(errors="backslashreplace")))
                for key, write, cell in zip(self._keys, self._writers, row, strict=True)
            ]
            yield inert_json((b"{" + b",".join(pairs) + b"}").decode())

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        return "".join(f"{each}\n" for each in self.objects(rows)).encode()

    def end(self) -> bytes:
        return b""


class Json(JsonLines):
    """One list on one line. It is closed only where the result came to its end: half a result is no document."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self._before = "["

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        parts: list[str] = []
        for each in self.objects(rows):
            parts += (self._before, each)
            self._before = ","
        return "".join(parts).encode()

    def end(self) -> bytes:
        return b"[]\n" if self._before == "[" else b"]\n"


class Csv:
    """As COPY writes it: NULL is nothing, an empty text is `""`. Values are what they are, formulas of sheets too."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._head = _csv_line([column.name.encode() for column in columns])

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        head, self._head = self._head, b""
        return head + b"".join(map(_csv_line, rows))

    def end(self) -> bytes:
        head, self._head = self._head, b""
        return head


def distinct(names: Iterable[str]) -> list[str]:
    """An object has each name once: a second `id` is `id_2`, or the next that is free."""
    given = list(names)
    taken: set[str] = set()
    found: list[str] = []
    for name in given:
        free, number = name, 1
        while free in taken or (number > 1 and free in given):
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        found.append(free)
    return found


def _csv_line(cells: Sequence[Cell]) -> bytes:
    return b",".join(b"" if cell is None else _csv_cell(cell) for cell in cells) + b"\n"


def _csv_cell(cell: bytes) -> bytes:
    return b'"' + cell.replace(b'"', b'""') + b'"' if _NEEDS_QUOTES.search(cell) else cell


__all__ = ["Csv", "Json", "JsonLines", "Result", "Table", "distinct"]
