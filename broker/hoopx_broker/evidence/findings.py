"""What an audit finds: faults, and what people should know beside them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

Tell = Callable[[str], None]  # how far it is by now, for whoever waits


class Finding(Struct, frozen=True):
    """Of each kind, the first is told, and how many more there are."""

    kind: str
    what: str
    more: int = 0


class Findings:
    """The first of each kind, in the order in which they came. A remark is no fault."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}
        self._remarks: dict[str, Finding] = {}

    def add(self, kind: str, what: str) -> None:
        _count(self._found, kind, what)

    def remark(self, kind: str, what: str) -> None:
        _count(self._remarks, kind, what)

    def all(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())

    def remarks(self) -> tuple[Finding, ...]:
        return tuple(self._remarks.values())


def _count(found: dict[str, Finding], kind: str, what: str) -> None:
    first = found.get(kind)
    found[kind] = Finding(kind, what) if first is None else Finding(kind, first.what, first.more + 1)
