"""The first bytes of a connection: TLS, or a PostgreSQL client that asks for TLS, or one that wants to cancel."""

from __future__ import annotations

import asyncio
import socket
from enum import Enum

from hoopx_broker.wire.postgres.doorstep import Answer, Cancel, Doorstep, Place, Secure
from hoopx_broker.wire.postgres.frames import MAX_STARTUP

# Every start-up packet of PostgreSQL begins with its length, which is far below 2^24; a TLS handshake begins with 22.
_POSTGRES = 0


class Caller(Enum):
    """What is to be spoken on a connection, once TLS stands."""

    ANY = "what the TLS handshake settles: HTTP, if it says nothing"
    POSTGRES = "PostgreSQL, which was asked for before TLS"


async def hear(connection: socket.socket) -> Caller | Cancel | None:
    """Who knocks; None where that was answered already, or nobody is there any more. Raises `OSError`.

    Not a byte of what belongs to TLS is taken from the socket.
    """
    first = await _peek(connection)
    if not first:
        return None
    return await _hear_postgres(connection) if first[0] == _POSTGRES else Caller.ANY


async def _hear_postgres(connection: socket.socket) -> Caller | Cancel | None:
    loop = asyncio.get_running_loop()
    doorstep = Doorstep(Place.CLEAR)
    while data := await loop.sock_recv(connection, MAX_STARTUP):
        for step in doorstep.feed(data):
            if isinstance(step, Cancel):
                return step
            await loop.sock_sendall(connection, step.data)
            if not isinstance(step, Answer):
                return Caller.POSTGRES if isinstance(step, Secure) else None
    return None


async def _peek(connection: socket.socket) -> bytes:
    """Wait for the first byte, and leave it where it is."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)
