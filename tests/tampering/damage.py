"""Ways to change a file, drawn by chance. Each gives the changed file; some draws change nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[bytes, bytes, list[int], random.Random], bytes]


def flip(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    """One bit."""
    at = chance.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]


def overwrite(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    """One byte, by any other."""
    at = chance.randrange(len(whole))
    return whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :]


def cut(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    return whole[: chance.randrange(len(whole))]


def drop(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    start, end = _range(whole, chance)
    return whole[:start] + whole[end:]


def double(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    start, end = _range(whole, chance)
    return whole[:end] + whole[start:]


def swap(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    """Two stretches, of whatever length."""
    a, b, c, d = sorted(chance.randrange(len(whole) + 1) for _ in range(4))
    return whole[:a] + whole[c:d] + whole[b:c] + whole[a:b] + whole[d:]


def insert(whole: bytes, _: bytes, __: list[int], chance: random.Random) -> bytes:
    at = chance.randrange(len(whole) + 1)
    return whole[:at] + chance.randbytes(chance.randrange(1, 40)) + whole[at:]


def transplant(whole: bytes, other: bytes, _: list[int], chance: random.Random) -> bytes:
    """A stretch of another file that the same key sealed, at the same place."""
    start, end = _range(whole, chance)
    return whole[:start] + other[start:end] + whole[end:]


def reorder(whole: bytes, _: bytes, starts: list[int], chance: random.Random) -> bytes:
    """Whole parts: all of them are there, each as it was."""
    first, *parts = _parts(whole, starts)
    chance.shuffle(parts)
    return first + b"".join(parts)


def omit(whole: bytes, _: bytes, starts: list[int], chance: random.Random) -> bytes:
    """A whole part."""
    parts = _parts(whole, starts)
    del parts[chance.randrange(len(parts))]
    return b"".join(parts)


def repeat(whole: bytes, _: bytes, starts: list[int], chance: random.Random) -> bytes:
    """A whole part."""
    parts = _parts(whole, starts)
    at = chance.randrange(len(parts))
    return b"".join([*parts[: at + 1], *parts[at:]])


def exchange(whole: bytes, other: bytes, starts: list[int], chance: random.Random) -> bytes:
    """A whole part, for what stands at its place in another file that the same key sealed."""
    parts = _parts(whole, starts)
    at = chance.randrange(len(parts))
    start = starts[at]
    parts[at] = other[start : start + len(parts[at])]
    return b"".join(parts)


FOREIGN = (transplant, exchange)
ALL: tuple[Damage, ...] = (
    flip, flip, flip, overwrite, cut, drop, double, swap, insert, transplant, reorder, omit, repeat, exchange,
)  # fmt: skip


def _range(whole: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(whole))
    return start, min(len(whole), start + 1 + int(chance.expovariate(1 / 60)))


def _parts(whole: bytes, starts: list[int]) -> list[bytes]:
    return [whole[start:end] for start, end in zip(starts, [*starts[1:], len(whole)], strict=True)]
