"""What can go wrong with the broker's state, said to whoever runs the broker."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hoopx_broker.terms.errors import BadInput, ExitCode, HoopxError


class StateFailed(HoopxError):
    """The state database cannot be read or written: nothing new may begin."""

    exit_code = ExitCode.UNREACHABLE
    http_status = 503


class StateUnusable(BadInput):
    """The configured state cannot be opened by this broker at all."""


# SQLite's word for the trouble -> what the person running the broker can do about it.
_REMEDIES = {
    "SQLITE_FULL": "free space on its disk",
    "SQLITE_READONLY": "make the file and its directory writable for the broker's user",
    "SQLITE_CANTOPEN": "make the file and its directory readable and writable for the broker's user",
    "SQLITE_PERM": "make the file and its directory readable and writable for the broker's user",
    "SQLITE_IOERR": "look at the health of its disk",
    "SQLITE_CORRUPT": "restore it from a backup; the recordings are kept apart and are not affected",
    "SQLITE_NOTADB": "name another file in `state`, this one holds something else",
    "SQLITE_BUSY": "end the program that holds a lock on it",
    "SQLITE_LOCKED": "end the program that holds a lock on it",
}


def trouble_of(error: sqlite3.Error, path: Path) -> StateFailed | None:
    """The error for people when the file or its disk is at fault; None when our own SQL is."""
    # Extended names begin with the primary one: SQLITE_IOERR_FSYNC, SQLITE_READONLY_DIRECTORY.
    name = getattr(error, "sqlite_errorname", None) or ""
    for trouble, remedy in _REMEDIES.items():
        if name.startswith(trouble):
            return StateFailed(f"the broker's state `{path}` failed: {error}", remedy)
    return None
