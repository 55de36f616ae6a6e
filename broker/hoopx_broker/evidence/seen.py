"""What the state says of the evidence, in one look: for whoever compares both."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from hoopx_broker.approvals.journal import JournalBroken, check_journal
from hoopx_broker.storage import cosigned, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.log import LogRow
from hoopx_broker.tlog.tree import leaf_hash

_STEP = 4_096


class Seen(Struct, frozen=True):
    """`leaves` are the hashes of all events that are in the log, in its order, up to the first that is missing.

    `cosigned` has the checkpoints that witnesses cosigned, `elsewhere` the sessions whose recordings are written on
    another broker's disk, `open` those that run, or whose seal is noted and waits. `journal` says what is wrong with
    the journal of requests, else `links` all its links.
    """

    row: LogRow | None
    cosigned: tuple[str, ...]
    rotations: tuple[str, ...]
    leaves: tuple[bytes, ...]
    open: frozenset[str]
    elsewhere: frozenset[str]
    verifiers: tuple[str, ...]
    journal: str
    links: frozenset[str]


def seen_by(home: str) -> Callable[[Connection], Seen]:
    """`home` is whose disk is looked at."""

    def work(connection: Connection) -> Seen:
        journal = ""
        try:
            check_journal(connection)
        except JournalBroken as error:
            journal = error.message
        return Seen(
            log.read(connection),
            tuple(each.note for each in cosigned.listed(connection)),
            log.rotations(connection),
            _leaves(connection),
            _open(connection),
            _elsewhere(connection, home),
            _verifiers(connection),
            journal,
            _links(connection),
        )

    return work


def _leaves(connection: Connection) -> tuple[bytes, ...]:
    hashes: list[bytes] = []
    while leaves := log.leaves(connection, len(hashes), len(hashes) + _STEP):
        hashes += [leaf_hash(leaf) for leaf in leaves]
    return tuple(hashes)


def _open(connection: Connection) -> frozenset[str]:
    size = (log.read(connection) or _NONE).size
    query = (
        "SELECT id FROM sessions WHERE state = 'open' OR unsealed = 1"
        " UNION SELECT session FROM events WHERE type = 'session.sealed' AND (leaf IS NULL OR leaf >= ?)"
    )
    return frozenset(session for (session,) in connection.execute(query, (size,)).fetchall())


def _elsewhere(connection: Connection, home: str) -> frozenset[str]:
    query = "SELECT id FROM sessions WHERE broker IN (SELECT id FROM brokers WHERE home <> ?)"
    return frozenset(session for (session,) in connection.execute(query, (home,)).fetchall())


def _links(connection: Connection) -> frozenset[str]:
    return frozenset(link for (link,) in connection.execute("SELECT chain FROM requests_journal").fetchall())


def _verifiers(connection: Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT DISTINCT verifier FROM brokers WHERE verifier <> ''").fetchall()
    return tuple(verifier for (verifier,) in rows)


_NONE = LogRow("", "", "", 0, "")
