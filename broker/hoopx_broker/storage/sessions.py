"""The rows of sessions: who had which target when, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hoopx_broker.api.messages import SessionView, Unmasked
from hoopx_broker.storage import brokers, events, session_events
from hoopx_broker.storage.brokers import LEFT, Broker, check_here
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import BackendFailed, BadInput, Unknown
from hoopx_broker.terms.ids import SessionId

MAX_LIST = 1000  # more is nothing a person reads, and all of it is held in memory

STATES = ("open", "ended", "unfinished")

_COLUMNS = (
    'expires_at, on_behalf_of, id, "user", target, state, opened_at, ended_at, reason, ticket, statements, denied,'
    " why_ended"
)

_FILTERS = {
    "user": '("user" = :user OR on_behalf_of = :user)',
    "target": "target = :target",
    "state": "state = :state",
}

CRASHED = "the broker stopped before the session ended"

ENDED = "sessions.ended"  # told with the id of one that is open no more
END_ASKED = "sessions.end"  # told with the id of one that is to end


class Sessions:
    """Added when opened, finished once when ended; those that a crash left open are found at the next start."""

    def __init__(self, store: Store, broker: Callable[[], str] = lambda: "", *, keeps_words: bool = True) -> None:
        self._store = store
        self._broker = broker
        self._keeps_words = keeps_words

    async def add(self, opened: Opened) -> None:
        """Store a session by the same facts as its recording begins with.

        Raises `StateFailed` where others take this broker for gone.
        """
        broker, wordless = self._broker(), int(not self._keeps_words)
        await self._store.run(lambda connection: _insert(connection, opened, broker, wordless))

    async def prolong(self, session: SessionId, expires_at: float) -> None:
        """An open session goes on until then."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE sessions SET expires_at = ? WHERE id = ? AND state = 'open' AND expires_at < ?",
                (expires_at, session, expires_at),
            )

        await self._store.run(work)

    async def begin_unmasking(self, session: SessionId, request: str, classes: tuple[str, ...], at: float) -> None:
        """From now on the session sees these classes raw, by this request."""
        row = (session, request, msgspec.json.encode(classes).decode(), at)

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO unmaskings (session, request, classes, began_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (session, request) DO UPDATE SET ended_at = 0",
                row,
            )

        await self._store.run(work)

    async def end_unmasking(self, session: SessionId, request: str, at: float) -> None:
        """What was seen raw by this request is masked again."""

        def work(connection: Connection) -> None:
            _end_unmaskings(connection, session, at, request)

        await self._store.run(work)

    async def finish(
        self,
        session: SessionId,
        end: str,
        ended_at: float,
        statements: int,
        denied: int,
        sealed: Event | None = None,
    ) -> SessionView:
        """The end of an open session; a session that has ended already stays as it is. Raises `Unknown`.

        `sealed` tells of the seal of its recording. Whoever is not the first to end it leaves that to the repair.
        """

        def work(connection: Connection) -> SessionView:
            ended = connection.execute(
                "UPDATE sessions SET state = 'ended', why_ended = ?, ended_at = ?, statements = ?, denied = ?"
                " WHERE id = ? AND state = 'open'",
                (end, ended_at, statements, denied, session),
            )
            if sealed is not None and ended.rowcount == 1:
                events.note(connection, sealed)
            _end_unmaskings(connection, session, ended_at)
            connection.tell(ENDED, session)
            return _find(connection, session)

        return await self._store.run(work)

    async def mark_unfinished(self) -> tuple[SessionView, ...]:
        """Those still open of brokers that are gone were cut by a crash. Gives back what it marked.

        Their `ended_at` stays 0: only their recordings know how far they came.
        """

        def work(connection: Connection) -> tuple[SessionView, ...]:
            lost = f"state = 'open' AND {LEFT}"
            left = connection.execute(f"SELECT id FROM sessions WHERE {lost} ORDER BY opened_at").fetchall()
            mark = f"UPDATE sessions SET state = 'unfinished', why_ended = ?, unsealed = 1 WHERE {lost}"
            connection.execute(mark, (CRASHED,))
            for (session,) in left:
                connection.tell(ENDED, session)
            return tuple(_find(connection, session) for (session,) in left)

        return await self._store.run(work)

    async def unsealed(self, home: str) -> tuple[tuple[SessionId, str], ...]:
        """Unfinished ones whose recordings lie where this broker stands, and are to be sealed; with their targets."""
        query = (
            "SELECT id, target FROM sessions WHERE unsealed = 1"
            " AND (broker = '' OR broker IN (SELECT id FROM brokers WHERE home = ?)) ORDER BY opened_at"
        )
        rows = await self._store.run(lambda connection: connection.execute(query, (home,)).fetchall())
        return tuple((SessionId(session), target) for session, target in rows)

    async def unproved(self, home: str) -> tuple[tuple[SessionId, str], ...]:
        """Those that are over, of recordings here, whose seal is in no event yet; with their targets, the oldest first.

        Of a time before there were events, or of a broker that was cut off between the one and the other.
        """
        query = (
            "SELECT id, target FROM sessions WHERE state <> 'open' AND unsealed = 0"
            " AND (broker = '' OR broker IN (SELECT id FROM brokers WHERE home = ?))"
            " AND NOT EXISTS (SELECT 1 FROM events WHERE events.session = sessions.id AND events.session <> ''"
            " AND events.type IN ('session.sealed', 'recording.broken')) ORDER BY opened_at"
        )
        rows = await self._store.run(lambda connection: connection.execute(query, (home,)).fetchall())
        return tuple((SessionId(session), target) for session, target in rows)

    async def sealed(self, event: Event) -> None:
        """The recording of an unfinished session is sealed, or broken: told once, however often it is found so."""

        def work(connection: Connection) -> None:
            connection.execute("UPDATE sessions SET unsealed = 0 WHERE id = ?", (event.session,))
            if not events.is_noted(connection, event.type, event.session):
                events.note(connection, event)

        await self._store.run(work)

    async def whereabouts(self, session: SessionId) -> Broker | None:
        """The broker that has it, or had it; None for sessions of a time when there was one. Raises `Unknown`."""

        def work(connection: Connection) -> Broker | None:
            _find(connection, session)
            row = connection.execute("SELECT broker FROM sessions WHERE id = ?", (session,)).fetchone()
            return brokers.find(connection, row[0])

        return await self._store.run(work)

    async def ask_end(self, session: SessionId, why: str) -> None:
        """Have the broker that has it end it. The first reason stays."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE sessions SET end_asked = ? WHERE id = ? AND state = 'open' AND end_asked = ''", (why, session)
            )
            connection.tell(END_ASKED, session)

        await self._store.run(work)

    async def asked_to_end(self) -> tuple[tuple[SessionId, str], ...]:
        """Those of this broker that are to end, and why."""
        broker = self._broker()
        query = "SELECT id, end_asked FROM sessions WHERE state = 'open' AND broker = ? AND end_asked <> ''"
        rows = await self._store.run(lambda connection: connection.execute(query, (broker,)).fetchall())
        return tuple((SessionId(session), why) for session, why in rows)

    async def ended(self, session: SessionId, patience: float) -> SessionView:
        """As it is when it is open no more, or when `patience` seconds are over. Raises `Unknown`."""
        changed = asyncio.Event()
        leave = self._store.subscribe(ENDED, lambda told: changed.set() if told in (None, session) else None)
        try:
            async with asyncio.timeout(patience):
                while (view := await self.get(session)).state == "open":
                    await changed.wait()
                    changed.clear()
                return view
        except TimeoutError:
            return await self.get(session)
        finally:
            leave()

    async def get(self, session: SessionId) -> SessionView:
        """Raises `Unknown`."""
        return await self._store.run(lambda connection: _find(connection, session))

    async def list(
        self, *, user: str | None = None, target: str | None = None, state: str | None = None, limit: int = 50
    ) -> tuple[SessionView, ...]:
        """The newest first. A `user` has also those that agents had on their behalf."""
        if state is not None and state not in STATES:
            raise BadInput(f"`{state}` is no state of a session", f"use one of {', '.join(STATES)}")
        wanted = {"user": user, "target": target, "state": state}
        filters = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(["TRUE", *(_FILTERS[column] for column in filters)])
        query = f"SELECT {_COLUMNS} FROM sessions WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT :limit"
        values: dict[str, Any] = {**filters, "limit": max(0, min(limit, MAX_LIST))}
        return await self._store.run(lambda connection: _views(connection, query, values))


def _insert(connection: Connection, opened: Opened, broker: str, wordless: int) -> None:
    check_here(connection, broker)
    lease = connection.execute("SELECT state FROM leases WHERE id = ?", (opened.lease,)).fetchone()
    if lease is not None and lease[0] in ("ending", "ended"):
        raise BackendFailed("its lease was revoked before the session began", "open a new session")
    connection.execute(
        "INSERT INTO sessions"
        ' (id, "user", on_behalf_of, target, state, opened_at, expires_at, reason, ticket, request, lease, broker,'
        " owner, wordless) VALUES (?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            opened.session,
            opened.principal.user,
            opened.principal.on_behalf_of,
            opened.target,
            opened.opened_at,
            opened.expires_at,
            opened.reason,
            opened.ticket,
            opened.request,
            opened.lease,
            broker,
            _owner(connection, opened),
            wordless,
        ),
    )
    events.note(connection, session_events.opened(opened))


def _owner(connection: Connection, opened: Opened) -> int:
    """The number under which they have sessions there, from now on if not already."""
    whose = (opened.target, opened.principal.user, opened.principal.on_behalf_of or "")
    known = 'SELECT number FROM session_owners WHERE target = ? AND "user" = ? AND on_behalf_of = ?'
    row = connection.execute(known, whose).fetchone()
    if row is None:
        connection.execute('INSERT INTO session_owners (target, "user", on_behalf_of) VALUES (?, ?, ?)', whose)
        row = connection.execute(known, whose).fetchone()
    return int(row[0])


def _find(connection: Connection, session: str) -> SessionView:
    found = _views(connection, f"SELECT {_COLUMNS} FROM sessions WHERE id = :id", {"id": session})
    if not found:
        raise Unknown(f"there is no session `{session}`", "`hoopx sessions ls` lists them")
    return found[0]


def views(connection: Connection, ids: Sequence[str]) -> tuple[SessionView, ...]:
    """These sessions, in this order."""
    query = f"SELECT {_COLUMNS} FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))"
    found = {view.id: view for view in _views(connection, query, {"ids": msgspec.json.encode(ids).decode()})}
    return tuple(found[id_] for id_ in ids if id_ in found)


def _views(connection: Connection, query: str, values: dict[str, Any]) -> tuple[SessionView, ...]:
    rows = connection.execute(query, values).fetchall()
    unmasked = _unmaskings(connection, [row[2] for row in rows])
    return tuple(
        msgspec.structs.replace(
            SessionView(*facts),
            unmasked=tuple(unmasked[facts[0]]),
            on_behalf_of=on_behalf_of,
            expires_at=expires_at,
        )
        for expires_at, on_behalf_of, *facts in rows
    )


def _unmaskings(connection: Connection, sessions: Sequence[str]) -> dict[str, list[Unmasked]]:
    """By session, the oldest first."""
    seen: dict[str, list[Unmasked]] = {session: [] for session in sessions}
    rows = connection.execute(
        "SELECT session, request, classes, began_at, ended_at FROM unmaskings"
        " WHERE session IN (SELECT value FROM json_each(:sessions)) ORDER BY began_at",
        {"sessions": msgspec.json.encode(sessions).decode()},
    )
    for session, request, classes, began_at, ended_at in rows:
        seen[session].append(Unmasked(request, msgspec.json.decode(classes, type=tuple[str, ...]), began_at, ended_at))
    return seen


def _end_unmaskings(connection: Connection, session: str, at: float, request: str | None = None) -> None:
    connection.execute(
        "UPDATE unmaskings SET ended_at = :at"
        " WHERE session = :session AND ended_at = 0 AND (request = :request OR :request IS NULL)",
        {"session": session, "at": at, "request": request},
    )
