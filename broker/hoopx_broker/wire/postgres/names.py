"""The statements and portals of one stream, as the server will know them.

Messages go out ahead of their answers. A change of a name is made when its message goes out, kept when the server
agrees, and undone when the server answers with an error or skips the message after one. Until then the name has
several possible meanings; `is_settled` tells whether only one of them can meet the next message.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct, structs

from hoopx_broker.masking.plan import Plan
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.descriptions import Description

# Real drivers keep some hundreds at most. Each costs its text; without a bound a client could fill the broker.
MAX_NAMES = 10_000
# Texts and parameters of all names together: a large one fits, ten thousand large ones do not.
MAX_NAMED_BYTES = 320 * 1024 * 1024
# NAMEDATALEN - 1. The server looks names up by their first 63 bytes, so two longer ones may be the same to it alone.
MAX_NAME = 63

_Named = TypeVar("_Named")


class Prepared(Struct, frozen=True):
    """A prepared statement: its number, its text (empty where SQL made it) and the plan of its answer.

    `is_pending` where people, or rules on values, are asked before each run. `in_doubt` once SQL may have given its
    name another meaning: it is judged as what it was, but masked as anything. One that only SQL knows has the text that
    runs it by its name. `types` are those of its parameters, filled in where the server tells them.
    """

    n: int
    text: bytes
    plan: Plan
    types: list[int] = []
    in_doubt: bool = False
    is_pending: bool = False


@dataclass(slots=True, eq=False)
class Portal:
    """A bound statement. `described` once a Describe for it was sent, `fields` once its answer is here."""

    prepared: Prepared
    parameters: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    described: bool = False
    fields: Description | None = None


class Change(Generic[_Named]):
    """A new meaning of one name, None for no meaning. `doubts` marks where SQL may have changed what came before."""

    __slots__ = ("_name", "_table", "doubts", "kept", "segment", "size", "value")

    def __init__(
        self, table: _Table[_Named], name: bytes, value: _Named | None, size: int = 0, *, doubts: bool = False
    ) -> None:
        self._table = table
        self._name = name
        self.value = value
        self.size = size
        self.doubts = doubts
        self.kept = doubts
        self.segment = table.segment

    def keep(self) -> None:
        """The server made the change."""
        self.kept = True
        self._table.settle(self._name, self)

    def undo(self) -> None:
        """The server did not make the change."""
        self._table.drop(self._name, self)


class _Table(Generic[_Named]):
    """The changes of each name, oldest first: what the server has for sure, then what it is still to answer.

    Answers come in order, so a change is kept or undone while it stands at or near the front.
    """

    def __init__(self) -> None:
        self._changes: dict[bytes, deque[Change[_Named]]] = {}
        # Names that the server has; kept apart so that a long pipeline is not searched for them at each answer.
        self._settled: set[bytes] = set()
        self._size = 0
        self.segment = 0

    def find(self, name: bytes) -> tuple[_Named | None, bool]:
        """What the name means if all goes well, and whether SQL put that in doubt."""
        doubted = False
        for change in reversed(self._changes.get(_checked(name), ())):
            if not change.doubts:
                return change.value, doubted
            doubted = True
        return None, doubted

    def meanings(self, name: bytes) -> list[_Named]:
        """Everything that the name may mean to the server by now."""
        return [change.value for change in self._changes.get(name, ()) if change.value is not None]

    def is_settled(self, name: bytes) -> bool:
        """Within one segment a failed change takes all that follows with it; beyond a Sync it does not."""
        waiting = (change for change in self._changes.get(_checked(name), ()) if not change.kept)
        oldest = next(waiting, None)
        return oldest is None or oldest.segment == self.segment

    def change(self, name: bytes, value: _Named | None, size: int = 0) -> Change[_Named]:
        change = Change(self, _checked(name), value, size)
        self._changes.setdefault(name, deque()).append(change)
        self._size += size
        if len(self._changes) > MAX_NAMES or self._size > MAX_NAMED_BYTES:
            raise BrokenPeer("too many or too large prepared statements or portals in one connection")
        return change

    def doubt(self, name: bytes) -> None:
        changes = self._changes.get(name)
        if changes and not changes[-1].doubts:
            changes.append(Change(self, name, None, doubts=True))

    def settle(self, name: bytes, change: Change[_Named]) -> None:
        changes = self._changes[name]
        while changes[0] is not change:
            self._size -= changes.popleft().size
        self._settled.add(name)
        self._sweep(name, changes)

    def drop(self, name: bytes, change: Change[_Named]) -> None:
        changes = self._changes[name]
        changes.remove(change)
        self._size -= change.size
        self._sweep(name, changes)

    def drop_settled(self) -> None:
        settled, self._settled = self._settled, set()
        for name in settled:
            changes = self._changes[name]
            while changes and changes[0].kept:
                self._size -= changes.popleft().size
            self._sweep(name, changes)

    def _sweep(self, name: bytes, changes: deque[Change[_Named]]) -> None:
        """Forget a name that means nothing: one that was closed, or that only SQL knows."""
        while changes and changes[0].kept and changes[0].value is None:
            changes.popleft()
        if not changes:
            del self._changes[name]
            self._settled.discard(name)


class Names:
    """A name that is not known here was made by SQL, if at all: its answers come under the plan of doubt."""

    def __init__(self) -> None:
        self._statements: _Table[Prepared] = _Table()
        self._portals: _Table[Portal] = _Table()
        self._said: set[bytes] = set()

    def statement(self, name: bytes, doubt: Plan) -> Prepared:
        found, doubted = self._statements.find(name)
        if found is None:
            return _known_to_sql(b"EXECUTE ", name, doubt)
        return _doubted(found, doubt) if doubted else found

    def portal(self, name: bytes, doubt: Plan) -> Portal:
        found, doubted = self._portals.find(name)
        if found is None:
            return Portal(_known_to_sql(b"FETCH ALL FROM ", name, doubt))
        if not doubted:
            return found
        # Its columns are in doubt too: `fields` is asked for anew at each Execute.
        return Portal(_doubted(found.prepared, doubt), found.parameters, found.formats)

    def is_settled(self, *, statement: bytes | None = None, portal: bytes | None = None) -> bool:
        """False while the server has yet to tell which of several meanings the name has."""
        return (statement is None or self._statements.is_settled(statement)) and (
            portal is None or self._portals.is_settled(portal)
        )

    def may_be_pending(self, name: bytes) -> bool:
        """May SQL run by this name what people have yet to be asked about?"""
        bound = (portal.prepared for portal in self._portals.meanings(name))
        return any(prepared.is_pending for prepared in (*self._statements.meanings(name), *bound))

    def was_said(self, name: bytes) -> bool:
        """Did the protocol ever give this name to something, so that SQL may run that by it?"""
        return name in self._said or len(self._said) >= MAX_NAMES

    def _say(self, name: bytes) -> None:
        if name and len(self._said) < MAX_NAMES:
            self._said.add(name)

    def prepare(self, name: bytes, prepared: Prepared) -> Change[Prepared]:
        self._say(name)
        return self._statements.change(name, prepared, len(prepared.text))

    def bind(self, name: bytes, portal: Portal) -> Change[Portal]:
        self._say(name)
        return self._portals.change(name, portal, sum(len(value) for value in portal.parameters if value is not None))

    def close_statement(self, name: bytes) -> Change[Prepared]:
        return self._statements.change(name, None)

    def close_portal(self, name: bytes) -> Change[Portal]:
        return self._portals.change(name, None)

    def doubt(self, name: bytes) -> None:
        """SQL gives this name a new meaning, or tries to."""
        self._statements.doubt(name)
        self._portals.doubt(name)

    def next_segment(self) -> None:
        """A Sync went out: what follows is no longer skipped if what came before failed."""
        self._statements.segment += 1
        self._portals.segment += 1

    def transaction_ended(self) -> None:
        """Portals do not outlive their transaction. Those whose Bind is not answered yet belong to the next one."""
        self._portals.drop_settled()


def _known_to_sql(verb: bytes, name: bytes, doubt: Plan) -> Prepared:
    """Running it by the protocol is judged as running it by SQL. The empty name is none that SQL could have made."""
    text = verb + b'"' + name.replace(b'"', b'""') + b'"' if name else b""
    return Prepared(0, text, doubt, in_doubt=True)


def _doubted(prepared: Prepared, doubt: Plan) -> Prepared:
    return structs.replace(prepared, plan=doubt, in_doubt=True)


def _checked(name: bytes) -> bytes:
    if len(name) > MAX_NAME:
        raise BrokenPeer(f"the name of a prepared statement or portal is longer than {MAX_NAME} bytes")
    return name
