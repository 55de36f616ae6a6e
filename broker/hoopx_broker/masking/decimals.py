"""The type `numeric` of PostgreSQL as text and as binary, brought to one form for each value."""

from __future__ import annotations

import re
import struct

_HEAD = struct.Struct("!hhHH")  # how many digits, the weight of the first, the sign, how many decimals are shown
_BASE = 10_000
_POSITIVE, _NEGATIVE = 0x0000, 0x4000
_SPECIAL = {0xC000: b"NaN", 0xD000: b"Infinity", 0xF000: b"-Infinity"}
_PLAIN = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]+))?")


def from_text(cell: bytes) -> bytes:
    """The number without zeros that change nothing: `1.50` and `1.5` are one value. Raises `ValueError`."""
    if cell in _SPECIAL.values():
        return cell
    found = _PLAIN.fullmatch(cell)
    if found is None:
        raise ValueError("not a number as the server writes it")
    return _plain(found[1], found[2], found[3] or b"")


def from_binary(cell: bytes) -> bytes:
    """The same form. Raises `ValueError` or `struct.error`."""
    count, weight, sign, _ = _HEAD.unpack_from(cell)
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign not in (_POSITIVE, _NEGATIVE) or len(cell) != _HEAD.size + 2 * count:
        raise ValueError("not a number as the server sends it")
    digits = b"".join(b"%04d" % digit for digit in struct.unpack_from(f"!{count}H", cell, _HEAD.size))
    point = 4 * (weight + 1)
    if point < 0:
        digits, point = digits.rjust(len(digits) - point, b"0"), 0
    return _plain(b"-" if sign == _NEGATIVE else b"", digits[:point].ljust(point, b"0"), digits[point:])


def to_binary(number: int) -> bytes:
    """A whole number that is not negative."""
    digits: list[int] = []
    while number:
        number, digit = divmod(number, _BASE)
        digits.insert(0, digit)
    return _HEAD.pack(len(digits), max(len(digits) - 1, 0), _POSITIVE, 0) + struct.pack(f"!{len(digits)}H", *digits)


def _plain(sign: bytes, whole: bytes, decimals: bytes) -> bytes:
    whole, decimals = whole.lstrip(b"0") or b"0", decimals.rstrip(b"0")
    if whole == b"0" and not decimals:
        return whole
    return sign + whole + (b"." + decimals if decimals else b"")
