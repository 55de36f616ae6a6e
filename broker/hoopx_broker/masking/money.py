"""Cards and bank accounts: numbers whose issuer, length and check digits are known."""

from __future__ import annotations

from hoopx_broker.masking.checksums import Span, digits_of, is_word, letters_and_digits_of, luhn, mod97
from hoopx_broker.masking.patterns import SEPARATOR, Pattern

# First digits from, first digits to, lengths: Visa, Mastercard twice, American Express, Diners thrice, Discover thrice,
# JCB, Mir, UnionPay, Maestro four times.
_ISSUERS = (
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 19)),
    ("36", "36", (14, 16, 19)),
    ("38", "39", (14, 16, 19)),
    ("6011", "6011", (16, 19)),
    ("644", "649", (16, 19)),
    ("65", "65", (16, 19)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
    ("63", "63", (13, 14, 15, 16, 17, 18, 19)),
    ("67", "67", (13, 14, 15, 16, 17, 18, 19)),
)
_SHORTEST, _LONGEST = 13, 19
_SPACED_DOTTED = rf"(?:{SEPARATOR}|\.)"

# How an account number begins behind the country's letters and two check digits, and how long the whole is. From the
# IBAN registry of SWIFT: n is a digit, a a letter, c either.
_COUNTRIES = {
    "nnnnnnnn": "AT20 BA20 BE16 BI27 CR22 CZ24 DE22 DJ27 DK18 EE20 EG29 ES24 FI18 FO18 FR27 GL18 HR21 HU28 IL23 IS26"
    " LT20 LY25 MC27 ME22 MN20 MR27 NO15 PL28 PT25 RS22 SD18 SE24 SI19 SK24 SO23 ST25 TL23 TN24 UA29 VA22 XK20 RU33"
    " AE23 AD24 AL28 CY28 GR27 TR26 BR29",
    "nnnnnccc": "CH21 LI21",
    "nnnccccc": "KZ20 LU20 MK19 OM23",
    "nncccccc": "SA24",
    "nnnncccc": "LB28",
    "aaaannnn": "BG22 GB22 IE22 JO30 MU30 NI28 NL18 SC31 SV28 VG24 YE30 MT31",
    "aaaacccc": "AZ28 BH22 GI23 GT28 KW30 LC32 LV21 PK24 PS29 QA29 RO24",
    "annnnnnn": "IT27 SM27",
    "aannnnnn": "FK18 GE22",
    "cccnnnnn": "",
    "cccccccc": "BY28 DO28 MD24",
}
_LENGTHS = {each[:2].encode(): int(each[2:]) for group in _COUNTRIES.values() for each in group.split()}
_CLASSES = {"n": "[0-9]", "a": "[A-Za-z]", "c": "[0-9A-Za-z]"}


def _card(cell: bytes, start: int, end: int) -> Span | None:
    """In one run. The fraction of a number is none."""
    fraction = start > 1 and cell[start - 1 : start] == b"." and cell[start - 2 : start - 1].isdigit()
    sound = not fraction and is_word(cell, start, end) and _is_card(cell[start:end])
    return (start, end) if sound else None


def _spaced_card(cell: bytes, start: int, end: int) -> Span | None:
    """In groups with one kind of separator; some of the groups may be the next number already."""
    if not is_word(cell, start, end):
        return None
    separators = {cell[at] for at in range(start, end)} - set(b"0123456789\xc2")
    while len(separators) == 1 and end - start >= _SHORTEST:
        if _is_card(digits_of(cell[start:end])):
            return start, end
        end = _end_of_group(cell, start, end)
    return None


def _end_of_group(cell: bytes, start: int, end: int) -> int:
    """Where the group before the last one ends."""
    while end > start and cell[end - 1 : end].isdigit():
        end -= 1
    while end > start and not cell[end - 1 : end].isdigit():
        end -= 1
    return end


def _is_card(digits: bytes) -> bool:
    if not _SHORTEST <= len(digits) <= _LONGEST or not luhn(digits):
        return False
    text = digits.decode()
    return any(first <= text[: len(first)] <= last and len(text) in lengths for first, last, lengths in _ISSUERS)


def _iban(cell: bytes, start: int, end: int) -> Span | None:
    """As long as its country's are; what goes on behind that is the next word."""
    end = _iban_end(cell, start, end, _LENGTHS.get(cell[start : start + 2].upper(), 0))
    if not end or not is_word(cell, start, end):
        return None
    value = letters_and_digits_of(cell[start:end])
    return (start, end) if mod97(value[4:] + value[:4]) == 1 else None


def _iban_end(cell: bytes, start: int, end: int, length: int) -> int:
    for at in range(start, end if length else start):
        length -= cell[at : at + 1].isalnum()
        if not length:
            return at + 1
    return 0


def _loose_ibans() -> str:
    """The beginnings of all countries, in groups of four or in one."""
    ways = []
    for form, group in _COUNTRIES.items():
        countries = "|".join(each[:2] for each in group.split())
        begins = [_CLASSES[kind] for kind in form]
        if countries:
            ways.append(f"(?i:{countries})[0-9]{{2}}{SEPARATOR}?{''.join(begins[:4])}{SEPARATOR}?{''.join(begins[4:])}")
    return "|".join(ways)


_GROUPS = f"[0-9]{{4}}(?:{_SPACED_DOTTED}[0-9]{{3,6}}){{1,3}}{_SPACED_DOTTED}[0-9]{{1,6}}"

CARDS = (
    Pattern("[0-9]{13,}", "[0-9]{13}", _card, skips=True),
    Pattern(
        _GROUPS,
        f"[0-9]{{4}}{_SPACED_DOTTED}[0-9]{{4}}{_SPACED_DOTTED}[0-9]{{4}}|3[0-9]{{3}}{_SPACED_DOTTED}[0-9]{{6}}",
        _spaced_card,
    ),
)
IBANS = (
    Pattern(
        f"(?i)[A-Z]{{2}}[0-9]{{2}}(?:[0-9A-Z]{{11,30}}|(?:{SEPARATOR}[0-9A-Z]{{4}}){{2,7}}(?:{SEPARATOR}[0-9A-Z]{{1,4}})?)",
        _loose_ibans(),
        _iban,
    ),
)
