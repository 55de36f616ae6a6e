"""A lane of the fuzzer: how its cases are made and what must hold for each; and how a found case is made small."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol, TypeVar

Case = tuple[object, ...]
Part = TypeVar("Part")
# A found case is made smaller with at most so many tries: a few seconds, and most cases are tiny by then.
TRIES = 2000


class Lane(Protocol):
    """Draws cases and checks them. A case is a tuple of literals, so that it can be pasted into a test."""

    name: str

    def draw(self, random: Random) -> Case:
        """A case. The same state of `random` gives the same case."""
        ...

    def check(self, case: Case) -> None:
        """Raises whatever comes when a law does not hold."""
        ...

    def close(self) -> None:
        """The last case was checked."""
        ...


def broken_law(lane: Lane, case: Case) -> str | None:
    """What does not hold, or None. Whatever a case raises is a finding: that is what this lane is for."""
    try:
        lane.check(case)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({where.filename.rpartition('/')[2]}:{where.lineno})"
    return None


def smaller(lane: Lane, case: Case, law: str) -> Case:
    """The smallest case found that breaks a law in the same place."""
    place = law.rpartition("(")[2]
    tries = 0

    def still_breaks(parts: Sequence[object]) -> bool:
        nonlocal tries
        tries += 1
        told = broken_law(lane, tuple(parts)) if tries < TRIES else None
        return told is not None and told.endswith(place)

    parts = _fewer(list(case), still_breaks)
    for index in range(len(parts)):
        before, after = parts[:index], parts[index + 1 :]

        def fits(short: object, before: list[object] = before, after: list[object] = after) -> bool:
            return still_breaks([*before, short, *after])

        parts[index] = _shorter(parts[index], fits)
    return tuple(parts)


def _shorter(part: object, still_breaks: Callable[[object], bool]) -> object:
    """A part is bytes, or a tuple that ends with bytes."""
    if isinstance(part, bytes):
        return bytes(_fewer(list(part), lambda short: still_breaks(bytes(short))))
    if isinstance(part, tuple) and part and isinstance(part[-1], bytes):
        head = part[:-1]
        return (*head, bytes(_fewer(list(part[-1]), lambda short: still_breaks((*head, bytes(short))))))
    return part


def _fewer(parts: list[Part], still_breaks: Callable[[list[Part]], bool]) -> list[Part]:
    """Leave out runs, long ones first, as long as the rest still breaks the law."""
    size = len(parts) // 2
    while size:
        at = 0
        while at < len(parts):
            without = parts[:at] + parts[at + size :]
            if without and still_breaks(without):
                parts = without
            else:
                at += size
        size //= 2
    return parts
