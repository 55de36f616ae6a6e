"""E-mail addresses, telephone numbers and addresses of the internet."""

from __future__ import annotations

import ipaddress

from hoopx_broker.masking.checksums import Span, digits_of, is_apart, is_word
from hoopx_broker.masking.patterns import Pattern

# Bytes beyond ASCII are letters of names and domains that are not English.
_LABEL = r"[A-Za-z0-9\x80-\xff\-]+"
_DOMAIN = rf"(?:@|%40){_LABEL}(?:\.{_LABEL})*\.(?:xn--[A-Za-z0-9\-]+|[A-Za-z\x80-\xff]{{2,}})"

EMAILS = (
    Pattern(rf"[A-Za-z0-9._%+~'\x80-\xff\-]+{_DOMAIN}", rf"(?:@|%40){_LABEL}(?:\.{_LABEL})*\.[A-Za-z\x80-\xff]{{2}}"),
)

_LEAST_DIGITS, _MOST_DIGITS = 7, 15  # the longest of E.164
_INTERNATIONAL = r"\+[1-9][0-9]{0,2}(?:(?:[ ()./\-]|\xc2?\xa0){0,3}[0-9])"
# The area, then the rest in one (Germany), in pairs (France), or in two groups (the United Kingdom).
_NATIONAL = (
    r"\(?0[1-9][0-9]{0,3}\)?[ /\-][0-9]{5,9}",
    r"0[1-9](?:[ .\-][0-9]{2}){4}",
    r"\(?0[1-9][0-9]{1,3}\)?[ \-][0-9]{3,4}[ \-][0-9]{3,4}",
)
_AMERICAN = r"[2-9][0-9]{2}(?:\) ?|[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}"


def _international(cell: bytes, start: int, end: int) -> Span | None:
    known = _LEAST_DIGITS <= len(digits_of(cell[start:end])) <= _MOST_DIGITS
    return (start, end) if known and is_word(cell, start, end) else None


def _national(cell: bytes, start: int, end: int) -> Span | None:
    """With nine to twelve digits: fewer are days and times."""
    known = 9 <= len(digits_of(cell[start:end])) <= 12
    return (start, end) if known and is_apart(cell, start, end) else None


def _american(cell: bytes, start: int, end: int) -> Span | None:
    if not is_apart(cell, start, end):
        return None
    return (start - 1, end) if cell[start - 1 : start] == b"(" and b")" in cell[start:end] else (start, end)


PHONES = (
    Pattern(rf"{_INTERNATIONAL}{{4,14}}", rf"{_INTERNATIONAL}{{4}}", _international),
    *(Pattern(form, form, _national) for form in _NATIONAL),
    Pattern(_AMERICAN, _AMERICAN, _american),
)

_HEX = "[0-9A-Fa-f]"
_BEHIND_COLON = frozenset(bytes([each]) for each in b":0123456789ABCDEFabcdef")
_WORD = f"{_HEX}{{1,4}}"
_FOUR = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_FULL = f"(?:{_WORD}:){{7}}{_WORD}|(?:{_WORD}:){{6}}{_FOUR}"
_SHORT = f"(?:{_WORD}(?::{_WORD}){{0,6}})?::(?:(?:{_WORD}:){{0,5}}{_FOUR}|{_WORD}(?::{_WORD}){{0,6}})?"


def _ipv4(cell: bytes, start: int, end: int) -> Span | None:
    """Not a version of five numbers, and nobody's address: this machine, all machines, a network of 16 millions."""
    octets = cell[start:end].split(b".")
    if len(octets) != 4 or cell[start - 1 : start] == b"." or not is_word(cell, start, end):
        return None
    if any(int(octet) > 255 or (octet[:1] == b"0" and octet != b"0") for octet in octets):
        return None
    nobody = octets[0] in (b"0", b"127") or octets[1:] == [b"0"] * 3 or octets == [b"255"] * 4
    return None if nobody else (start, end)


def _ipv6(cell: bytes, start: int, end: int) -> Span | None:
    """With a digit and two words at least: `::` is written for other things too."""
    if (
        not is_word(cell, start, end)
        or _goes_on(cell[max(start - 2, 0) : start][::-1])
        or _goes_on(cell[end : end + 2])
    ):
        return None
    text = cell[start:end].decode()
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    telling = any(map(str.isdigit, text)) and len([word for word in text.split(":") if word]) > 1
    return (start, end) if telling and not address.is_loopback and not address.is_unspecified else None


def _goes_on(beside: bytes) -> bool:
    """A colon, and another or a hexadecimal digit behind it."""
    return beside[:1] == b":" and beside[1:] in _BEHIND_COLON


ADDRESSES = (
    Pattern(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3,}", r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", _ipv4, skips=True),
    Pattern(f"{_FULL}|{_SHORT}", f"(?:{_WORD}:){{6}}|{_HEX}::|::{_HEX}", _ipv6, skips=True),
)
