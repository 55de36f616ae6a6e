"""The csv format of COPY: cells between delimiters, quoted where they would be misread."""

from __future__ import annotations

import re
from collections.abc import Callable

from hoopx_broker.terms.facts import CopyStyle


class Csv:
    """Values to cells and back, as the server does it.

    Whether the server quotes a cell depends on its value, and on marks that the client chose: the quotes of a hidden
    value would tell whether it holds this or that character. So each value written here is quoted.
    """

    end_mark: bytes | None = None

    def __init__(self, style: CopyStyle) -> None:
        self.delimiter = style.delimiter.encode()
        self.null: bytes | None = style.null.encode()
        self._null = style.null.encode()
        self.hint = self._quote = style.quote.encode()
        self._escape = style.escape.encode()
        delimiter, quote, escape = map(re.escape, (self.delimiter, self._quote, self._escape))
        pair, within = rb"%b[%b%b]" % (escape, quote, escape), rb"[^%b%b]*+" % (quote, escape)
        self.cell = rb"(?:%b%b(?:%b%b)*+%b|[^%b%b\r\n]*+)" % (quote, within, pair, within, quote, delimiter, quote)
        self._pair = re.compile(escape + b"(.)", re.DOTALL)
        self._to_escape = re.compile(rb"[%b%b]" % (quote, escape))
        self._marks = re.compile(rb"[%b%b\n]" % (quote, escape))

    def read(self, cell: bytes) -> bytes:
        if not cell.startswith(self._quote):
            return cell
        return self._pair.sub(rb"\1", cell[1:-1])

    def write(self, value: bytes | None) -> bytes:
        if value is None:
            return self._null
        return self._quote + self._to_escape.sub(lambda found: self._escape + found[0], value) + self._quote

    def is_plain(self, rows: bytes) -> bool:
        """Are line ends and delimiters all there is to know of where rows and cells end?"""
        return not (self._quote in rows or b"\r" in rows)

    def follow(self) -> Callable[[bytes], bool]:
        """Told piece after piece of rows, from the start of one: whether a row ends in this piece."""
        inside = escaped = False

        def ends_row(piece: bytes) -> bool:
            nonlocal inside, escaped
            ends = False
            for found in self._marks.finditer(piece):
                mark = found[0]
                if escaped:
                    escaped = False
                elif inside and mark == self._escape != self._quote:
                    escaped = True
                elif mark == self._quote:
                    inside = not inside
                elif mark == b"\n" and not inside:
                    ends = True
            return ends

        return ends_row
