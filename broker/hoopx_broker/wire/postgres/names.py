"""The statements and portals of one stream, as the server knows them if all goes well so far.

Messages are sent ahead of their answers, so a change here is made when its message goes out and undone when the
server answers with an error, or skips the message after one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from hoopx_broker.masking.plan import Plan
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.messages import Field

# Real drivers keep some hundreds at most. Each costs its text; without a bound a client could fill the broker.
MAX_NAMES = 10_000

Undo = Callable[[], None]
_Named = TypeVar("_Named")


class Prepared(Struct, frozen=True):
    """A prepared statement: its number, its text (empty where SQL made it) and the plan of its answer."""

    n: int
    text: bytes
    plan: Plan


@dataclass(slots=True)
class Portal:
    """A bound statement. `described` once a Describe for it was sent, `fields` once its answer is here."""

    prepared: Prepared
    parameters: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    described: bool = False
    fields: tuple[Field, ...] | None = None


class Names:
    """A name that is not known here was made by SQL: its answers come under the plan of doubt."""

    def __init__(self) -> None:
        self._statements: dict[bytes, Prepared] = {}
        self._portals: dict[bytes, Portal] = {}

    def statement(self, name: bytes, doubt: Plan) -> Prepared:
        return self._statements.get(name) or Prepared(0, b"", doubt)

    def portal(self, name: bytes, doubt: Plan) -> Portal:
        return self._portals.get(name) or Portal(Prepared(0, b"", doubt))

    def prepare(self, name: bytes, prepared: Prepared) -> Undo:
        return _change(self._statements, name, prepared)

    def bind(self, name: bytes, portal: Portal) -> Undo:
        return _change(self._portals, name, portal)

    def close(self, name: bytes, *, is_portal: bool) -> Undo:
        return _change(self._portals, name, None) if is_portal else _change(self._statements, name, None)

    def forget(self, name: bytes) -> None:
        """SQL gave this name a new meaning (or tries to): from here on it is in doubt."""
        self._statements.pop(name, None)
        self._portals.pop(name, None)


def _change(table: dict[bytes, _Named], name: bytes, value: _Named | None) -> Undo:
    before = table.get(name)
    if value is None:
        table.pop(name, None)
    else:
        table[name] = value
    if len(table) > MAX_NAMES:
        raise BrokenPeer(f"more than {MAX_NAMES} prepared statements or portals in one connection")

    def undo() -> None:
        if before is None:
            table.pop(name, None)
        else:
            table[name] = before

    return undo
