"""What a broker tells of itself: that it began, with which policy and which configuration, and that it stopped."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from hoopx_broker import __version__
from hoopx_broker.daemon import written
from hoopx_broker.policy.load import Policies
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.settings import BrokerConfig


class Story(Struct, frozen=True):
    """`broker` is the id of this run, `url` where people reach it, `key` its evidence key."""

    store: Store
    broker: str
    url: str
    key: str

    async def begin(self, settings: BrokerConfig, policies: Policies, now: float) -> None:
        """Before anybody is let in: what cannot be noted is not started with. Raises a `HoopxError`."""
        before = written.last_seen(settings.keys)
        seen = written.seen_now(settings.sha256, settings.written, before)
        told = {"broker": self.broker, "url": self.url, "version": __version__}
        started = events.happened(now, "broker.started", **told, key=self.key, policy=policies.version)
        loaded = events.happened(now, "policy.loaded", broker=self.broker, policy=policies.version)
        configured = events.happened(
            now,
            "configuration.loaded",
            broker=self.broker,
            sha256=seen.sha256,
            changed=written.changed(before, seen),
            first=not before.sha256,
        )

        def work(connection: Connection) -> None:
            events.note(connection, started)
            if _last_policy(connection) != policies.version:
                events.note(connection, loaded)
            if before.sha256 != seen.sha256:
                events.note(connection, configured)

        await self.store.run(work)
        if before != seen:
            written.remember(settings.keys, seen)

    async def end(self, now: float) -> None:
        """It stops, whether or not that can be noted. Raises a `HoopxError`."""
        event = events.happened(now, "broker.stopped", broker=self.broker, url=self.url)
        await self.store.run(lambda connection: events.note(connection, event))


def _last_policy(connection: Connection) -> str:
    asked = "SELECT event FROM events WHERE type = 'policy.loaded' ORDER BY number DESC LIMIT 1"
    row = connection.execute(asked).fetchone()
    return str(msgspec.json.decode(row[0], type=Event).facts.get("policy", "")) if row is not None else ""
