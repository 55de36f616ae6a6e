"""Canary values of each type, and the watch that finds them again: whole, in pieces, backwards, encoded, binary."""

from __future__ import annotations

import base64
import ipaddress
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from random import Random

from msgspec import Struct

# No word of any language, catalog or message has five of these in a row, so that pieces of canaries stand out.
LETTERS = "jkqvwxz"
WORD = 14
# The shortest pieces looked for. Short runs of digits come by chance in costs, times and oids.
PIECE, DIGITS, SPREAD_DIGITS = 5, 7, 8
TYPES = ("text", "varchar(40)", "integer", "bigint", "date", "uuid", "inet", "jsonb", "bytea", "numeric", "text[]")

_RUN = re.compile(rb"[jkqvwxz]{%d,}" % PIECE)
_NUMBER = re.compile(rb"\d{%d,}" % DIGITS)
_SPREAD = re.compile(rb"\d(?:[,./-]?\d){%d,}" % (SPREAD_DIGITS - 1))
_SEPARATOR = re.compile(rb"\D")
_HEX = re.compile(rb"[0-9a-f]{%d,}" % (2 * PIECE))
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{8,}")
# Set in every number of few bytes, so that no text and no length looks like one in binary.
_ODD = 0x00808080
_FIRST_DAY = date(2000, 1, 1)  # the binary format counts from here
_EPOCH = date(1970, 1, 1)


class Canary(Struct, frozen=True):
    """A value as SQL writes it, and what gives it away: words, numbers in decimal, and bytes of binary formats."""

    literal: str
    words: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    bytes: tuple[bytes, ...] = ()


def canary(random: Random, type_: str) -> Canary:
    """A value of this type that no other cell has."""
    match type_:
        case "integer" | "bigint":
            return _whole_number(random, 4 if type_ == "integer" else 8)
        case "date":
            return _date(random)
        case "uuid":
            return _uuid(random)
        case "inet":
            address = ipaddress.IPv4Address(random.randint(0x65000000, 0xDFFFFFFF) | _ODD)
            numbers = (str(address).replace(".", ""),)
            return Canary(f"'{address}'", numbers=numbers, bytes=(str(address).encode(), address.packed))
        case "numeric":
            return _numeric(random)
        case _:
            return _of_words(random, type_)


def _word(random: Random) -> str:
    return "".join(random.choices(LETTERS, k=WORD))


def _of_words(random: Random, type_: str) -> Canary:
    words = (_word(random), _word(random))
    match type_:
        case "jsonb":
            return Canary(f'\'{{"kind": "{words[0]}", "more": ["{words[1]}"]}}\'', words)
        case "text[]":
            return Canary(f"'{{{words[0]},{words[1]}}}'", words)
        case "bytea":
            return Canary(f"'\\x{words[0].encode().hex()}'", words[:1])
        case _:
            return Canary(f"'{words[0]}'", words[:1])


def _whole_number(random: Random, size: int) -> Canary:
    value = _ODD | (random.randint(10**9, 2**31 - 1) if size == 4 else random.randint(10**17, 10**18))
    return Canary(str(value), numbers=(str(value),), bytes=(value.to_bytes(size, "big"),))


def _date(random: Random) -> Canary:
    """A day that no clock shows, its number since either epoch, and its seconds."""
    days = random.randrange(400_000, 2_000_000) | _ODD & 0xFFFF
    day = _FIRST_DAY + timedelta(days=days)
    seconds = str((day - _EPOCH).days * 86_400)
    written = tuple(day.strftime(order) for order in ("%Y%m%d", "%m%d%Y", "%d%m%Y"))
    return Canary(f"'{day}'", numbers=(*written, seconds), bytes=(day.isoformat().encode(), days.to_bytes(4, "big")))


def _uuid(random: Random) -> Canary:
    value = uuid.UUID(int=random.getrandbits(128), version=4)
    digits = value.hex
    told = (str(value), digits, digits[::-1], digits[:8], digits[20:])
    return Canary(f"'{value}'", bytes=(*(each.encode() for each in told), value.bytes, value.bytes[:8]))


def _numeric(random: Random) -> Canary:
    """16 digits before the point and 4 behind it: five groups of four in the binary format."""
    groups = [random.randint(1000, 9999) for _ in range(5)]
    digits = "".join(map(str, groups))
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    return Canary(f"{digits[:16]}.{digits[16:]}", numbers=(digits,), bytes=(packed[:6], packed[2:8], packed[4:]))


class Watch:
    """Knows every canary of a database and finds them in bytes, however they are dressed."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        known = list(canaries)
        self._words = frozenset(_pieces((word for each in known for word in each.words), PIECE))
        numbers = [number for each in known for number in each.numbers]
        self._numbers = frozenset(_pieces(numbers, DIGITS))
        self._spread = frozenset(_pieces(numbers, SPREAD_DIGITS))
        exact = sorted({re.escape(value) for each in known for value in each.bytes})
        self._exact = re.compile(b"|".join(exact) or rb"(?!)", re.DOTALL)

    def find(self, told: bytes) -> str | None:
        """What gives a canary away in these bytes, or None."""
        exact = self._exact.search(told) or self._exact.search(told.lower())
        if exact is not None:
            return f"a whole value, {exact[0]!r}"
        for name, view in _views(told):
            found = self._piece(view)
            if found is not None:
                return f"{found.decode()!r}{name}"
        return None

    def _piece(self, view: bytes) -> bytes | None:
        for pattern, size, known in ((_RUN, PIECE, self._words), (_NUMBER, DIGITS, self._numbers)):
            if (found := _known_piece(pattern.findall(view), size, known)) is not None:
                return found
        spread = (_SEPARATOR.sub(b"", run) for run in _SPREAD.findall(view))
        return _known_piece(spread, SPREAD_DIGITS, self._spread)


def _pieces(values: Iterable[str], size: int) -> Iterator[bytes]:
    """Every run of this length, forwards and backwards."""
    for value in values:
        for way in (value, value[::-1]):
            for at in range(len(way) - size + 1):
                yield way[at : at + size].encode()


def _known_piece(runs: Iterable[bytes], size: int, known: frozenset[bytes]) -> bytes | None:
    for run in runs:
        for at in range(len(run) - size + 1):
            if run[at : at + size] in known:
                return run[at : at + size]
    return None


def _views(told: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes in lower case, and what hexadecimal and base64 in them decode to."""
    lower = told.lower()
    yield "", lower
    for run in _HEX.findall(lower):
        for start in (0, 1):
            even = run[start : start + (len(run) - start) // 2 * 2]
            yield " in hexadecimal", bytes.fromhex(even.decode()).lower()
    for run in _BASE64.findall(told.replace(b"\n", b"")):
        for start in range(4):
            whole = run[start : start + (len(run) - start) // 4 * 4]
            yield " in base64", base64.b64decode(whole).lower()
