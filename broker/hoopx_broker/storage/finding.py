"""Find sessions by what the state knows of them: the newest first, page by page, of those that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import SessionView
from hoopx_broker.storage import sessions
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.marks import Mark
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.people import Owner

# How far back is looked in one step, in sessions of everybody: what many have in common is found among the newest,
# and what is rare is looked for in all without costing much.
_REACHES = (1_000, 10_000, 100_000)
# To tell which of several marks is rare.
_COUNTED = 1_000


class Place(Struct, frozen=True, order=True):
    """Where a page ends: the session that stands last on it."""

    opened_at: float
    id: str


# Before everything; after the last.
FIRST = Place(1e300, "")


class Owned(Struct, frozen=True):
    """Somebody's sessions on one target, under one number."""

    number: int
    target: str
    owner: Owner


class Wanted(Struct, frozen=True):
    """All must hold. `owners` are the numbers of those whose sessions are looked through, maybe of `everybody`."""

    owners: tuple[int, ...]
    marks: tuple[Mark, ...] = ()
    state: str = ""
    since: float = 0
    until: float = 1e300
    everybody: bool = False


class Found(Struct, frozen=True):
    """A session at its place. It is `sure` where the state knows that all marks are there."""

    place: Place
    sure: bool = True


class Finding:
    """Who may see what is not its business: it is told whose sessions to look through, and looks at no others."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def owners(self, user: str = "", target: str = "") -> tuple[Owned, ...]:
        """Everybody who had sessions. A `user` has also those that agents had on their behalf."""
        query = (
            'SELECT number, target, "user", on_behalf_of FROM session_owners'
            " WHERE (target = :target OR :target = '')"
            " AND (\"user\" = :user OR on_behalf_of = :user OR :user = '')"
        )
        asked = {"user": user, "target": target}
        rows = await self._store.run(lambda connection: connection.execute(query, asked).fetchall())
        return tuple(Owned(number, place, Owner(name, human or None)) for number, place, name, human in rows)

    async def page(self, wanted: Wanted, before: Place, limit: int) -> tuple[Found, ...]:
        """The newest before a place, and among them those that may be meant but must be read to know."""
        if not wanted.owners:
            return ()
        return await self._store.run(lambda connection: _page(connection, wanted, before, limit))

    async def count_wordless(self, wanted: Wanted) -> int:
        """Of those that would be looked through: sessions whose words are not kept."""
        if not wanted.owners:
            return 0
        return await self._store.run(lambda connection: _count_wordless(connection, wanted))

    async def views(self, ids: Sequence[str]) -> tuple[SessionView, ...]:
        return await self._store.run(lambda connection: sessions.views(connection, ids))


def _page(connection: Connection, wanted: Wanted, before: Place, limit: int) -> tuple[Found, ...]:
    found: list[Found] = []
    for floor in _floors(connection, wanted, before):
        sure = _sure(connection, wanted, before, floor, limit)
        unsure = _unsure(connection, wanted, before, floor, limit) if wanted.marks else []
        found = _merged(sure, unsure, limit)
        if len(found) >= limit:
            break
    return tuple(found)


def _floors(connection: Connection, wanted: Wanted, before: Place) -> Iterator[float]:
    """Times to look back to, further each time; the last is as far as is wanted."""
    newest = min(before.opened_at, wanted.until)
    query = "SELECT opened_at FROM sessions WHERE opened_at <= ? ORDER BY opened_at DESC LIMIT 1 OFFSET ?"
    for reach in _REACHES if _is_narrow(wanted) else ():
        row = connection.execute(query, (newest, reach)).fetchone()
        if row is None or row[0] <= wanted.since:
            break
        yield row[0]
    yield wanted.since


def _is_narrow(wanted: Wanted) -> bool:
    """All sessions of everybody stand in the order in which they are listed, and need no steps."""
    return not wanted.everybody or bool(wanted.marks)


def _sure(connection: Connection, wanted: Wanted, before: Place, floor: float, limit: int) -> list[Place]:
    values = _values(wanted, before, floor)
    marks = wanted.marks
    if len(marks) > 1:
        marks = tuple(sorted(marks, key=lambda mark: _count(connection, wanted.owners, mark, values)))
    is_all = wanted.everybody and not marks
    where, more = _having(None if is_all else wanted.owners, marks)
    at = "m.opened_at, m.session" if marks else "s.opened_at, s.id"
    # With the `+` no index by time is walked, which would be full of other people's.
    order = "s.opened_at DESC, s.id DESC" if is_all else at.replace("opened_at,", "opened_at + 0 DESC,") + " DESC"
    query = f"SELECT {at} {where}{_state(wanted, marks)} ORDER BY {order} LIMIT :limit"
    rows = connection.execute(query, _used(query, values | more | {"limit": limit})).fetchall()
    return [Place(at, id_) for at, id_ in rows]


# `opened_at` by itself tells the databases where to begin and to end in an index.
_WITHIN = "{0}.opened_at >= :floor AND {0}.opened_at <= :ceiling AND ({0}.opened_at < :at OR {0}.{1} < :id)"
# So many numbers are written out, by which PostgreSQL plans well. They are the state's own.
_WRITTEN_OUT = 2_000


def _theirs(owners: Sequence[int]) -> str:
    if len(owners) <= _WRITTEN_OUT:
        return f"IN ({', '.join(str(int(number)) for number in owners)})"
    return "IN (SELECT CAST(value AS BIGINT) FROM json_each(:owners))"


def _having(owners: Sequence[int] | None, marks: Sequence[Mark]) -> tuple[str, dict[str, Any]]:
    """The sessions that have all these marks, by the first of them, within the bounds of `_values`."""
    if not marks:
        theirs = f"s.owner {_theirs(owners)} AND " if owners is not None else ""
        return f"FROM sessions AS s WHERE {theirs}{_WITHIN.format('s', 'id')}", {}
    values: dict[str, Any] = {f"kind{at}": mark.kind for at, mark in enumerate(marks)}
    values |= {f"mark{at}": mark.text for at, mark in enumerate(marks)}
    where = (
        f"FROM session_marks AS m WHERE m.owner {_theirs(owners or ())} AND m.kind = :kind0 AND m.mark = :mark0"
        f" AND {_WITHIN.format('m', 'session')}"
    )
    return where + "".join(map(_also, range(1, len(marks)))), values


def _also(at: int) -> str:
    return (
        f" AND EXISTS (SELECT 1 FROM session_marks AS m{at} WHERE m{at}.owner = m.owner AND m{at}.kind = :kind{at}"
        f" AND m{at}.mark = :mark{at} AND m{at}.opened_at = m.opened_at AND m{at}.session = m.session)"
    )


def _column(name: str, marks: Sequence[Mark]) -> str:
    """Of a session that `_having` gives. Looked up for each: PostgreSQL would read all sessions for a join."""
    return f"(SELECT s.{name} FROM sessions AS s WHERE s.id = m.session)" if marks else f"s.{name}"


def _state(wanted: Wanted, marks: Sequence[Mark]) -> str:
    return f" AND {_column('state', marks)} = :state" if wanted.state else ""


def _values(wanted: Wanted, before: Place, floor: float) -> dict[str, Any]:
    return {
        "owners": msgspec.json.encode(wanted.owners).decode(),
        "floor": floor,
        "ceiling": min(before.opened_at, wanted.until),
        "at": before.opened_at,
        "id": before.id,
        "state": wanted.state,
    }


def _used(query: str, values: dict[str, Any]) -> dict[str, Any]:
    """Those that the query names."""
    return {name: value for name, value in values.items() if re.search(rf":{name}\b", query)}


def _count(connection: Connection, owners: Sequence[int], mark: Mark, values: dict[str, Any]) -> int:
    """How often it is there, roughly: whatever is rarest is looked through."""
    query = (
        f"SELECT COUNT(*) FROM (SELECT 1 FROM session_marks AS m"
        f" WHERE m.owner {_theirs(owners)} AND m.kind = :kind AND m.mark = :mark"
        f" AND m.opened_at >= :floor AND m.opened_at <= :ceiling LIMIT {_COUNTED}) AS several"
    )
    asked = values | {"kind": mark.kind, "mark": mark.text}
    return int(connection.execute(query, _used(query, asked)).fetchone()[0])


# Open ones with few marks are told of as they go; all others of which something may be missing must be read.
_UNSURE = "s.marked <> 1 AND (s.marked <> 0 OR s.state <> 'open')"


def _unsure(connection: Connection, wanted: Wanted, before: Place, floor: float, limit: int) -> list[Place]:
    where, _ = _having(wanted.owners, ())
    # Those whose words nobody can read are counted instead.
    readable = " AND s.wordless = 0" if any(mark.kind == "word" for mark in wanted.marks) else ""
    query = (
        f"SELECT s.opened_at, s.id {where} AND {_UNSURE}{readable}{_state(wanted, ())}"
        " ORDER BY s.opened_at + 0 DESC, s.id DESC LIMIT :limit"
    )
    rows = connection.execute(query, _used(query, _values(wanted, before, floor) | {"limit": limit})).fetchall()
    return [Place(at, id_) for at, id_ in rows]


def _merged(sure: Sequence[Place], unsure: Sequence[Place], limit: int) -> list[Found]:
    known = set(sure)
    found = [Found(place) for place in sure] + [Found(place, sure=False) for place in unsure if place not in known]
    return sorted(found, key=lambda each: each.place, reverse=True)[:limit]


def _count_wordless(connection: Connection, wanted: Wanted) -> int:
    marks = [mark for mark in wanted.marks if mark.kind != "word"]
    where, more = _having(wanted.owners, marks)
    query = f"SELECT COUNT(*) {where} AND {_column('wordless', marks)} = 1{_state(wanted, marks)}"
    values = _values(wanted, FIRST, wanted.since) | more
    return int(connection.execute(query, _used(query, values)).fetchone()[0])
