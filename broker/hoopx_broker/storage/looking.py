"""Look at a state without being a broker on it: one snapshot, nothing written, also while a broker runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateUnusable, trouble_of
from hoopx_broker.storage.sqlite import BUSY_SECONDS, SqliteConnection
from hoopx_broker.terms.settings import StateUrl

T = TypeVar("T")

_CONNECT_SECONDS = 10.0


def look(where: Path | StateUrl, work: Callable[[Connection], T]) -> T:
    """What `work` finds in one transaction that sees nothing of what others do meanwhile. Raises `StateUnusable`."""
    return _look_postgres(where, work) if isinstance(where, StateUrl) else _look_sqlite(where, work)


def _look_sqlite(path: Path, work: Callable[[Connection], T]) -> T:
    if not path.exists():
        raise StateUnusable(f"there is no state `{path}`", "name the broker's configuration with `--config`")
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, factory=SqliteConnection)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            return work(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        trouble = trouble_of(error, path)
        if trouble is None:
            raise
        raise StateUnusable(trouble.message, trouble.hint) from error


def _look_postgres(where: StateUrl, work: Callable[[Connection], T]) -> T:
    # Whoever has a state in a file need not load a database driver.
    import psycopg

    from hoopx_broker.storage.postgres import PostgresConnection, _Call
    from hoopx_broker.storage.postgres_errors import trouble_of as postgres_trouble
    from hoopx_broker.storage.postgres_login import log_in

    try:
        raw = log_in(where, time.monotonic() + _CONNECT_SECONDS)
        try:
            raw.execute("SET statement_timeout = 0")
            raw.execute("SET idle_in_transaction_session_timeout = 0")
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return work(PostgresConnection(raw, _Call(work)))
        finally:
            raw.close()
    except psycopg.Error as error:
        trouble = postgres_trouble(error, where)
        if trouble is None:
            raise
        raise StateUnusable(trouble.message, trouble.hint) from error
