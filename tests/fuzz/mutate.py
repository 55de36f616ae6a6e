"""Small damage to bytes and to scenes: what a hostile peer sends is mostly what a good one would have sent."""

from __future__ import annotations

import struct
from random import Random
from typing import TypeVar

Item = TypeVar("Item")
LENGTHS = (0, 1, 3, 4, 5, 255, 65_535, 9_996, 10_000, 10_001, 2**28, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS = tuple(struct.pack("!I", n) for n in LENGTHS) + tuple(struct.pack("!H", n) for n in (0, 1, 2, 1664, 65_535))


def damaged(random: Random, data: bytes, other: bytes = b"") -> bytes:
    """`data` after one to four small damages; pieces of `other` may find their way in."""
    for _ in range(random.randint(1, 4)):
        data = _damage(random, data, other)
    return data


def _damage(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randint(0, len(data))
    to = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64)))
    match random.randrange(8):
        case 0:
            return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + data[to:]
        case 2:
            return data[:at] + data[at:to] * random.randint(2, 4) + data[to:]
        case 3:
            return data[:at] + random.randbytes(random.randint(1, 8)) + data[at:]
        case 4:
            number = random.choice(NUMBERS)
            return data[:at] + number + data[at + len(number) :]
        case 5:
            start = random.randint(0, len(other))
            return data[:at] + other[start : start + random.randint(1, 64)] + data[to:]
        case 6:
            return data[:at]
        case _:
            return data[:at] + bytes(reversed(data[at:to])) + data[to:]


def shuffled(random: Random, parts: list[Item], others: list[Item]) -> list[Item]:
    """A scene in another order: parts left out, said twice, swapped, or taken from another scene."""
    parts = list(parts)
    for _ in range(random.randint(0, 4)):
        if not parts:
            break
        at = random.randrange(len(parts))
        match random.randrange(4):
            case 0:
                del parts[at]
            case 1:
                parts.insert(random.randint(0, len(parts)), parts[at])
            case 2 if others:
                parts.insert(at, random.choice(others))
            case _:
                to = random.randrange(len(parts))
                parts[at], parts[to] = parts[to], parts[at]
    return parts


def cut(random: Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces, sometimes byte by byte."""
    if random.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, 12)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
