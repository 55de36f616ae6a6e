"""Which brokers are on a state. Each run of a broker has an id of its own; what it has is by that id.

A broker that cannot show for `CUT_OFF_SECONDS` that it lives ends what it has, for after `GONE_SECONDS` another one may
take that over. What it would still write under an id that is taken for gone is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed

CUT_OFF_SECONDS = 10.0  # a restart of the database passes; sessions outlive it
GONE_SECONDS = 20.0  # as long again for the ending, and for clocks that do not run alike

# Hears why everything that the broker has must end, and returns when it has ended.
OnLost = Callable[[str], Awaitable[None]]

TOPIC = "brokers"  # told with the id of one that is gone

_COLUMNS = "id, home, url, verifier, since, seen_at, gone_at"


class Place(Struct, frozen=True):
    """Where a broker stands. `is_alone`: no other process uses that home, so that others of it are gone for certain.

    `former` is the id of one that is gone for certain, empty where none is known.
    """

    home: str
    url: str = ""
    verifier: str = ""
    is_alone: bool = False
    former: str = ""


class Broker(Struct, frozen=True):
    """A row of the registry. Times are the database's, in seconds since the Unix epoch."""

    id: str
    home: str
    url: str
    verifier: str
    since: float
    seen_at: float
    gone_at: float


class Presence(Protocol):
    """That this broker is there, as the others see it."""

    @property
    def id(self) -> str:
        """By which it has what it has. Changes when it was lost."""

    async def look(self) -> tuple[str, ...]:
        """The brokers that were found to be gone just now. Raises `StateFailed`."""


def new_id() -> str:
    return f"b_{secrets.token_hex(8)}"


def enter(connection: Connection, broker: str, place: Place, now: float) -> None:
    connection.execute(
        f"INSERT INTO brokers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0)",
        (broker, place.home, place.url, place.verifier, now, now),
    )


def check_here(connection: Connection, broker: str) -> None:
    """Raises `StateFailed` where others take this broker for gone: what it would do now, nobody would look after."""
    if not broker:
        return  # of a state that one process has for itself
    row = connection.execute("SELECT gone_at FROM brokers WHERE id = ?", (broker,)).fetchone()
    if row is None or row[0] != 0:
        raise StateFailed("this broker was silent, and taken for gone", "try again in a moment")


def find(connection: Connection, broker: str) -> Broker | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM brokers WHERE id = ?", (broker,)).fetchone()
    return None if row is None else Broker(*row)


def listed(connection: Connection) -> tuple[Broker, ...]:
    """Those that are there, the oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM brokers WHERE gone_at = 0 ORDER BY since, id").fetchall()
    return tuple(Broker(*row) for row in rows)


# Of a broker that has nothing any more, its row is kept as long as recordings may be asked for that lie where it stood.
LEFT = "(broker = '' OR broker NOT IN (SELECT id FROM brokers WHERE gone_at = 0))"


class Sole:
    """The one broker on a file: whatever others left is left for good, for the file is held."""

    def __init__(self, broker: str) -> None:
        self._id = broker

    @property
    def id(self) -> str:
        return self._id

    async def look(self) -> tuple[str, ...]:
        return ()


def enter_alone(connection: Connection, broker: str, place: Place, now: float) -> None:
    connection.execute("UPDATE brokers SET gone_at = ? WHERE gone_at = 0", (now,))
    enter(connection, broker, place, now)
