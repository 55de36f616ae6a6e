"""The broker's state: one SQLite file, one thread that writes it, one transaction at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed, StateUnusable, trouble_of
from hoopx_broker.storage.hold import Hold, take
from hoopx_broker.storage.migrate import Migration, migrate, shipped
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


class Store:
    """Opened by `Store.open`; every function given to `run` gets the connection for one transaction."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor, connection: sqlite3.Connection, hold: Hold) -> None:
        self._path = path
        self._thread = thread
        self._connection = connection
        self._hold = hold
        self._is_open = True

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[Migration] | None = None, hold: Hold | None = None) -> Store:
        """Make the file (mode 0600) where there is none, and bring it to this broker's schema.

        A `hold` that was taken before is let go with the store, and when this fails.
        Raises `StateUnusable` for a file of a newer broker, of another program, or in use by another broker.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hoopx-state")
        steps = shipped() if migrations is None else migrations
        try:
            connection, held = await asyncio.wrap_future(thread.submit(_open, path, steps, hold))
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, thread, connection, held)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction and return its value: committed and on the disk, or nothing of it.

        `work` runs in the store's thread, in the order of the calls. A caller that is cancelled cannot tell whether its
        work was done, but whatever is run afterwards sees it done or never.
        """
        if not self._is_open:
            raise StateFailed(f"the broker's state `{self._path}` is closed", "the broker is stopping; try again later")
        return await asyncio.wrap_future(self._thread.submit(self._transact, work))

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            with transaction(self._connection):
                return work(self._connection)
        except sqlite3.Error as error:
            if trouble := trouble_of(error, self._path):
                raise trouble from error
            raise

    async def close(self) -> None:
        """Finish what was asked before, then close. Safe to repeat."""
        if not self._is_open:
            return
        self._is_open = False
        closing = asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)
        await asyncio.shield(closing)

    def _close(self) -> None:
        self._connection.close()
        self._hold.let_go()


def _open(path: Path, migrations: Sequence[Migration], hold: Hold | None) -> tuple[sqlite3.Connection, Hold]:
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


def _connect(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    # Transactions are begun and ended by `transaction` alone.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        for setting in _SETTINGS:
            connection.execute(setting)
        migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection
