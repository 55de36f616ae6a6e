"""What the newest tokens say of people's groups, told to all brokers: who lost one has lost it everywhere."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.memberships import Memberships, person_of
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store

TOPIC = "groups"
KEEP_SECONDS = 7 * 86_400.0  # no token that is older is let in
# What is read again although it was read before: clocks of brokers differ, and a transaction takes its time.
OVERLAP_SECONDS = 60.0
MAX_READ = 10_000


class SharedGroups:
    """Made by `load`. Stored are only words that are news: the first of a person and program, and each change."""

    def __init__(self, store: Store, clock: Callable[[], float], memberships: Memberships) -> None:
        self._store = store
        self._clock = clock
        self._memberships = memberships
        self._unshared: list[Identity] = []
        self._read_at = 0.0
        self._listeners: list[Callable[[Identity], None]] = []
        self._wake: Callable[[], None] = lambda: None

    @classmethod
    async def load(cls, store: Store, clock: Callable[[], float], memberships: Memberships) -> SharedGroups:
        shared = cls(store, clock, memberships)
        await shared._exchange()
        shared._wake = store.follow(TOPIC, shared._exchange)
        return shared

    def on_news(self, listener: Callable[[Identity], None]) -> None:
        """Hears what was learned at another broker."""
        self._listeners.append(listener)

    def learn(self, identity: Identity) -> None:
        """Here at once; at the others as soon as it is written."""
        if self._memberships.learn(identity):
            self._unshared.append(identity)
            self._wake()

    async def _exchange(self) -> None:
        """Nothing is forgotten where it cannot be written: it is tried again."""
        sharing, now = tuple(self._unshared), self._clock()
        since = self._read_at - OVERLAP_SECONDS
        found = await self._store.run(lambda connection: _exchanged(connection, sharing, since, now))
        del self._unshared[: len(sharing)]
        self._read_at = now
        for identity in found:
            if self._memberships.learn(identity):
                for listener in self._listeners:
                    listener(identity)


def _exchanged(connection: Connection, sharing: tuple[Identity, ...], since: float, now: float) -> tuple[Identity, ...]:
    connection.execute("DELETE FROM identity_groups WHERE told_at < ?", (now - KEEP_SECONDS,))
    for identity in sharing:
        _write(connection, identity, now)
    rows = connection.execute(
        "SELECT identity FROM identity_groups WHERE told_at >= ? ORDER BY told_at DESC LIMIT ?",
        (max(since, now - KEEP_SECONDS), MAX_READ),
    )
    return tuple(msgspec.json.decode(written, type=Identity) for (written,) in rows)


def _write(connection: Connection, identity: Identity, now: float) -> None:
    """The newest word stays, whichever broker heard it."""
    issuer, person = person_of(identity)
    connection.execute(
        "INSERT INTO identity_groups (issuer, person, client, issued_at, told_at, identity) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (issuer, person, client) DO UPDATE SET issued_at = excluded.issued_at,"
        " told_at = excluded.told_at, identity = excluded.identity"
        " WHERE identity_groups.issued_at < excluded.issued_at",
        (issuer, person, identity.client, identity.issued_at, now, msgspec.json.encode(identity).decode()),
    )
    connection.tell(TOPIC)
