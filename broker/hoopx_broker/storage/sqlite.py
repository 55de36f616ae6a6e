"""The state in one SQLite file: one thread that writes it, one transaction at a time, one broker."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from hoopx_broker.storage import brokers, notices
from hoopx_broker.storage.brokers import OnLost, Place, Presence
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed, StateUnusable, trouble_of
from hoopx_broker.storage.hold import Hold, take
from hoopx_broker.storage.migrate import Migration, migrate
from hoopx_broker.storage.notices import Notices
from hoopx_broker.storage.sql import refuse_strange
from hoopx_broker.storage.transaction import transaction

T = TypeVar("T")

# A backup or a curious person with `sqlite3` may hold the file for a moment.
BUSY_SECONDS = 5.0

_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    # FULL, not the usual NORMAL: a lease is stored before its role is made and an approval is spent before it is used,
    # and neither may be forgotten when the power goes. A session costs a handful of commits.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class SqliteConnection(sqlite3.Connection):
    """Refuses what PostgreSQL would not read, and remembers what to tell once it is committed."""

    told: list[tuple[str, str]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        refuse_strange(sql)
        return super().execute(sql, parameters)

    def tell(self, topic: str, message: str = "", /) -> None:
        self.told.append(notices.check(topic, message))


class SqliteEngine:
    """Made by `open`."""

    def __init__(
        self, path: Path, thread: ThreadPoolExecutor, connection: SqliteConnection, hold: Hold, heard: Notices
    ) -> None:
        self._path = path
        self._thread = thread
        self._connection = connection
        self._hold = hold
        self._notices = heard
        self._loop = asyncio.get_running_loop()
        self._is_open = True

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[Migration], hold: Hold | None, heard: Notices) -> SqliteEngine:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hoopx-state")
        try:
            connection, held = await asyncio.wrap_future(thread.submit(_open, path, migrations, hold))
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, thread, connection, held, heard)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """In the thread, in the order of the calls."""
        if not self._is_open:
            raise StateFailed(f"the broker's state `{self._path}` is closed", "the broker is stopping; try again later")
        return await asyncio.wrap_future(self._thread.submit(self._transact, work))

    def listen(self) -> None:
        """There is nobody else on it."""

    async def join(self, place: Place, _: OnLost) -> Presence:
        broker, now = brokers.new_id(), time.time()
        await self.run(lambda connection: brokers.enter_alone(connection, broker, place, now))
        return brokers.Sole(broker)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        self._connection.told = []
        try:
            with transaction(self._connection):
                value = work(self._connection)
        except sqlite3.Error as error:
            if trouble := trouble_of(error, self._path):
                raise trouble from error
            raise
        if self._connection.told:  # from here, so that it is told even where the caller was cancelled
            self._loop.call_soon_threadsafe(self._notices.deliver, self._connection.told)
        return value

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        closing = asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)
        await asyncio.shield(closing)

    def _close(self) -> None:
        self._connection.close()
        self._hold.let_go()


def _open(path: Path, migrations: Sequence[Migration], hold: Hold | None) -> tuple[SqliteConnection, Hold]:
    if hold is None:
        hold = take(path)
    try:
        return _connect(path, migrations), hold
    except sqlite3.Error as error:
        hold.let_go()
        trouble = trouble_of(error, path)
        if trouble is None:
            raise
        raise StateUnusable(trouble.message, trouble.hint) from error
    except BaseException:
        hold.let_go()
        raise


def _connect(path: Path, migrations: Sequence[Migration]) -> SqliteConnection:
    # Transactions are begun and ended by `transaction` alone.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, factory=SqliteConnection)
    try:
        for setting in _SETTINGS:
            connection.execute(setting)
        migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection
