"""Checkpoints that witnesses have cosigned, as far as anybody may still want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.log import LogRow, check_turn
from hoopx_broker.tlog.notes import Signature, Verifier, split_note


class CosignedRow(Struct, frozen=True):
    """A checkpoint over `size` leaves, signed by the log's `key` and by witnesses whose cosignatures were checked."""

    size: int
    key: str
    note: str

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return tuple(split_note(self.note)[1])

    def has(self, witness: Verifier) -> bool:
        return witness in self.those_of((witness,))

    def those_of(self, witnesses: Iterable[Verifier]) -> frozenset[Verifier]:
        """Which of them cosigned it."""
        there = {(each.name, each.key_id) for each in self.signatures}
        return frozenset(each for each in witnesses if (each.name, each.key_id) in there)


def listed(connection: Connection) -> tuple[CosignedRow, ...]:
    """The newest first."""
    rows = connection.execute("SELECT size, key, note FROM cosigned ORDER BY size DESC, key").fetchall()
    return tuple(CosignedRow(*row) for row in rows)


def add(connection: Connection, broker: str, of: LogRow, line: str, witnesses: Sequence[Verifier]) -> None:
    """One of the witnesses has cosigned the checkpoint `of` the log: keep that, and let go of what it makes useless.

    Several may answer at once: each finds what the others added. Raises `NotOurTurn`.
    """
    check_turn(connection, broker)
    found = connection.execute("SELECT note FROM cosigned WHERE size = ? AND key = ?", (of.size, of.key)).fetchone()
    note = _with_line(found[0] if found else of.checkpoint, line)
    connection.execute(
        "INSERT INTO cosigned (size, key, note) VALUES (?, ?, ?)"
        " ON CONFLICT (size, key) DO UPDATE SET note = excluded.note",
        (of.size, of.key, note),
    )
    for row in _useless(listed(connection), of.key, witnesses):
        connection.execute("DELETE FROM cosigned WHERE size = ? AND key = ?", (row.size, row.key))


def noted_at(connection: Connection, leaf: int) -> float | None:
    """When the event at this place of the log happened."""
    row = connection.execute("SELECT at FROM events WHERE leaf = ?", (leaf,)).fetchone()
    return row[0] if row else None


def _with_line(note: str, line: str) -> str:
    """A witness that cosigns again does so at a later time, which is all that differs."""
    head, gap, _ = note.rpartition("\n\n")
    name = line.split(" ")[1]
    key_id = split_note(f"{head}{gap}{line}")[1][0].key_id
    kept = [each.line() for each in split_note(note)[1] if (each.name, each.key_id) != (name, key_id)]
    return f"{head}{gap}{''.join(kept)}{line}"


def _useless(rows: Sequence[CosignedRow], key: str, witnesses: Sequence[Verifier]) -> list[CosignedRow]:
    """Those whose witnesses, as far as they still count, all cosigned a later one; and that under the newest key."""
    newer: list[frozenset[Verifier]] = []
    useless: list[CosignedRow] = []
    for row in sorted(rows, key=lambda each: (each.size, each.key == key), reverse=True):
        there = row.those_of(witnesses)
        if not there or any(there <= each for each in newer):
            useless.append(row)
        elif row.key == key:
            newer.append(there)
    return useless
