"""The row of the log: how far it is signed, by which key, and which broker may go on with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from hoopx_broker.storage.brokers import check_here
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed

GREW = "log.grew"  # told with the size to which it is signed

_COLUMNS = "origin, key, sequencer, size, checkpoint"
_THEIRS = "sequencer IN (SELECT id FROM brokers WHERE gone_at = 0)"


class LogRow(Struct, frozen=True):
    """`checkpoint` is the newest one over `size` leaves, signed by the log alone; empty until there is one.

    `key` is the verifier key of whoever may sign, `sequencer` the broker that does.
    """

    origin: str
    key: str
    sequencer: str
    size: int
    checkpoint: str


class NotOurTurn(StateFailed):
    """Another broker goes on with the log."""


def read(connection: Connection) -> LogRow | None:
    """None until there is a log."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM log").fetchone()
    return LogRow(*row) if row else None


def begin(connection: Connection, origin: str, key: str) -> LogRow:
    """The log; a new one where there is none."""
    connection.execute(
        "INSERT INTO log (one, origin, key, sequencer, size, checkpoint) VALUES (1, ?, ?, '', 0, '')"
        " ON CONFLICT (one) DO NOTHING",
        (origin, key),
    )
    row = read(connection)
    assert row is not None
    return row


def take_turn(connection: Connection, broker: str) -> bool:
    """Is it this broker's to go on with the log? It is, once whoever did is gone. Raises `StateFailed`."""
    check_here(connection, broker)
    row = connection.execute(f"SELECT sequencer FROM log WHERE sequencer = ? OR NOT {_THEIRS}", (broker,)).fetchone()
    if row is not None and row[0] != broker:
        connection.execute("UPDATE log SET sequencer = ?", (broker,))
    return row is not None


def assign(connection: Connection, broker: str, most: int) -> tuple[int, int]:
    """Give the oldest waiting events their places. Gives how many leaves there are, and how many were added.

    Raises `NotOurTurn`.
    """
    check_turn(connection, broker)
    size = count(connection)
    rows = connection.execute(
        "SELECT number FROM events WHERE leaf IS NULL ORDER BY number LIMIT ?", (most,)
    ).fetchall()
    for leaf, (number,) in enumerate(rows, size):
        connection.execute("UPDATE events SET leaf = ? WHERE number = ?", (leaf, number))
    return size + len(rows), len(rows)


def count(connection: Connection) -> int:
    """How many leaves there are, signed or not."""
    row = connection.execute("SELECT max(leaf) FROM events").fetchone()
    return 0 if row[0] is None else int(row[0]) + 1


def waiting(connection: Connection) -> int:
    """How many events are not signed for yet."""
    row = connection.execute(
        "SELECT count(*) FROM events WHERE leaf IS NULL OR leaf >= coalesce((SELECT size FROM log), 0)"
    ).fetchone()
    return int(row[0])


def leaves(connection: Connection, start: int, end: int) -> list[bytes]:
    """Those from `start` to before `end`, as far as they are there without a gap."""
    rows = connection.execute(
        "SELECT leaf, event FROM events WHERE leaf >= ? AND leaf < ? ORDER BY leaf", (start, end)
    ).fetchall()
    return [event.encode() for place, (leaf, event) in enumerate(rows, start) if leaf == place]


def leaf_of(connection: Connection, session: str, type_: str) -> tuple[int | None, bytes] | None:
    """The first event of this type about a session, behind its place in the log, which is None until it is in."""
    row = connection.execute(
        "SELECT leaf, event FROM events WHERE session = ? AND type = ? ORDER BY number LIMIT 1", (session, type_)
    ).fetchone()
    return (row[0], row[1].encode()) if row else None


def sign(connection: Connection, broker: str, before: LogRow, size: int, make: Callable[[], str]) -> str:
    """Have the checkpoint over `size` leaves made, and note it: from now on the log is signed so far.

    It is made only where it is this broker's turn and the log is as it was `before`; raises `NotOurTurn` else.
    """
    check_turn(connection, broker)
    row = read(connection)
    if row is None or (row.size, row.checkpoint, row.key) != (before.size, before.checkpoint, before.key):
        raise NotOurTurn("the log was signed by another broker meanwhile", "it goes on there")
    checkpoint = make()
    connection.execute("UPDATE log SET size = ?, checkpoint = ?", (size, checkpoint))
    connection.tell(GREW, str(size))
    return checkpoint


def rotations(connection: Connection) -> tuple[str, ...]:
    """The notes by which the keys of the log followed one another, the oldest first; the last one leads to its key."""
    rows = connection.execute("SELECT note FROM rotations ORDER BY number").fetchall()
    return tuple(note for (note,) in rows)


def hand_over(connection: Connection, key: str, notes: Sequence[str]) -> None:
    """From now on `key` signs, to which `notes` lead from the one that did. In the transaction of its checkpoint."""
    for number, note in enumerate(notes, len(rotations(connection)) + 1):
        connection.execute("INSERT INTO rotations (number, note) VALUES (?, ?)", (number, note))
    connection.execute("UPDATE log SET key = ?", (key,))


def check_turn(connection: Connection, broker: str) -> None:
    """Raises `NotOurTurn`. What follows locks the row: whoever takes over has done so before, or does after."""
    check_here(connection, broker)
    row = connection.execute("SELECT sequencer FROM log").fetchone()
    if row is None or row[0] != broker:
        raise NotOurTurn("another broker goes on with the log", "it does so until it is gone")
