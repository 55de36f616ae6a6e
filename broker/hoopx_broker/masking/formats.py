"""Format-preserving masks: a text becomes another of the same kind that says as little as possible of the first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

# A reserved domain below one whose owner takes no mail: nothing sent there arrives, and strict validators, which
# refuse `.invalid` and `.example`, take it.
EMAIL = "masked@masked.example.net"
DAY = "1970-01-01"

# The longest e-mail address. What is longer is prose, whose shape alone would tell it from others.
MAX_LENGTH = 254
MAX_OTHER = 64
_MIN_OTHER = 4

_EMAIL = re.compile(r"[^@\s<>()]+@[^@\s<>()]+")
_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){12,18}")
_PHONE = re.compile(r"\+?[0-9 ()./-]{6,24}")
_IBAN = re.compile(r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}")
_NATIONAL_ID = re.compile(r"(?=.*[0-9].*[0-9])[A-Za-z0-9][A-Za-z0-9 ./-]{4,19}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MIN_PHONE = 6
# The punctuation of names, numbers and addresses. Any other character becomes a letter.
_KEPT = frozenset(" .,-'/()#&+:_@")


def alike(text: str, data_class: str) -> str | None:
    """Another text of the same kind. None where the text is not of the kind that its class promises."""
    if len(text) > MAX_LENGTH:
        return None
    words = frozenset(data_class.split("-"))
    for known, kind in _KINDS:
        if not known.isdisjoint(words):
            return kind(text)
    return _of_any_kind(text)


def email(text: str) -> str | None:
    """Always the same one: the length of a name or a rare domain would tell who it is."""
    return EMAIL if _EMAIL.fullmatch(text) else None


def card(text: str) -> str | None:
    """The last four digits stay."""
    return _zeroed(text, stay=4) if _CARD.fullmatch(text) else None


def phone(text: str) -> str | None:
    """The last two digits stay."""
    digits = sum(character.isdigit() for character in text)
    return _zeroed(text, stay=2) if _PHONE.fullmatch(text) and digits >= _MIN_PHONE else None


def iban(text: str) -> str | None:
    """The country stays."""
    return text[:2] + _shaped(text[2:]) if _IBAN.fullmatch(text) else None


def national_id(text: str) -> str | None:
    return _shaped(text) if _NATIONAL_ID.fullmatch(text) else None


def address(text: str) -> str | None:
    """An address of the internet, of the same version, with a prefix if it had one."""
    try:
        version = ipaddress.ip_interface(text).version
    except ValueError:
        return None
    if version == 4:
        return "0.0.0.0/32" if "/" in text else "0.0.0.0"
    return "::/128" if "/" in text else "::"


def uuid(text: str) -> str | None:
    return re.sub(r"[^-]", "0", text) if _UUID.fullmatch(text) else None


def day(text: str) -> str | None:
    return DAY if _DAY.fullmatch(text) else None


def other(text: str) -> str | None:
    """Letters and digits lose what they are. Of what is short, long or hardly has any, the shape says too much."""
    if not _MIN_OTHER <= len(text) <= MAX_OTHER or 2 * sum(map(str.isalnum, text)) <= len(text):
        return None
    return _shaped(text)


def _nothing(text: str) -> None:
    """Even the length of a password or a key helps whoever guesses it."""


def _of_any_kind(text: str) -> str | None:
    return email(text) or uuid(text) or address(text) or day(text) or other(text)


def _zeroed(text: str, *, stay: int) -> str:
    """All digits but the last ones become 0."""
    hidden = sum(map(str.isdigit, text)) - stay
    shown: list[str] = []
    for character in text:
        zero = character.isdigit() and hidden > 0
        hidden -= character.isdigit()
        shown.append("0" if zero else character)
    return "".join(shown)


def _shaped(text: str) -> str:
    return "".join(map(_shape, text))


def _shape(character: str) -> str:
    if character in _KEPT:
        return character
    if character.isdigit():
        return "0"
    return "X" if character.isupper() else "x"


# A class is known by any word of its name: `card-number`, `work-email`. Where there are two, the first here decides.
_KINDS: tuple[tuple[frozenset[str], Callable[[str], str | None]], ...] = (
    (frozenset({"password", "passphrase", "secret", "token", "key", "pin", "cvv", "cvc", "otp", "jwt"}), _nothing),
    (frozenset({"email", "mail"}), email),
    (frozenset({"card", "pan"}), card),
    (frozenset({"phone", "telephone", "mobile", "fax"}), phone),
    (frozenset({"iban"}), iban),
    (frozenset({"national", "ssn", "passport", "tax"}), national_id),
    (frozenset({"ip", "ipv4", "ipv6"}), address),
    (frozenset({"uuid", "guid"}), uuid),
)
