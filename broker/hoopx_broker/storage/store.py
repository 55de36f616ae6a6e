"""The broker's state: what is done to it is done in transactions, and told to those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

from hoopx_broker.storage.brokers import OnLost, Place, Presence
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.engine import Engine
from hoopx_broker.storage.following import Following, Look
from hoopx_broker.storage.hold import Hold
from hoopx_broker.storage.migrate import Migration, shipped
from hoopx_broker.storage.notices import Heard, Notices
from hoopx_broker.storage.sqlite import SqliteEngine
from hoopx_broker.terms.settings import StateUrl

T = TypeVar("T")


class Store:
    """Opened by `Store.open`; every function given to `run` gets the connection for one transaction."""

    def __init__(self, engine: Engine, notices: Notices) -> None:
        self._engine = engine
        self._notices = notices
        self._followings: list[Following] = []

    @classmethod
    async def open(
        cls, where: Path | StateUrl, migrations: Sequence[Migration] | None = None, hold: Hold | None = None
    ) -> Self:
        """A file (made with mode 0600 where there is none) or a PostgreSQL database, brought to this broker's schema.

        A `hold` that was taken before is let go with the store, and when this fails.
        Raises `StateUnusable` for a state of a newer broker, of another program, or a file in use by another broker.
        """
        notices = Notices()
        steps = shipped() if migrations is None else migrations
        if isinstance(where, StateUrl):
            # A broker on a file need not load a database driver for its state.
            from hoopx_broker.storage.postgres import PostgresEngine

            return cls(await PostgresEngine.open(where, steps, notices), notices)
        return cls(await SqliteEngine.open(where, steps, hold, notices), notices)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction and return its value: committed and on the disk, or nothing of it.

        `work` runs in a thread, alone as far as it can tell; it may be run again where another broker was in its way,
        so it does nothing but read and write here. A caller that is cancelled cannot tell whether its work was done,
        but whatever is run afterwards sees it done or never. Raises `StateFailed`.
        """
        return await self._engine.run(work)

    def subscribe(self, topic: str, heard: Heard) -> Callable[[], None]:
        """Hear, in this event loop, what is told of `topic` by any broker on this state, from now on.

        After an interruption `heard` gets None: something may have been missed. Gives what ends it.
        """
        self._engine.listen()
        return self._notices.subscribe(topic, heard)

    def follow(self, topic: str, look: Look) -> Callable[[], None]:
        """Have `look` run whenever `topic` was told of, or something may have been missed, until this is closed.

        Where it fails it is run again. Gives what has it run for another reason.
        """
        following = Following(topic, look)
        self._followings.append(following)
        self.subscribe(topic, following.hear)
        return lambda: following.hear(None)

    async def join(self, place: Place, on_lost: OnLost) -> Presence:
        """Be one of the brokers on this state from now on. Raises `StateUnusable`.

        `on_lost` hears when this broker must end what it has, because others may think that it is gone.
        """
        return await self._engine.join(place, on_lost)

    async def close(self) -> None:
        """Finish what was asked before, then close. Safe to repeat."""
        while self._followings:
            await self._followings.pop().close()
        await self._engine.close()
