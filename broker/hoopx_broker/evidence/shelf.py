"""The rows of recordings: where each is, and until when. Each function is one step of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from hoopx_broker.storage.brokers import LEFT
from hoopx_broker.storage.connection import Connection

State = Literal["local", "waiting", "stored", "deleting", "deleted"]

TOPIC = "recordings"  # told when there is something to do about some: to upload, to hold, to release
# Events that are written at once are committed in any order: what was looked at is looked at again for so long.
_OVERLAP = 600.0
_COLUMNS = (
    "recordings.session, recordings.target, home, sealed_at, class, kept_until, recordings.state, is_local, store,"
    " version, size, sha256, stored_at, attempts, last_error, held_there, deleted_at, deleted_by"
)
_HELD = "EXISTS (SELECT 1 FROM holds WHERE holds.session = recordings.session AND released_at = 0)"
MAX_ERROR = 500  # characters of what went wrong


class Shelved(Struct, frozen=True):
    """One recording. `kept_until` is what was promised at its seal; 0 is for good."""

    session: str
    target: str
    home: str
    sealed_at: float
    class_: str
    kept_until: float
    state: State
    is_local: bool
    store: str
    version: str
    size: int
    sha256: str
    stored_at: float
    attempts: int
    last_error: str
    held_there: bool
    deleted_at: float
    deleted_by: str


class Receipt(Struct, frozen=True):
    """What the store has confirmed."""

    store: str
    version: str
    size: int
    sha256: str
    at: float


Classify = Callable[[str, float], tuple[str, float]]  # target, when it was sealed -> class, until when it is kept


def adopt(connection: Connection, home: str, state: State, since: float, classify: Classify) -> float:
    """Take in what was sealed here since then. Gives from when to look the next time."""
    rows = connection.execute(
        "SELECT events.session, sessions.target, events.at FROM events"
        " JOIN sessions ON sessions.id = events.session"
        " WHERE events.type = 'session.sealed' AND events.at >= :since"
        " AND (sessions.broker = '' OR sessions.broker IN (SELECT id FROM brokers WHERE home = :home))"
        " AND NOT EXISTS (SELECT 1 FROM recordings WHERE recordings.session = events.session)",
        {"since": since - _OVERLAP, "home": home},
    ).fetchall()
    for session, target, at in rows:
        class_, until = classify(target, at)
        connection.execute(
            "INSERT INTO recordings (session, target, home, sealed_at, class, kept_until, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session) DO NOTHING",
            (session, target, home, at, class_, until, state),
        )
    return max((at for _, _, at in rows), default=since)


def settle_in(connection: Connection, home: str, state: State) -> None:
    """What lies here goes to a store from now on, or does not any more."""
    connection.execute(
        "UPDATE recordings SET state = :state, due_at = 0 WHERE home = :home AND state IN ('local', 'waiting')",
        {"home": home, "state": state},
    )


def claim(connection: Connection, home: str, broker: str, busy: str, now: float) -> Shelved | None:
    """The next one to upload, which no other broker then takes while this one lives. `busy` is a JSON list."""
    found = _all(
        connection,
        f"state = 'waiting' AND home = :home AND due_at <= :now AND (broker = :broker OR {LEFT})"
        " AND session NOT IN (SELECT value FROM json_each(:busy)) ORDER BY due_at, sealed_at, session LIMIT 1",
        {"home": home, "now": now, "broker": broker, "busy": busy},
    )
    for one in found:
        connection.execute("UPDATE recordings SET broker = ? WHERE session = ?", (broker, one.session))
        return one
    return None


def next_due(connection: Connection, home: str) -> float | None:
    found: float | None = connection.execute(
        "SELECT min(due_at) FROM recordings WHERE state = 'waiting' AND home = ?", (home,)
    ).fetchone()[0]
    return found


def put_off(connection: Connection, session: str, why: str, due_at: float) -> int:
    """How many attempts have failed by now."""
    connection.execute(
        "UPDATE recordings SET attempts = attempts + 1, last_error = ?, due_at = ? WHERE session = ?",
        (why[:MAX_ERROR], due_at, session),
    )
    return int(connection.execute("SELECT attempts FROM recordings WHERE session = ?", (session,)).fetchone()[0])


def received(connection: Connection, session: str, receipt: Receipt) -> bool:
    """The store has it. False where that was known already."""
    done = connection.execute(
        "UPDATE recordings SET state = 'stored', store = ?, version = ?, size = ?, sha256 = ?, stored_at = ?,"
        " last_error = '' WHERE session = ? AND state = 'waiting'",
        (receipt.store, receipt.version, receipt.size, receipt.sha256, receipt.at, session),
    )
    return done.rowcount == 1


def lost(connection: Connection, session: str, why: str) -> None:
    """The store does not have it after all, and it is still here: once more."""
    connection.execute(
        "UPDATE recordings SET state = 'waiting', due_at = 0, last_error = ? WHERE session = ? AND state = 'stored'"
        " AND is_local = 1",
        (why[:MAX_ERROR], session),
    )


def gone_from_here(connection: Connection, session: str) -> None:
    connection.execute("UPDATE recordings SET is_local = 0 WHERE session = ?", (session,))


def twice(connection: Connection, home: str) -> tuple[Shelved, ...]:
    """Those that the store has, and that lie here still."""
    return _all(connection, "state = 'stored' AND is_local = 1 AND home = :home", {"home": home})


def count_waiting(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM recordings WHERE state = 'waiting'").fetchone()[0])


def find(connection: Connection, session: str) -> Shelved | None:
    found = _all(connection, "session = :session", {"session": session})
    return found[0] if found else None


def unlike_their_holds(connection: Connection) -> tuple[Shelved, ...]:
    """Those of which the store does not know yet that they are held, or released."""
    return _all(
        connection,
        f"(state = 'stored' AND held_there = 0 AND session IN (SELECT session FROM holds WHERE released_at = 0))"
        f" OR (state = 'stored' AND held_there = 1 AND NOT {_HELD})",
        {},
    )


def told_of_hold(connection: Connection, session: str, is_held: bool) -> None:
    connection.execute("UPDATE recordings SET held_there = ? WHERE session = ?", (int(is_held), session))


def aged(connection: Connection, before: float, after: tuple[float, str], limit: int) -> tuple[Shelved, ...]:
    """Those that were sealed before then and are not deleted, the oldest first, from behind `after`."""
    return _all(
        connection,
        "state <> 'deleted' AND sealed_at < :before AND (sealed_at > :at OR (sealed_at = :at AND session > :session))"
        " ORDER BY sealed_at, session LIMIT :limit",
        {"before": before, "at": after[0], "session": after[1], "limit": limit},
    )


def begin_deleting(connection: Connection, session: str) -> None:
    connection.execute("UPDATE recordings SET state = 'deleting' WHERE session = ?", (session,))


def deleted(connection: Connection, session: str, by: str, at: float) -> None:
    connection.execute(
        "UPDATE recordings SET state = 'deleted', is_local = 0, deleted_at = ?, deleted_by = ?, last_error = ''"
        " WHERE session = ?",
        (at, by, session),
    )


def not_deleted(connection: Connection, session: str, why: str) -> None:
    connection.execute("UPDATE recordings SET last_error = ? WHERE session = ?", (why[:MAX_ERROR], session))


def _all(connection: Connection, where: str, values: dict[str, Any]) -> tuple[Shelved, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM recordings WHERE {where}", values).fetchall()
    return tuple(_shelved(row) for row in rows)


def _shelved(row: Any) -> Shelved:
    values = list(row)
    for place in (7, 15):
        values[place] = bool(values[place])
    return Shelved(*values)
