"""Check digits, and what may stand around a number: what tells a card from any other run of digits."""

from __future__ import annotations

Span = tuple[int, int]

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")
_BACKSLASH, _ESCAPING = 0x5C, frozenset(b"bfnrtv")
_JOINTS = frozenset(b"-./")


def luhn(digits: bytes) -> bool:
    """The check digit of cards and of some national numbers (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += _DOUBLED[digit - 48] if place % 2 else digit - 48
    return total % 10 == 0


def mod97(letters: bytes) -> int:
    """The remainder by 97 where A is 10 and Z is 35 (ISO 7064). At most some forty characters."""
    return int("".join(str(int(chr(letter), 36)) for letter in letters)) % 97


def weighted(digits: bytes, weights: tuple[int, ...]) -> int:
    return sum((digit - 48) * weight for digit, weight in zip(digits, weights, strict=False))


def digits_of(value: bytes) -> bytes:
    return bytes(byte for byte in value if byte in _DIGITS)


def letters_and_digits_of(value: bytes) -> bytes:
    return bytes(byte for byte in value if byte in _ALNUM).upper()


def behind_escape(cell: bytes, start: int) -> int:
    """The next place where this one is the letter of an escape, as in `\\n`: that is none of what follows."""
    return start + 1 if start > 0 and cell[start - 1] == _BACKSLASH and cell[start] in _ESCAPING else start


def is_word(cell: bytes, start: int, end: int) -> bool:
    """No letter or digit touches it. Underscores, escapes and what is beyond ASCII may."""
    before = start > 0 and cell[start - 1] in _ALNUM and behind_escape(cell, start - 1) != start
    return not before and not (end < len(cell) and cell[end] in _ALNUM)


def is_apart(cell: bytes, start: int, end: int) -> bool:
    """A word that is not a part of a longer number: no digit behind a dash, a dot or a slash next to it."""
    if not is_word(cell, start, end):
        return False
    before = start > 1 and cell[start - 1] in _JOINTS and cell[start - 2] in _DIGITS
    return not before and not (end + 1 < len(cell) and cell[end] in _JOINTS and cell[end + 1] in _DIGITS)


def is_day(day: int, month: int) -> bool:
    return 1 <= day <= 31 and 1 <= month <= 12
