"""What the broker wrote about a run: how many statements it judged, and which of them it did not let through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from hoopx_broker.recording.format import SUFFIX, Reader
from hoopx_broker.terms.entries import Statement


class Judged(Struct, frozen=True):
    """`refused` counts reasons; the grammar's complaints are among them, which no server would have taken either."""

    statements: int
    refused: Counter[str]


def judged(recordings: Path) -> Judged:
    """Over all sessions of a run."""
    return tally(entry for path in sorted(recordings.glob(f"*{SUFFIX}")) for entry in _statements(path))


def tally(statements: Iterable[Statement]) -> Judged:
    count, refused = 0, Counter[str]()
    for statement in statements:
        count += 1
        if statement.ruling != "allow":
            refused[_class(statement)] += 1
    return Judged(count, refused)


def _class(statement: Statement) -> str:
    """Its reason, without the place in the text."""
    reason = statement.reason.partition(" at character ")[0]
    return f"{', '.join(statement.rules)}: {reason}"


def _statements(path: Path) -> Iterable[Statement]:
    with path.open("rb") as stream:
        for recorded in Reader(stream):
            if isinstance(recorded.entry, Statement):
                yield recorded.entry
