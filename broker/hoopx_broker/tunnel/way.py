"""Which worker a connection is for, told from its first bytes; what leads nowhere in particular leads to the first."""

from __future__ import annotations

from hashlib import sha256

from hoopx_broker.tunnel.client import WAY
from hoopx_broker.wire.client_hello import MAX_HELLO, More, offered
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.frames import MAX_STARTUP
from hoopx_broker.wire.postgres.messages import CANCEL_REQUEST_CODE

PREFIX = WAY.encode()
MAX_NAME = 64
POSTGRESQL = b"postgresql"
# More is looked at of no connection.
MAX_LOOK = MAX_HELLO + 1
# Every start-up packet of PostgreSQL begins with its length, which is far below 2^24; a TLS handshake begins with 22.
_POSTGRES = 0
_STARTUP_HEAD, _CANCEL_HEAD = 8, 12


def way(data: bytes, host: str, workers: int) -> int | More:
    """The number of the worker. `host` is the address of the peer: connections that share a session share it too.

    Who breaks a protocol is the first one's: it answers them as a broker without workers does.
    """
    if not data:
        return More(1)
    try:
        return _of_postgres(data, host, workers) if data[0] == _POSTGRES else _of_tls(data, host, workers)
    except BrokenPeer:
        return 0


def _of_tls(data: bytes, host: str, workers: int) -> int | More:
    names = offered(data)
    if isinstance(names, More):
        return names
    for name in names:
        if name.startswith(PREFIX) and len(name) <= MAX_NAME:
            return _among(workers, name)
    return _among(workers, host.encode()) if POSTGRESQL in names else 0


def _of_postgres(data: bytes, host: str, workers: int) -> int | More:
    if len(data) < _STARTUP_HEAD:
        return More(_STARTUP_HEAD)
    length, code = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    if not _STARTUP_HEAD <= length <= MAX_STARTUP:
        raise BrokenPeer("a packet before the login has a length out of bounds")
    if code != CANCEL_REQUEST_CODE:
        return _among(workers, host.encode())
    if len(data) < _CANCEL_HEAD:
        return More(_CANCEL_HEAD)
    return of_key(data[_STARTUP_HEAD:_CANCEL_HEAD], workers)


def of_key(key: bytes, workers: int) -> int:
    """Whose stream a cancel key is of, by the process id that it begins with."""
    return int.from_bytes(key[:4], "big") % workers


def _among(workers: int, name: bytes) -> int:
    return int.from_bytes(sha256(name).digest()[:8], "big") % workers
