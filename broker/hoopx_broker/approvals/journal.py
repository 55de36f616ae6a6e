"""All that happened to requests, in the order in which it happened, in a chain that shows any change.

Each entry's link is the SHA-256, in hex, of the link before it (sixty-four zeros at the beginning) and the entry, JSON
with sorted keys. The state itself refuses to change or delete entries: see migration 0008.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Struct

from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.errors import HoopxError

BEGINNING = "0" * 64


class JournalBroken(HoopxError):
    """The journal is not what was written."""


class Head(Struct, frozen=True):
    """The newest entry's number, and the link that proves it and all before."""

    number: int = 0
    chain: str = BEGINNING


def append(connection: Connection, happening: Happening) -> Head:
    """The entry's own number and link."""
    before = head(connection)
    event = msgspec.json.encode(happening, order="sorted").decode()
    added = Head(before.number + 1, _link(before.chain, event))
    connection.execute(
        "INSERT INTO requests_journal (number, request, at, event, chain) VALUES (?, ?, ?, ?, ?)",
        (added.number, happening.request, happening.at, event, added.chain),
    )
    return added


def head(connection: Connection) -> Head:
    row = connection.execute("SELECT number, chain FROM requests_journal ORDER BY number DESC LIMIT 1").fetchone()
    return Head(*row) if row else Head()


def of_request(connection: Connection, request: str) -> tuple[Happening, ...]:
    """In the order in which it happened."""
    rows = connection.execute("SELECT event FROM requests_journal WHERE request = ? ORDER BY number", (request,))
    return tuple(msgspec.json.decode(event, type=Happening) for (event,) in rows)


def how_it_ended(connection: Connection, request: str, state: str) -> Happening | None:
    """The entry that led it into `state`; None for one of before there was a journal."""
    return next((each for each in reversed(of_request(connection, request)) if each.event == state), None)


def check_journal(connection: Connection) -> Head:
    """Is every entry as it was written, and none missing before the newest? Raises `JournalBroken`.

    That the newest were not cut off can be told only by whoever noted a later head elsewhere.
    """
    last = Head()
    query = "SELECT number, request, at, event, chain FROM requests_journal ORDER BY number"
    for number, request, at, event, chain in connection.execute(query):
        if number != last.number + 1:
            raise _broken(last.number + 1, "is missing")
        if chain != _link(last.chain, event):
            raise _broken(number, "is not what was written")
        happening = msgspec.json.decode(event, type=Happening)
        if (happening.request, happening.at) != (request, at):
            raise _broken(number, f"is filed under request `{request}`, to which it did not happen")
        last = Head(number, chain)
    return last


def _link(before: str, event: str) -> str:
    return sha256((before + event).encode()).hexdigest()


def _broken(number: int, what: str) -> JournalBroken:
    return JournalBroken(
        f"entry {number} of the journal of requests {what}",
        "somebody changed the state: compare it with a backup and with the recordings",
    )
