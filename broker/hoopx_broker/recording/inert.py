"""Make recorded content harmless to look at: what a terminal would obey, or an eye would miss, becomes visible text."""

from __future__ import annotations

import re
import unicodedata

from hoopx_broker.terms.unseen import MAX_STACK, is_unseen

_NO_ASCII = re.compile(r"[^\x00-\x7f]")
_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def inert(text: str) -> str:
    """`text` on one line, every control, escape, bidirectional and invisible character written out as `\\x1b` is."""
    if text.isascii():
        return text if text.isprintable() else "".join(map(_visible, text))
    return _unstacked("".join(map(_visible, text)))


def inert_lines(text: str) -> list[str]:
    """The lines of `text`, each made inert; tabs become spaces."""
    return [inert(line) for line in text.expandtabs(4).split("\n")]


def inert_bytes(data: bytes) -> str:
    """`data` read as UTF-8, what is not UTF-8 as `\\xff`."""
    return inert(data.decode("utf-8", "backslashreplace"))


def width(text: str) -> int:
    """How many columns of a terminal `text` (already inert) takes."""
    if text.isascii():
        return len(text)
    return len(text) + sum(map(_more, _NO_ASCII.findall(text)))


def _more(c: str) -> int:
    """Than one column; a mark that is set upon another takes none."""
    return -1 if unicodedata.combining(c) else unicodedata.east_asian_width(c) in "WF"


def _visible(c: str) -> str:
    if not is_unseen(c):
        return c
    code = ord(c)
    if c in _NAMES:
        return _NAMES[c]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unstacked(text: str) -> str:
    shown: list[str] = []
    marks = 0
    for c in text:
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        shown.append(c if marks <= MAX_STACK else f"\\u{ord(c):04x}")
    return "".join(shown)
