"""The text format of COPY: cells between delimiters, with backslashes before what would be misread."""

from __future__ import annotations

import re
from collections.abc import Callable

from hoopx_broker.terms.facts import CopyStyle

_LETTERS = {b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\v": b"\\v"}
_MEANT = {written[1:]: meant for meant, written in _LETTERS.items()}
# As COPY FROM reads them; a server writes none by numbers.
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


class Text:
    """Values to cells and back, as the server does it."""

    end_mark: bytes | None = b"\\."

    def __init__(self, style: CopyStyle) -> None:
        self.delimiter = style.delimiter.encode()
        escaped = re.escape(self.delimiter)
        # A raw line end always ends a row: a server writes those of values as letters.
        self.cell = rb"[^%b\\\r\n]*+(?:\\[^\r\n][^%b\\\r\n]*+)*+" % (escaped, escaped)
        self._escapes = _LETTERS | {b"\\": b"\\\\"}
        self._escapes.setdefault(self.delimiter, b"\\" + self.delimiter)
        self._special = re.compile(b"[" + b"".join(map(re.escape, self._escapes)) + b"]")
        self.hint = b"\\" + self.delimiter
        self._null = style.null.encode()
        self.null = self._null if self._is_apart(self._null) else None

    def _is_apart(self, null: bytes) -> bool:
        """Can no value be written as NULL is? The empty one can, but then there is nothing to hide."""
        return null == b"" or self.write(self.read(null)) != null

    def read(self, cell: bytes) -> bytes:
        return _ESCAPE.sub(_meant, cell) if b"\\" in cell else cell

    def write(self, value: bytes | None) -> bytes:
        if value is None:
            return self._null
        return self._special.sub(lambda found: self._escapes[found[0]], value)

    def is_plain(self, rows: bytes) -> bool:
        """Are line ends and delimiters all there is to know of where rows and cells end?"""
        return not (self.hint in rows or b"\r" in rows or b"\\.\n" in rows)

    def follow(self) -> Callable[[bytes], bool]:
        return lambda piece: b"\n" in piece


def _meant(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    if what[:1] == b"x" and len(what) > 1:
        return bytes([int(what[1:], 16)])
    if what[:1].isdigit() and what[0] < ord("8"):
        return bytes([int(what, 8) & 0xFF])
    return _MEANT.get(what, what)
