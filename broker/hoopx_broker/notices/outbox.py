"""The rows of what is to be told. Each function is one step of a transaction."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView
from hoopx_broker.notices.routing import message_id
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.settings import Notify

TOPIC = "notices"  # of what brokers tell each other: there is something to be told to the outside
KEEP_SETTLED = 7 * 86_400.0  # what was told, and what was not: long enough to look into it after a week off
# The longest life of a request and of what it led to, a review that stayed open over a holiday included.
KEEP_THREADS = 60 * 86_400.0
OVERDUE = 2 * 3600.0  # longer than the longest pause between two tries
MAX_ERROR = 500  # characters of what went wrong


class Due(Struct, frozen=True):
    """A notice that is to be told now, and what its notifier remembers of the request."""

    id: str
    notifier: str
    happening: Happening
    view: RequestView
    attempts: int
    ends_at: float
    thread: dict[str, str]


class Left(Struct, frozen=True):
    """How many notices are not told: tried in vain and tried again, or given up within the last week."""

    late: int
    given_up: int


def put(connection: Connection, entry: Notify, happening: Happening, view: RequestView) -> None:
    """In the transaction of what happened. The text of a statement is not kept a second time."""
    bare = replace(view, statement="", canonical="")
    connection.execute(
        "INSERT INTO notices (id, notifier, request, happening, view, due_at, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO NOTHING",
        (
            message_id(entry.name, happening),
            entry.name,
            happening.request,
            msgspec.json.encode(happening).decode(),
            msgspec.json.encode(bare).decode(),
            happening.at,
            happening.at + entry.give_up,
        ),
    )


# The oldest of each request alone: what happened later is told later.
_OLDEST = (
    "state = 'due' AND notifier = :notifier AND NOT EXISTS (SELECT 1 FROM notices AS earlier"
    " WHERE earlier.state = 'due' AND earlier.notifier = notices.notifier"
    " AND earlier.request = notices.request AND earlier.number < notices.number)"
)


def claim(connection: Connection, notifier: str, mark: str, now: float, until: float) -> Due | None:
    """Take the next one; nobody else sends it before `until`. None where nothing is due."""
    while (row := _next(connection, notifier, now)) is not None:
        number, notice, request, happening, view, attempts, ends_at = row
        try:
            due = Due(
                id=notice,
                notifier=notifier,
                happening=msgspec.json.decode(happening, type=Happening),
                view=msgspec.json.decode(view, type=RequestView),
                attempts=attempts,
                ends_at=ends_at,
                thread=_thread(connection, notifier, request),
            )
        except msgspec.MsgspecError:
            # Written by a broker of another version: what nobody here can read must not hold up the rest.
            _give_up(connection, number, now, "this broker cannot read it")
            continue
        connection.execute("UPDATE notices SET claim = ?, claimed_until = ? WHERE number = ?", (mark, until, number))
        return due
    return None


def _next(connection: Connection, notifier: str, now: float) -> Any:
    return connection.execute(
        "SELECT number, id, request, happening, view, attempts, ends_at FROM notices"
        f" WHERE {_OLDEST} AND due_at <= :now AND claimed_until <= :now ORDER BY due_at, number LIMIT 1",
        {"notifier": notifier, "now": now},
    ).fetchone()


def _give_up(connection: Connection, number: int, now: float, error: str) -> None:
    connection.execute(
        "UPDATE notices SET state = 'given-up', settled_at = ?, last_error = ? WHERE number = ?", (now, error, number)
    )


def next_due(connection: Connection, notifier: str) -> float | None:
    """When the next one may be due, seconds since the Unix epoch. None where nothing is left."""
    asked = "SELECT min(CASE WHEN due_at > claimed_until THEN due_at ELSE claimed_until END) FROM notices"
    found: float | None = connection.execute(f"{asked} WHERE {_OLDEST}", {"notifier": notifier}).fetchone()[0]
    return found


def remember(connection: Connection, due: Due, thread: dict[str, str], now: float) -> None:
    """What the notifier knows of the request from now on."""
    connection.execute(
        "INSERT INTO notice_threads (notifier, request, memory, told_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (notifier, request) DO UPDATE SET memory = excluded.memory, told_at = excluded.told_at",
        (due.notifier, due.happening.request, msgspec.json.encode(thread).decode(), now),
    )


def settle(connection: Connection, due: Due, mark: str, state: str, now: float, error: str | None) -> bool:
    """Told, or given up; false where somebody else has it by now, since it took too long."""
    changed = connection.execute(
        "UPDATE notices SET state = ?, attempts = attempts + 1, settled_at = ?, last_error = ?, claim = '',"
        " claimed_until = 0 WHERE id = ? AND claim = ? AND state = 'due'",
        (state, now, _bounded(error), due.id, mark),
    )
    return changed.rowcount == 1


def put_off(connection: Connection, due: Due, mark: str, due_at: float, error: str) -> bool:
    """Not told: again at `due_at`. False where somebody else has it by now."""
    changed = connection.execute(
        "UPDATE notices SET attempts = attempts + 1, due_at = ?, last_error = ?, claim = '', claimed_until = 0"
        " WHERE id = ? AND claim = ? AND state = 'due'",
        (due_at, _bounded(error), due.id, mark),
    )
    return changed.rowcount == 1


def let_go(connection: Connection, due: Due, mark: str) -> None:
    """Nobody knows whether it was told: whoever comes next tells it again."""
    connection.execute(
        "UPDATE notices SET claim = '', claimed_until = 0 WHERE id = ? AND claim = ? AND state = 'due'", (due.id, mark)
    )


def count_left(connection: Connection) -> Left:
    """Anybody may ask, so it must be cheap."""
    late = "SELECT count(*) FROM notices WHERE state = 'due' AND last_error IS NOT NULL"
    given_up = "SELECT count(*) FROM notices WHERE state = 'given-up'"
    return Left(connection.execute(late).fetchone()[0], connection.execute(given_up).fetchone()[0])


def forget(connection: Connection, now: float) -> None:
    """What was settled long ago, and what notifiers remember of requests that they are told nothing of any more.

    What is for a notifier that is not configured any more is given up when its time is over.
    """
    connection.execute(
        "UPDATE notices SET state = 'given-up', settled_at = ?, last_error = 'nobody tells it any more'"
        " WHERE state = 'due' AND ends_at < ?",
        (now, now - OVERDUE),
    )
    connection.execute(
        "DELETE FROM notices WHERE state IN ('told', 'given-up') AND settled_at < ?", (now - KEEP_SETTLED,)
    )
    connection.execute(
        "DELETE FROM notice_threads WHERE told_at < ? AND NOT EXISTS (SELECT 1 FROM notices WHERE state = 'due'"
        " AND notices.notifier = notice_threads.notifier AND notices.request = notice_threads.request)",
        (now - KEEP_THREADS,),
    )
    connection.execute("DELETE FROM heard_calls WHERE expires_at < ?", (now,))
    connection.execute("DELETE FROM link_codes WHERE expires_at < ?", (now,))


def _thread(connection: Connection, notifier: str, request: str) -> dict[str, str]:
    found = connection.execute(
        "SELECT memory FROM notice_threads WHERE notifier = ? AND request = ?", (notifier, request)
    ).fetchone()
    return msgspec.json.decode(found[0], type=dict[str, str]) if found else {}


def _bounded(error: str | None) -> Any:
    return error if error is None or len(error) <= MAX_ERROR else error[: MAX_ERROR - 1] + "…"
