"""National identity numbers whose form or check digits are strong enough to be told from other numbers.

American SSN, British NINO, German Steuer-ID, French NIR, Spanish DNI and NIE, Italian codice fiscale, Dutch BSN,
Brazilian CPF, Swiss AHV, Belgian, Swedish and Finnish personal numbers, each by its country's own rules.
"""

from __future__ import annotations

from hoopx_broker.masking.checksums import (
    Span,
    digits_of,
    is_apart,
    is_day,
    is_word,
    letters_and_digits_of,
    luhn,
    weighted,
)
from hoopx_broker.masking.patterns import Pattern

_DNI_LETTERS = b"TRWAGMYFPDXBNJZSQVHLCKE"
_NINO_PREFIXES = frozenset({b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"})
_HETU_LETTERS = b"0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _ssn(cell: bytes, start: int, end: int) -> Span | None:
    area, group, serial = cell[start : start + 3], cell[start + 4 : start + 6], cell[start + 7 : end]
    given = area not in (b"000", b"666") and area[:1] != b"9" and group != b"00" and serial != b"0000"
    return (start, end) if given and cell[start + 3] == cell[start + 6] and is_apart(cell, start, end) else None


def _nino(cell: bytes, start: int, end: int) -> Span | None:
    return (start, end) if cell[start : start + 2] not in _NINO_PREFIXES and is_word(cell, start, end) else None


def _run(cell: bytes, start: int, end: int) -> Span | None:
    """A run of digits without separators: its length says whose it may be."""
    digits = cell[start:end]
    match len(digits):
        case 11:
            sound = _is_tax_number(digits)
        case 13:
            sound = _is_ahv(digits)
        case 15:
            sound = _is_nir(digits)
        case _:
            sound = False
    return (start, end) if sound and is_apart(cell, start, end) else None


def _tax_number(cell: bytes, start: int, end: int) -> Span | None:
    return (start, end) if _is_tax_number(digits_of(cell[start:end])) and is_apart(cell, start, end) else None


def _is_tax_number(digits: bytes) -> bool:
    """Of the first ten digits exactly one stands there two or three times; the last is ISO 7064's mod 11, 10."""
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if digits[0] == 48 or counts[-1] not in (2, 3) or counts[-2:-1] != [1]:
        return False
    product = 10
    for digit in digits[:10]:
        total = (digit - 48 + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == digits[10] - 48


def _nir(cell: bytes, start: int, end: int) -> Span | None:
    return (start, end) if _is_nir(letters_and_digits_of(cell[start:end])) and is_apart(cell, start, end) else None


def _is_nir(number: bytes) -> bool:
    """Sex, year, month, place and order of birth; the key is what is missing to a multiple of 97."""
    month = int(number[3:5])
    if number[:1] not in (b"1", b"2") or not (1 <= month <= 12 or month >= 20):
        return False
    born = number[:13].replace(b"2A", b"19").replace(b"2B", b"18")
    return born.isdigit() and 97 - int(born) % 97 == int(number[13:])


def _dni(cell: bytes, start: int, end: int) -> Span | None:
    value = letters_and_digits_of(cell[start:end])
    number = int(value[:-1].replace(b"X", b"0").replace(b"Y", b"1").replace(b"Z", b"2"))
    return (start, end) if _DNI_LETTERS[number % 23] == value[-1] and is_word(cell, start, end) else None


def _codice(cell: bytes, start: int, end: int) -> Span | None:
    """The last letter is a sum in which characters at odd places have values of their own."""
    value = cell[start:end].upper()
    places = [each - 48 if each < 65 else each - 65 for each in value]
    total = sum(place if at % 2 else _ODD[place] for at, place in enumerate(places[:-1]))
    return (start, end) if total % 26 == places[-1] and is_word(cell, start, end) else None


def _bsn(cell: bytes, start: int, end: int) -> Span | None:
    """The elfproef."""
    sound = weighted(digits_of(cell[start:end]), (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    return (start, end) if sound and is_apart(cell, start, end) else None


def _cpf(cell: bytes, start: int, end: int) -> Span | None:
    digits = digits_of(cell[start:end])
    first = weighted(digits[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(digits[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    sound = (first, second) == (digits[9] - 48, digits[10] - 48) and len(set(digits)) > 1
    return (start, end) if sound and is_apart(cell, start, end) else None


def _ahv(cell: bytes, start: int, end: int) -> Span | None:
    return (start, end) if _is_ahv(digits_of(cell[start:end])) and is_apart(cell, start, end) else None


def _is_ahv(digits: bytes) -> bool:
    """756 for Switzerland, and the check digit of EAN-13."""
    return digits.startswith(b"756") and weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def _belgian(cell: bytes, start: int, end: int) -> Span | None:
    """For those born since 2000 a 2 stands before the number when its key is made."""
    digits = digits_of(cell[start:end])
    key = int(digits[9:])
    sound = key in (97 - int(digits[:9]) % 97, 97 - int(b"2" + digits[:9]) % 97)
    return (start, end) if sound and is_apart(cell, start, end) else None


def _swedish(cell: bytes, start: int, end: int) -> Span | None:
    """A day above 60 is a coordination number."""
    digits = digits_of(cell[start:end])
    sound = is_day(int(digits[4:6]) % 60, int(digits[2:4])) and luhn(digits)
    return (start, end) if sound and is_apart(cell, start, end) else None


def _finnish(cell: bytes, start: int, end: int) -> Span | None:
    number = int(cell[start : start + 6] + cell[start + 7 : start + 10])
    born = is_day(int(cell[start : start + 2]), int(cell[start + 2 : start + 4]))
    sound = born and _HETU_LETTERS[number % 31] == cell[end - 1]
    return (start, end) if sound and is_apart(cell, start, end) else None


_TAX, _NIR = "[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", "[0-9] [0-9]{2} [0-9]{2} [0-9][0-9AB] [0-9]{3}"
_CODICE = "[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z]"
_BELGIAN = r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}"

PATTERNS = (
    Pattern(r"[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}", r"[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}", _ssn),
    Pattern(
        "[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        "[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        _nino,
    ),
    Pattern("[0-9]{11,}", "[0-9]{11}", _run, skips=True),
    Pattern(_TAX, _TAX, _tax_number),
    Pattern(f"{_NIR} [0-9]{{3}} [0-9]{{2}}", _NIR, _nir),
    Pattern("[12][0-9]{4}2[AB][0-9]{8}", "[0-9]{6}[AB][0-9]{3}", _nir),
    Pattern("(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-Z]", "[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]", _dni),
    Pattern(f"(?i){_CODICE}[0-9]{{3}}[A-Z]", f"(?i){_CODICE}", _codice),
    Pattern(r"[0-9]{4}\.[0-9]{2}\.[0-9]{3}", r"[0-9]{4}\.[0-9]{2}\.[0-9]{3}", _bsn),
    Pattern(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _cpf),
    Pattern(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", r"[0-9]{3}\.[0-9]{4}\.[0-9]{4}", _ahv),
    Pattern(_BELGIAN, _BELGIAN, _belgian),
    Pattern(r"[0-9]{6}[\-+][0-9]{4}", r"[0-9]{6}[\-+][0-9]{4}", _swedish),
    Pattern(r"[0-9]{6}[\-+A][0-9]{3}[0-9A-Y]", r"[0-9]{6}[\-+A][0-9]{3}[0-9A-Y]", _finnish),
)
