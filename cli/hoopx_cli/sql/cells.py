"""Values of PostgreSQL as JSON: a number, a truth, a list or a document where nothing is lost by it, else text."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

AsJson = Callable[[str], bytes]

# What a double, which most readers of JSON make of a number, holds to the last digit.
MAX_WHOLE = 2**53 - 1
MAX_DIGITS = 15
MAX_LENGTH = 40  # 0.000… may have few digits and still be no double

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
# Deeper than PostgreSQL's arrays can be.
MAX_DIMENSIONS = 6

_BOOL, _JSON, _JSONB = 16, 114, 3802
_WHOLE, _FLOATING, _NUMERIC = frozenset({20, 21, 23, 26}), frozenset({700, 701}), 1700
# Those that are set to the right in a table.
NUMBERS = _WHOLE | _FLOATING | {_NUMERIC, 790}
# Type of an array -> type of its elements.
_ELEMENTS = {
    1000: _BOOL,
    199: _JSON,
    3807: _JSONB,
    1005: 21,
    1007: 23,
    1016: 20,
    1028: 26,
    1021: 700,
    1022: 701,
    1231: _NUMERIC,
    # What stays text: bytea, char, name, text, bpchar, varchar, inet, cidr, date, timestamps, times, interval, uuid.
    **dict.fromkeys((1001, 1002, 1003, 1009, 1014, 1015, 1041, 651, 1182, 1115, 1185, 1183, 1270, 1187, 2951), 25),
}


def as_json(kind: int) -> AsJson:
    """How values of a type (its oid) are written."""
    if kind in _ELEMENTS:
        element = as_json(_ELEMENTS[kind])
        return lambda text: _array(text, element)
    if kind in _WHOLE:
        return _whole
    if kind in _FLOATING:
        return _floating
    return {_NUMERIC: _numeric, _BOOL: _truth, _JSON: _document, _JSONB: _document}.get(kind, quoted)


def quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


def _whole(text: str) -> bytes:
    if _NUMBER.fullmatch(text) and len(text) <= MAX_LENGTH and text.lstrip("-").isdigit() and _is_exact(text):
        return text.encode()
    return quoted(text)


def _is_exact(text: str) -> bool:
    return abs(int(text)) <= MAX_WHOLE


def _floating(text: str) -> bytes:
    """PostgreSQL prints as many digits as it takes. Infinity and NaN are no numbers in JSON."""
    return text.encode() if _NUMBER.fullmatch(text) else quoted(text)


def _numeric(text: str) -> bytes:
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    if _NUMBER.fullmatch(text) and len(digits) <= MAX_DIGITS and len(text) <= MAX_LENGTH:
        return text.encode()
    return quoted(text)


def _truth(text: str) -> bytes:
    return {"t": b"true", "f": b"false"}.get(text) or quoted(text)


def _document(text: str) -> bytes:
    """As it is, on one line: what breaks lines stands between its values, never within one."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return quoted(text)
    return re.sub(r"[\n\r\t]", " ", text).strip(" ").encode()


def _array(text: str, element: AsJson) -> bytes:
    """What is no plain array (one with bounds of its own, `[2:3]={…}`) stays text."""
    reader = _ArrayReader(text, element)
    try:
        written = reader.read(0)
    except (IndexError, ValueError):
        return quoted(text)
    return written if reader.at == len(text) else quoted(text)


class _ArrayReader:
    """Reads `{1,NULL,"a,b",{…}}`. Raises `ValueError` or `IndexError` where it is something else."""

    def __init__(self, text: str, element: AsJson) -> None:
        self.at = 0
        self._text = text
        self._element = element

    def read(self, depth: int) -> bytes:
        text = self._text
        if text[self.at] != "{" or depth >= MAX_DIMENSIONS:
            raise ValueError
        self.at += 1
        if text[self.at] == "}":
            self.at += 1
            return b"[]"
        parts = [self._item(depth)]
        while text[self.at] == ",":
            self.at += 1
            parts.append(self._item(depth))
        if text[self.at] != "}":
            raise ValueError
        self.at += 1
        return b"[" + b",".join(parts) + b"]"

    def _item(self, depth: int) -> bytes:
        char = self._text[self.at]
        if char == "{":
            return self.read(depth + 1)
        if char == '"':
            return self._element(self._quoted())
        found = _BARE.match(self._text, self.at)
        if found is None:
            raise ValueError
        self.at = found.end()
        return b"null" if found[0] == "NULL" else self._element(found[0])

    def _quoted(self) -> str:
        found = _QUOTED.match(self._text, self.at)
        if found is None:
            raise ValueError
        self.at = found.end()
        return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)


_BARE = re.compile(r'[^{},"\\]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
