"""The start of a PostgreSQL connection, spoken with a local client until it has proved the session's password.

A machine without sockets: bytes in, steps out. What it lets through is the client's start-up packet, unchanged; the
broker answers from AuthenticationOk on.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import MAX_STARTUP, message
from hoopx_broker.wire.postgres.scram import MECHANISM, ServerExchange, WrongPassword

_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12
# Each request for encryption may come once, in either order (libpq tries GSSAPI, then TLS).
_REQUESTS = frozenset({messages.SSL_REQUEST_CODE, messages.GSS_REQUEST_CODE})


class Answer(Struct, frozen=True):
    """Bytes for the local client."""

    data: bytes


class Admit(Struct, frozen=True):
    """The client may have a stream: send it `data`, then open the stream with `startup`, its start-up packet."""

    startup: bytes
    data: bytes


class Cancel(Struct, frozen=True):
    """A cancel request: a stream that carries this packet and nothing else. The broker checks its key."""

    packet: bytes


class TurnAway(Struct, frozen=True):
    """Send `data`, an error in the protocol's own form or nothing, and close."""

    data: bytes
    reason: str


Step = Answer | Admit | Cancel | TurnAway


class _State(Enum):
    STARTUP = "start-up packet"
    FIRST = "first SCRAM message"
    FINAL = "final SCRAM message"
    OVER = "over"


class Greeting:
    """`password` is None where the socket itself proves who connects."""

    def __init__(self, password: Secret | None, nonce: bytes, salt: bytes) -> None:
        self._exchange = ServerExchange(password, nonce, salt) if password is not None else None
        self._state = _State.STARTUP
        self._held = b""
        self._requested: set[int] = set()
        self._startup = b""

    def feed(self, data: bytes) -> list[Step]:
        """What these bytes lead to. After `Admit`, `Cancel` or `TurnAway` the greeting is over."""
        if self._state is _State.OVER:
            return []
        self._held += data
        try:
            return self._steps()
        except BrokenPeer as error:
            return [self._turn_away("08P01", str(error))]
        except WrongPassword:
            return [
                self._turn_away(
                    "28P01",
                    "wrong password for this hoopx session",
                    "Take the password that `hoopx connect` printed; it is another one for every session.",
                )
            ]

    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        while self._state is not _State.OVER:
            packet = self._packet()
            if packet is None:
                return steps
            steps.append(self._startup_packet(packet) if self._state is _State.STARTUP else self._scram(packet))
        return steps

    def _packet(self) -> bytes | None:
        """The next whole packet. More than one at a time is an attempt to speak past the greeting."""
        header = 0 if self._state is _State.STARTUP else 1
        # Looked at before its length: a second start-up packet read as a proof would be waited for in vain.
        if header and self._held and self._held[0] != frames.PASSWORD:
            raise BrokenPeer("the client sent something else than its password's proof")
        if len(self._held) < header + 4:
            return None
        length = int.from_bytes(self._held[header : header + 4], "big")
        if not (8 if header == 0 else 4) <= length <= MAX_STARTUP:
            raise BrokenPeer("a packet before the login has a length out of bounds")
        if len(self._held) < header + length:
            return None
        if len(self._held) > header + length:
            raise BrokenPeer("bytes came behind a packet that waits for its answer")
        packet, self._held = self._held, b""
        return packet

    def _startup_packet(self, packet: bytes) -> Step:
        code = int.from_bytes(packet[4:8], "big")
        if code in _REQUESTS:
            return self._request(code, packet)
        if code == messages.CANCEL_REQUEST_CODE:
            self._state = _State.OVER
            return Cancel(packet)
        if code >> 16 != messages.PROTOCOL_MAJOR:
            return self._turn_away("0A000", "this version of the PostgreSQL protocol is not spoken here")
        self._startup = packet
        if self._exchange is None:
            return self._admit()
        self._state = _State.FIRST
        return Answer(_authentication(_SASL, MECHANISM + b"\0\0"))

    def _request(self, code: int, packet: bytes) -> Step:
        """Nothing is encrypted on this machine's own socket: TLS begins behind it."""
        if code in self._requested or len(packet) != 8:
            raise BrokenPeer("a request for encryption came twice or is malformed")
        self._requested.add(code)
        return Answer(b"N")

    def _scram(self, packet: bytes) -> Step:
        exchange = self._exchange
        assert exchange is not None
        cursor = Cursor(packet, 5)
        if self._state is _State.FIRST:
            self._state = _State.FINAL
            return Answer(_authentication(_SASL_CONTINUE, exchange.first(_initial_response(cursor))))
        proof = exchange.final(cursor.rest())
        return self._admit(_authentication(_SASL_FINAL, proof))

    def _admit(self, last_answer: bytes = b"") -> Admit:
        self._state = _State.OVER
        return Admit(self._startup, last_answer)

    def _turn_away(self, code: str, text: str, hint: str = "") -> TurnAway:
        self._state = _State.OVER
        return TurnAway(messages.error("FATAL", code, text, hint=hint), text)


def _authentication(code: int, data: bytes) -> bytes:
    return message(frames.AUTHENTICATION, code.to_bytes(4, "big") + data)


def _initial_response(cursor: Cursor) -> bytes:
    """The client's first message out of a SASLInitialResponse."""
    if cursor.cstring() != MECHANISM:
        raise BrokenPeer("the client chose a login mechanism that was not offered")
    size = cursor.int32()
    response = cursor.take(size)
    cursor.finish()
    return response
