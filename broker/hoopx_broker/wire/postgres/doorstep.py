"""What a PostgreSQL client says before it is let in, as a machine: bytes in, steps out.

The laptop's listener and the native endpoint both stand here, so both refuse the same things: one packet at a time,
each answered before the next; each request for encryption once; nothing that comes too early is kept.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import MAX_STARTUP, message
from hoopx_broker.wire.postgres.hello import Unwelcome

# What PostgreSQL's own server takes at most as an answer to a request for a password (PG_MAX_AUTH_TOKEN_LENGTH).
MAX_PASSWORD = 65_535
# Process id and secret: 8 bytes in protocol 3.0, in 3.2 with a secret of up to 256.
_CANCEL_LENGTHS = range(8 + 8, 8 + 4 + 256 + 1)
_REQUESTS = frozenset({messages.SSL_REQUEST_CODE, messages.GSS_REQUEST_CODE})
_CLEARTEXT = 3


class Answer(Struct, frozen=True):
    """Bytes for the client."""

    data: bytes


class Secure(Struct, frozen=True):
    """Send `data`, then shake hands by TLS on this connection. Behind it stands another doorstep."""

    data: bytes


class Admit(Struct, frozen=True):
    """The client has said all that it was asked: its start-up packet, and `password` where that was sent in the clear.

    `data` is the last answer to it, which it gets before anything else.
    """

    startup: bytes
    data: bytes = b""
    password: Secret | None = None


class Cancel(Struct, frozen=True):
    """A cancel request, whole. Nothing else comes on this connection, and nothing is answered."""

    packet: bytes

    @property
    def key(self) -> bytes:
        return self.packet[8:]


class TurnAway(Struct, frozen=True):
    """Send `data`, an error in the protocol's own form, and close."""

    data: bytes
    reason: str


Step = Answer | Secure | Admit | Cancel | TurnAway


class Place(Enum):
    """Where the client stands, which decides whether it needs TLS."""

    LOCAL = "a socket of this machine, where nothing is encrypted"
    CLEAR = "the broker's port, before TLS"
    SECURED = "the broker's port, behind TLS"


class Proof(Protocol):
    """How a client proves who it is. No message of it is longer than `longest`."""

    longest: int

    def begin(self) -> bytes:
        """What it is asked first, as a message."""

    def hear(self, cursor: Cursor, startup: bytes) -> Answer | Admit:
        """One message with what it answers. Raises `BrokenPeer`, or `Unwelcome`."""


class TokenInClear:
    """Takes the password as it is, behind TLS: a token that somebody else verifies."""

    longest = MAX_PASSWORD

    def begin(self) -> bytes:
        return authentication(_CLEARTEXT)

    def hear(self, cursor: Cursor, startup: bytes) -> Answer | Admit:
        text = cursor.cstring()
        cursor.finish()
        try:
            return Admit(startup, b"", Secret(text.decode()))
        except UnicodeDecodeError:
            raise BrokenPeer("the password is not text") from None


class Doorstep:
    """After `Secure`, `Admit`, `Cancel` or `TurnAway` it is over, and hears nothing any more."""

    def __init__(self, place: Place, proof: Proof | None = None) -> None:
        self._place = place
        self._proof = proof
        self._is_over = False
        self._held = b""
        self._requested: set[int] = set()
        self._startup = b""

    def feed(self, data: bytes) -> list[Step]:
        """What these bytes lead to: at most one step, because only one packet may be unanswered."""
        if self._is_over:
            return []
        self._held += data
        try:
            packet = self._packet()
            return [self._on_packet(packet)] if packet is not None else []
        except BrokenPeer as error:
            return [self._turn_away(Unwelcome("08P01", str(error)))]
        except Unwelcome as refusal:
            return [self._turn_away(refusal)]

    def _packet(self) -> bytes | None:
        """The next whole packet. More than one at a time is an attempt to speak past the greeting."""
        header, least, most = (1, 4, self._proof.longest) if self._startup and self._proof else (0, 8, MAX_STARTUP)
        # Looked at before its length: a second start-up packet read as a proof would be waited for in vain.
        if header and self._held and self._held[0] != frames.PASSWORD:
            raise BrokenPeer("the client sent something else than its password's proof")
        if len(self._held) < header + 4:
            return None
        length = int.from_bytes(self._held[header : header + 4], "big")
        if not least <= length <= most:
            raise BrokenPeer("a packet before the login has a length out of bounds")
        if len(self._held) < header + length:
            return None
        if len(self._held) > header + length:
            raise BrokenPeer("bytes came behind a packet that waits for its answer")
        packet, self._held = self._held, b""
        return packet

    def _on_packet(self, packet: bytes) -> Step:
        if not self._startup or self._proof is None:
            return self._on_startup(packet)
        step = self._proof.hear(Cursor(packet, 5), self._startup)
        return self._last(step) if isinstance(step, Admit) else step

    def _on_startup(self, packet: bytes) -> Step:
        code = int.from_bytes(packet[4:8], "big")
        if code in _REQUESTS:
            return self._on_request(code, packet)
        if code == messages.CANCEL_REQUEST_CODE:
            if len(packet) not in _CANCEL_LENGTHS:
                raise BrokenPeer("a cancel request has a length out of bounds")
            return self._last(Cancel(packet))
        if code >> 16 != messages.PROTOCOL_MAJOR:
            raise Unwelcome("0A000", "this version of the PostgreSQL protocol is not spoken here")
        if self._place is Place.CLEAR:
            raise Unwelcome("28000", "nobody logs in here without TLS", "connect with sslmode=require or stricter")
        self._startup = packet
        if self._proof is None:
            return self._last(Admit(packet))
        return Answer(self._proof.begin())

    def _on_request(self, code: int, packet: bytes) -> Step:
        if code in self._requested or len(packet) != 8:
            raise BrokenPeer("a request for encryption came twice or is malformed")
        if self._place is Place.SECURED:
            raise BrokenPeer("a request for encryption came behind TLS")
        self._requested.add(code)
        if self._place is Place.CLEAR and code == messages.SSL_REQUEST_CODE:
            return self._last(Secure(b"S"))
        return Answer(b"N")

    def _turn_away(self, refusal: Unwelcome) -> Step:
        error = messages.error("FATAL", refusal.code, refusal.message, refusal.detail, refusal.hint)
        return self._last(TurnAway(error, refusal.message))

    def _last(self, step: Step) -> Step:
        self._is_over, self._held = True, b""
        return step


def authentication(code: int, data: bytes = b"") -> bytes:
    """A request or an answer of the server's while the client proves who it is."""
    return message(frames.AUTHENTICATION, code.to_bytes(4, "big") + data)
