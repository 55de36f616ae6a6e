"""Ids are types: a session's id is never passed where a lease's is meant."""

from __future__ import annotations

import secrets
from typing import NewType

SessionId = NewType("SessionId", str)
StreamId = NewType("StreamId", str)
LeaseId = NewType("LeaseId", str)
RequestId = NewType("RequestId", str)

# Crockford's base 32 in lower case: no i, l, o, u, so that ids survive being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _fresh(prefix: str, length: int) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_session_id() -> SessionId:
    """`s_` and 16 characters, 80 bits of chance; safe in file names, role names and URLs."""
    return SessionId(_fresh("s_", 16))


def new_stream_id() -> StreamId:
    return StreamId(_fresh("t_", 8))


def new_lease_id() -> LeaseId:
    return LeaseId(_fresh("l_", 16))


def new_request_id() -> RequestId:
    """`r_` and 10 characters: typed by people, guarded by policy rather than by being secret."""
    return RequestId(_fresh("r_", 10))


def new_event_id() -> str:
    """`e_` and 26 characters, 130 bits of chance: the hash of a leaf that holds it tells nothing of the leaf."""
    return _fresh("e_", 26)


def new_hold_id() -> str:
    """`h_` and 10 characters: typed by people, guarded by policy rather than by being secret."""
    return _fresh("h_", 10)
