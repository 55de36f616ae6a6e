"""How a local client proves the session's password: the server's side of SCRAM, for the doorstep of the local socket.

What is let through is the client's start-up packet, unchanged; the broker answers from AuthenticationOk on.
"""

from __future__ import annotations

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.postgres import frames, hello, messages
from hoopx_broker.wire.postgres.doorstep import Admit, Answer, Doorstep, Place, authentication
from hoopx_broker.wire.postgres.frames import MAX_STARTUP, Frame
from hoopx_broker.wire.postgres.hello import Unwelcome
from hoopx_broker.wire.postgres.scram import MECHANISM, ServerExchange, WrongPassword

_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12


def greeting(password: Secret | None, nonce: bytes, salt: bytes) -> Doorstep:
    """`password` is None where the socket itself proves who connects."""
    proof = Scram(ServerExchange(password, nonce, salt)) if password is not None else None
    return Doorstep(Place.LOCAL, proof)


def admission(startup: bytes) -> bytes:
    """What the broker says first to a client with this start-up packet; nothing where it will not let it in."""
    try:
        said = hello.read(messages.parse_startup(Frame(frames.STARTUP, startup)))
    except (BrokenPeer, hello.Unwelcome):
        return b""
    return hello.negotiation(said) + messages.AUTHENTICATION_OK


class Scram:
    """One client's proof; only SCRAM-SHA-256 is offered."""

    longest = MAX_STARTUP

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._has_begun = False

    def begin(self) -> bytes:
        return authentication(_SASL, MECHANISM + b"\0\0")

    def hear(self, cursor: Cursor, startup: bytes) -> Answer | Admit:
        if not self._has_begun:
            self._has_begun = True
            return Answer(authentication(_SASL_CONTINUE, self._exchange.first(_initial_response(cursor))))
        try:
            return Admit(startup, authentication(_SASL_FINAL, self._exchange.final(cursor.rest())))
        except WrongPassword:
            hint = "Take the password that `hoopx connect` printed; it is another one for every session."
            raise Unwelcome("28P01", "wrong password for this hoopx session", hint) from None


def _initial_response(cursor: Cursor) -> bytes:
    """The client's first message out of a SASLInitialResponse."""
    if cursor.cstring() != MECHANISM:
        raise BrokenPeer("the client chose a login mechanism that was not offered")
    size = cursor.int32()
    response = cursor.take(size)
    cursor.finish()
    return response
