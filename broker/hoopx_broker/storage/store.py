"""The broker's state: one SQLite file, one thread that writes it, one transaction at a time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from hoopx_broker.storage.errors import StateFailed, StateUnusable, trouble_of
from hoopx_broker.storage.hold import Hold
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
    async def open(cls, path: Path, migrations: Sequence[Migration] | None = None) -> Store:
        """Make the file (mode 0600) where there is none, and bring it to this broker's schema.

        Raises `StateUnusable` for a file of a newer broker, of another program, or in use by another broker.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hoopx-state")
        steps = shipped() if migrations is None else migrations
        try:
            connection, hold = await asyncio.wrap_future(thread.submit(_open, path, steps))
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, thread, connection, hold)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction and return its value: committed and on the disk, or nothing of it.

        `work` runs in the store's thread, in the order of the calls. A caller that is cancelled cannot tell whether its
        work was done, but whatever is run afterwards sees it done or never.
        """
        if not self._is_open:
            raise StateFailed(f"the broker's state `{self._path}` is closed", "the broker is stopping; try again later")
        return await asyncio.wrap_future(self._thread.submit(self._transact, work))

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
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


def _open(path: Path, migrations: Sequence[Migration]) -> tuple[sqlite3.Connection, Hold]:
    hold = _take(path)
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


def _take(path: Path) -> Hold:
    """Make or tighten the file before SQLite sees it: its journals get the mode of the file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        return Hold(path)
    except OSError as error:
        raise StateUnusable(
            f"the broker's state `{path}` cannot be opened: {error.strerror}",
            "make the file and its directory writable for the broker's user, or name another file in `state`",
        ) from error


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
