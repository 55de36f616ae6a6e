"""What the state says of the evidence, in one look: for whoever compares both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.approvals.journal import JournalBroken, check_journal
from hoopx_broker.storage import cosigned, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.log import LogRow
from hoopx_broker.terms.audit import Event
from hoopx_broker.tlog.tree import HASH_SIZE, leaf_hash

_STEP = 4_096
_NO_HASH = bytes(HASH_SIZE)
# Beyond as many numbers as there are events, and as many again, one is wrong and no place is made for it.
_SLACK = 1_024


class Session(Struct, frozen=True):
    """A row. Times are seconds since the Unix epoch; `ended_at` is 0 for one that did not end in order."""

    state: str
    opened_at: float
    expires_at: float
    ended_at: float
    user: str
    target: str


class Link(Struct, frozen=True):
    """An entry of the journal of requests."""

    at: float
    chain: str


class Seen(Struct, frozen=True):
    """`leaves` are the hashes of all events that have places in the log, one behind the other, zeros for a gap.
    `cosigned` has the checkpoints that witnesses cosigned.

    `columns` says which event is filed under something else than it says. `open` are the sessions that run, or that
    a crash left to be sealed; `pending` those whose seal is noted and not signed yet, with its root. `unlogged` are
    rows of sessions that no event tells of. `elsewhere` has the sessions whose recordings are written on another
    broker's disk. `journal` says what is wrong with the journal of requests; `links` are its entries by number,
    `waiting` those whose events are not signed yet.
    """

    row: LogRow | None
    cosigned: tuple[str, ...]
    rotations: tuple[str, ...]
    leaves: bytes
    columns: str
    open: dict[str, Session]
    pending: dict[str, str]
    unlogged: dict[str, Session]
    elsewhere: frozenset[str]
    verifiers: tuple[str, ...]
    journal: str
    links: dict[int, Link]
    waiting: frozenset[str]

    def leaf(self, index: int) -> bytes | None:
        """None where no event has that place."""
        found = self.leaves[index * HASH_SIZE : (index + 1) * HASH_SIZE]
        return found if len(found) == HASH_SIZE and found != _NO_HASH else None


Look = Callable[[], Seen]


def seen_by(home: str) -> Callable[[Connection], Seen]:
    """`home` is whose disk is looked at."""

    def work(connection: Connection) -> Seen:
        journal = ""
        try:
            check_journal(connection)
        except JournalBroken as error:
            journal = error.message
        row = log.read(connection)
        leaves, columns = _leaves(connection)
        pending, waiting = _unsigned(connection, row.size if row else 0)
        return Seen(
            row,
            tuple(each.note for each in cosigned.listed(connection)),
            log.rotations(connection),
            leaves,
            columns,
            _sessions(connection, "state = 'open' OR unsealed = 1"),
            pending,
            _sessions(connection, _UNLOGGED),
            _elsewhere(connection, home),
            _verifiers(connection),
            journal,
            _links(connection),
            waiting,
        )

    return work


def _leaves(connection: Connection) -> tuple[bytes, str]:
    """Their hashes, and the first event whose columns are not what it says."""
    highest, number = connection.execute("SELECT max(leaf), count(leaf) FROM events").fetchone()
    size = 0 if highest is None else min(int(highest) + 1, 2 * int(number) + _SLACK)
    hashes, differs = bytearray(size * HASH_SIZE), ""
    for start in range(0, size, _STEP):
        for leaf, event, *columns in connection.execute(_BETWEEN, (start, min(start + _STEP, size))).fetchall():
            content = event.encode()
            hashes[leaf * HASH_SIZE : (leaf + 1) * HASH_SIZE] = leaf_hash(content)
            if not differs:
                differs = _differing(leaf, content, columns)
    return bytes(hashes), differs


def _differing(leaf: int, content: bytes, columns: list[Any]) -> str:
    try:
        event = _decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return f"the event at leaf {leaf} cannot be read"
    for name in _COLUMNS:
        if (filed := columns[_COLUMNS.index(name)]) != getattr(event, name):
            return f"the event at leaf {leaf} is filed under `{filed}`: it is not what it says of `{name}`"
    return ""


def _unsigned(connection: Connection, size: int) -> tuple[dict[str, str], frozenset[str]]:
    """Of seals and of requests, what is noted and in no checkpoint yet."""
    pending: dict[str, str] = {}
    waiting: set[str] = set()
    for (content,) in connection.execute(_UNSIGNED, (size,)).fetchall():
        try:
            event = _decode(content.encode())
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # it will be a leaf that cannot be read, and found as such
        if event.type == "session.sealed":
            pending[event.session] = str(event.facts.get("root", ""))
        else:
            waiting.add(str(event.facts.get("chain", "")))
    return pending, frozenset(waiting)


def _sessions(connection: Connection, where: str) -> dict[str, Session]:
    query = f'SELECT id, state, opened_at, expires_at, ended_at, "user", target FROM sessions WHERE {where}'
    return {id_: Session(*facts) for id_, *facts in connection.execute(query).fetchall()}


def _elsewhere(connection: Connection, home: str) -> frozenset[str]:
    query = "SELECT id FROM sessions WHERE broker IN (SELECT id FROM brokers WHERE home <> ?)"
    return frozenset(session for (session,) in connection.execute(query, (home,)).fetchall())


def _links(connection: Connection) -> dict[int, Link]:
    rows = connection.execute("SELECT number, at, chain FROM requests_journal").fetchall()
    return {number: Link(at, chain) for number, at, chain in rows}


def _verifiers(connection: Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT DISTINCT verifier FROM brokers WHERE verifier <> ''").fetchall()
    return tuple(verifier for (verifier,) in rows)


_decode = msgspec.json.Decoder(Event).decode
_COLUMNS = ("id", "at", "type", "by", "on_behalf_of", "target", "session", "request", "lease")
_BETWEEN = (
    'SELECT leaf, event, id, at, type, "user", on_behalf_of, target, session, request, lease FROM events'
    " WHERE leaf >= ? AND leaf < ?"
)
_UNSIGNED = (
    "SELECT event FROM events WHERE (leaf IS NULL OR leaf >= ?) AND (type = 'session.sealed' OR type LIKE 'request.%')"
)
_UNLOGGED = (
    "NOT EXISTS (SELECT 1 FROM events WHERE events.session = sessions.id AND events.session <> ''"
    " AND events.type IN ('session.opened', 'session.sealed'))"
)
