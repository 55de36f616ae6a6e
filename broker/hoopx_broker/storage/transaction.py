"""All of it or none: one SQLite transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the write lock first (IMMEDIATE), so that what is read inside is still true when it is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        # SQLite rolls back by itself on a full disk, `executescript` commits by itself: neither may pass for done.
        if not connection.in_transaction:
            raise RuntimeError("the transaction was ended from inside: what was written may be missing")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
