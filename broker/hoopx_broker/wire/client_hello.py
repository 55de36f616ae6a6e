"""Read the first message of a TLS handshake as far as the protocols that the client offers; nothing of it is believed.

Sources: RFC 8446 sections 4.1.2 and 5.1, RFC 7301 section 3.1.
"""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.wire.cursor import BrokenPeer, Cursor

# Honest ones have 300 bytes to 2 KB, the long ones by keys that withstand quantum computers.
MAX_HELLO = 16 * 1024
_HANDSHAKE, _CLIENT_HELLO, _MAJOR = 22, 1, 3
_RECORD_HEAD, _MESSAGE_HEAD = 5, 4
_MAX_RECORD = 1 << 14
_RANDOM = 32
_MAX_SESSION = 32
_ALPN = 16


class More(Struct, frozen=True):
    """It goes on: so many bytes are needed, from the very first one counted, before reading it again leads further."""

    needed: int


def offered(data: bytes) -> tuple[bytes, ...] | More:
    """The names that a client offers (ALPN), given the bytes that it sent so far. Raises `BrokenPeer`.

    It may be cut into records as its sender likes.
    """
    message, at = bytearray(), 0
    while True:
        if len(data) - at < _RECORD_HEAD:
            return _more(at + _RECORD_HEAD)
        kind, major, size = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != _HANDSHAKE or major != _MAJOR or not 0 < size <= _MAX_RECORD:
            raise BrokenPeer("this is no TLS handshake")
        at += _RECORD_HEAD
        message += data[at : at + size]
        # Who announces something else, or too much, is known before it has all come.
        wanted = _MESSAGE_HEAD + _length(message)
        if len(data) < at + size:
            return _more(at + size)
        at += size
        if len(message) >= wanted:
            return _names(bytes(message[_MESSAGE_HEAD:wanted]))


def _more(needed: int) -> More:
    if needed > MAX_HELLO:
        raise BrokenPeer("a TLS handshake begins with too much")
    return More(needed)


def _length(message: bytearray) -> int:
    """Of a message that may have come in part only."""
    if message and message[0] != _CLIENT_HELLO:
        raise BrokenPeer("a TLS handshake does not begin with its hello")
    size = int.from_bytes(message[1:4], "big") if len(message) >= _MESSAGE_HEAD else 0
    if size > MAX_HELLO:
        raise BrokenPeer("a TLS handshake begins with too much")
    return size


def _names(body: bytes) -> tuple[bytes, ...]:
    cursor = Cursor(body)
    cursor.take(2 + _RANDOM)
    session = cursor.byte()
    if session > _MAX_SESSION:
        raise BrokenPeer("the session of a TLS handshake is too long")
    cursor.take(session)
    cursor.take(cursor.uint16())  # cipher suites
    cursor.take(cursor.byte())  # ways to compress
    if not cursor.left:
        return ()  # without extensions
    extensions = Cursor(cursor.take(cursor.uint16()))
    cursor.finish()
    while extensions.left:
        kind, content = extensions.uint16(), extensions.take(extensions.uint16())
        if kind == _ALPN:
            return tuple(_listed(Cursor(content)))
    return ()


def _listed(cursor: Cursor) -> list[bytes]:
    names = Cursor(cursor.take(cursor.uint16()))
    cursor.finish()
    found = []
    while names.left:
        found.append(names.take(names.byte()))
    return found
