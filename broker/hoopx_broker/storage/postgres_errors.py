"""What can go wrong with a state in PostgreSQL: what passes by itself, and what somebody must see to."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors

from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.terms.settings import StateUrl

# Another transaction was in the way: the same again will do.
_IN_THE_WAY = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
# It restarts, fails over, cut us off, or has no room just now.
_IN_TRANSITION = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,
    errors.TooManyConnections,
)

# The class of the trouble (the first two characters of its SQLSTATE), or all of it -> what to do about it.
_REMEDIES = {
    "28": "correct the user and the password in `state`, or pg_hba.conf of the server",
    "3D000": "make the database, or correct its name in `state`",
    "42501": "give the role of the broker its rights: docs/state.md lists them",
    "42P01": "run `hoopx broker migrate` with a role that owns the schema `hoopx`",
    "3F000": "run `hoopx broker migrate` with a role that may make the schema `hoopx`",
    "25006": "name the primary server in `state`, or all of its servers: this one only reads",
    "53100": "free space on the disk of its server",
    "53200": "give its server more memory",
    "53300": "let its server take more connections: each broker needs six",
    "53": "see what its server is short of",
    "57014": "see what keeps its server busy",
    "57": "see whether its server is up, then try again",
    "58": "look at the health of its server's disk",
    "XX": "look at the log of its server",
    "08": "see whether its server is up and reachable from the broker",
    "": "see whether its server is up and reachable from the broker",
}


def is_passing(error: psycopg.Error) -> bool:
    """Nothing of it was done, and it may go better the next time."""
    return isinstance(error, _IN_THE_WAY) or _is_lost(error)


def is_severed(error: psycopg.Error, raw: psycopg.Connection[Any]) -> bool:
    """There was no answer, whatever became of the question."""
    return raw.closed or raw.broken or _is_lost(error)


def _is_lost(error: psycopg.Error) -> bool:
    if isinstance(error, _IN_TRANSITION):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate is None or error.sqlstate.startswith("08"))


def trouble_of(error: psycopg.Error, where: StateUrl) -> StateFailed | None:
    """The error for people when the server or the way to it is at fault; None when our own SQL is."""
    state = error.sqlstate or ""
    known = [prefix for prefix in _REMEDIES if state.startswith(prefix) and (prefix or not state)]
    if not known or (isinstance(error, psycopg.IntegrityError | psycopg.DataError)):
        return None
    remedy = _REMEDIES[max(known, key=len)]
    if isinstance(error, _IN_THE_WAY):
        remedy = "try again in a moment"
    return StateFailed(f"the state `{where}` failed: {said(error)}", remedy)


def said(error: psycopg.Error) -> str:
    """The server's own words, on one line: neither it nor libpq quotes a password."""
    return " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
