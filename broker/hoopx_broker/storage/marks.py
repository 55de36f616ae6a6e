"""What sessions are found by, in the state: their marks, kept while they are open and made whole when they are over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec import Struct

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import SessionId

Kind = Literal["table", "effect", "rule", "ruling", "request", "approver", "ticket", "reason", "word"]

# One transaction holds up all others for as long as it takes.
MAX_AT_ONCE = 2_000


class Mark(NamedTuple):
    """One thing that a session is found by; `text` is as `evidence/marks.py` writes it."""

    kind: Kind
    text: str


class State:
    """The column `marked`."""

    OPEN = 0
    WHOLE = 1
    MORE = 2
    UNREADABLE = 3


class Told(Struct, frozen=True):
    """What is new of a session. `statements` and `denied` are counted from its beginning.

    `marked` is None where nothing is known to have changed.
    """

    session: SessionId
    marks: tuple[Mark, ...] = ()
    statements: int = 0
    denied: int = 0
    marked: int | None = None
    is_wordless: bool = False


class Marks:
    """Adding a mark again does no harm, so what was cut off is simply done again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, told: Iterable[Told]) -> None:
        """Each session's news at once; many marks in several transactions, the state of a session with the last."""
        for few in _portions(told):
            await self._store.run(lambda connection, few=few: _write(connection, few))  # type: ignore[misc]

    async def unmarked(self, home: str, limit: int) -> tuple[SessionId, ...]:
        """Of sessions that are over, those whose marks are to be made from recordings on this broker's disk."""
        query = (
            "SELECT id FROM sessions WHERE marked <> 1 AND marked = 0 AND state <> 'open' AND unsealed = 0"
            " AND (broker = '' OR broker IN (SELECT id FROM brokers WHERE home = ?)) ORDER BY opened_at DESC LIMIT ?"
        )
        rows = await self._store.run(lambda connection: connection.execute(query, (home, limit)).fetchall())
        return tuple(SessionId(session) for (session,) in rows)


def forget(connection: Connection, session: str) -> None:
    """Its recording is deleted by right: what was said in it is found no more. What its row tells stays."""
    whose = "owner = (SELECT sessions.owner FROM sessions WHERE sessions.id = :id)"
    said = "kind IN ('word', 'table', 'effect')"
    connection.execute(f"DELETE FROM session_marks WHERE {whose} AND session = :id AND {said}", {"id": session})
    connection.execute("UPDATE sessions SET marked = 1, wordless = 0 WHERE id = ?", (session,))


def _portions(told: Iterable[Told]) -> Iterable[list[Told]]:
    """Of at most `MAX_AT_ONCE` marks, the last of a session with what is known of it besides."""
    few: list[Told] = []
    room = MAX_AT_ONCE
    for one in told:
        marks = one.marks
        while len(marks) > room:
            few.append(Told(one.session, marks[:room], one.statements, one.denied, None, one.is_wordless))
            yield few
            few, marks, room = [], marks[room:], MAX_AT_ONCE
        few.append(Told(one.session, marks, one.statements, one.denied, one.marked, one.is_wordless))
        room -= len(marks)
    if few:
        yield few


def _write(connection: Connection, few: list[Told]) -> None:
    for one in few:
        if _is_forgotten(connection, one.session):
            continue
        for mark in one.marks:
            connection.execute(
                "INSERT INTO session_marks (owner, kind, mark, opened_at, session)"
                " SELECT owner, ?, ?, opened_at, id FROM sessions WHERE id = ? ON CONFLICT DO NOTHING",
                (mark.kind, mark.text, one.session),
            )
        connection.execute(
            "UPDATE sessions SET statements = CASE WHEN statements < :statements THEN :statements ELSE statements END,"
            " denied = CASE WHEN denied < :denied THEN :denied ELSE denied END,"
            " wordless = CASE WHEN :wordless = 1 THEN 1 ELSE wordless END,"
            " marked = CASE WHEN :marked < 0 THEN marked ELSE :marked END WHERE id = :id",
            {
                "statements": one.statements,
                "denied": one.denied,
                "wordless": int(one.is_wordless),
                "marked": -1 if one.marked is None else one.marked,
                "id": one.session,
            },
        )


def _is_forgotten(connection: Connection, session: SessionId) -> bool:
    """Its recording may have been read while it was being deleted."""
    query = "SELECT 1 FROM recordings WHERE session = ? AND state IN ('deleting', 'deleted')"
    return connection.execute(query, (session,)).fetchone() is not None
