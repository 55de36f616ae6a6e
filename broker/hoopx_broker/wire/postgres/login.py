"""Log in to a PostgreSQL server: TLS, then SCRAM-SHA-256 (with channel binding under TLS), MD5 or a clear password."""

from __future__ import annotations

from enum import Enum
from hashlib import md5

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.effects import Effect, Send, Side, StartTls
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Frame, message
from hoopx_broker.wire.postgres.scram import MECHANISM, MECHANISM_PLUS, ClientExchange

_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_ACCEPTS_TLS = b"S"


class LoginFailed(Exception):
    """The server refused (by `code`), or asked for what we do not do. The message is safe to show."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class _Step(Enum):
    IDLE = 0
    TLS_ANSWER = 1
    TLS = 2
    ASKED = 3
    SCRAM_CONTINUE = 4
    SCRAM_FINAL = 5
    PROVED = 6
    DONE = 7


class Upstream(Struct, frozen=True):
    """Where and as whom to log in. A server that TLS has not `verified` gets proofs of the password, never itself."""

    credential: DatabaseLogin
    database: str
    tls: bool
    verified: bool = False


class Login:
    """One login. `done` is true once the server said AuthenticationOk; `speaks` is the minor version it settled on."""

    def __init__(self, upstream: Upstream, nonce: bytes) -> None:
        self._upstream = upstream
        self._nonce = nonce
        self._step = _Step.IDLE
        self._parameters: dict[str, str] = {}
        self._asked = self.speaks = 0
        self._binding: bytes | None = None
        self._scram: ClientExchange | None = None

    @property
    def done(self) -> bool:
        return self._step is _Step.DONE

    def use(self, credential: DatabaseLogin) -> None:
        """From here on log in with this one: what the source gave for this connection alone."""
        self._upstream = replace(self._upstream, credential=credential)

    def start(self, parameters: dict[str, str], minor: int = 0) -> list[Effect]:
        """`parameters` are start-up parameters beside user and database; `minor` is the version to ask for."""
        self._parameters = parameters
        self._asked = self.speaks = minor
        if self._upstream.tls:
            self._step = _Step.TLS_ANSWER
            return [Send(Side.BACKEND, messages.SSL_REQUEST)]
        return self._say_hello()

    def on_tls(self, binding: bytes | None) -> list[Effect]:
        """TLS stands; `binding` is its `tls-server-end-point` data where the certificate gives one."""
        if self._step is not _Step.TLS:
            raise BrokenPeer("TLS started where it was not due")
        self._binding = binding
        return self._say_hello()

    def _say_hello(self) -> list[Effect]:
        self._step = _Step.ASKED
        identity = {"user": self._upstream.credential.user, "database": self._upstream.database}
        # The identity comes last: no parameter of the client's may stand in its place.
        return [Send(Side.BACKEND, messages.startup(self._parameters | identity, self._asked))]

    def on_frame(self, frame: Frame) -> list[Effect]:
        """Raises `LoginFailed` or `BrokenPeer`."""
        if frame.kind == frames.TLS_ANSWER:
            return self._on_tls_answer(frame)
        if frame.kind == frames.ERROR:
            raise refusal(messages.error_fields(frame))
        if frame.kind == frames.NOTICE:
            return []
        if frame.kind == frames.NEGOTIATE:
            return self._settle(messages.negotiated(frame))
        if frame.kind != frames.AUTHENTICATION:
            raise BrokenPeer("the server speaks out of turn while we log in")
        cursor = Cursor(frame.data, 5)
        return self._on_authentication(cursor.int32(), cursor)

    def _on_tls_answer(self, frame: Frame) -> list[Effect]:
        if self._step is not _Step.TLS_ANSWER:
            raise BrokenPeer("the server answers a request for TLS that nobody made")
        if frame.data != _ACCEPTS_TLS:
            raise LoginFailed("the server does not offer TLS; switch it on there, or set `tls: {mode: disable}`")
        self._step = _Step.TLS
        return [StartTls()]

    def _settle(self, minor: int) -> list[Effect]:
        if self._step is not _Step.ASKED or minor >= self.speaks:
            raise BrokenPeer("the server negotiates a version that it has no need to")
        self.speaks = minor
        return []

    def _on_authentication(self, asked: int, cursor: Cursor) -> list[Effect]:
        match (self._step, asked):
            case (_Step.ASKED, code) if code == _SASL:
                return self._begin_scram(cursor)
            case (_Step.SCRAM_CONTINUE, code) if code == _SASL_CONTINUE and self._scram is not None:
                self._step = _Step.SCRAM_FINAL
                return _answer(self._scram.final(cursor.rest()))
            case (_Step.SCRAM_FINAL, code) if code == _SASL_FINAL and self._scram is not None:
                self._scram.finish(cursor.rest())
                self._step = _Step.PROVED
                return []
            case (_Step.ASKED, code) if code == _MD5:
                self._step = _Step.PROVED
                return _answer(self._md5(cursor.take(4)) + b"\0")
            case (_Step.ASKED, code) if code == _CLEARTEXT:
                return self._clear_password()
            case (_Step.ASKED | _Step.PROVED, code) if code == _OK:
                self._step = _Step.DONE
                return []
            case (_Step.ASKED, _):
                raise LoginFailed("the server wants a kind of authentication that hoopx does not do; use SCRAM-SHA-256")
            case _:
                raise BrokenPeer("the server broke the order of authentication")

    def _begin_scram(self, cursor: Cursor) -> list[Effect]:
        offered = cursor.rest().split(b"\0")
        plus = self._binding is not None and MECHANISM_PLUS in offered
        mechanism = MECHANISM_PLUS if plus else MECHANISM
        if mechanism not in offered:
            raise LoginFailed("the server offers no SCRAM mechanism that hoopx knows")
        self._scram = ClientExchange(
            self._upstream.credential.password,
            self._nonce,
            binding=self._binding if plus else None,
            tls=self._binding is not None,
        )
        self._step = _Step.SCRAM_CONTINUE
        first = self._scram.first()
        return _answer(mechanism + b"\0" + len(first).to_bytes(4, "big") + first)

    def _clear_password(self) -> list[Effect]:
        if not self._upstream.verified:
            raise LoginFailed(
                "the server asks for a clear password, and nobody has verified that it is the right one;"
                " set `tls: {mode: verify-full}` for this target"
            )
        self._step = _Step.PROVED
        return _answer(self._upstream.credential.password.reveal().encode() + b"\0")

    def _md5(self, salt: bytes) -> bytes:
        credential = self._upstream.credential
        inner = _hex_md5(credential.password.reveal().encode() + credential.user.encode())
        return b"md5" + _hex_md5(inner + salt)


def _hex_md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).hexdigest().encode()


def _answer(body: bytes) -> list[Effect]:
    return [Send(Side.BACKEND, message(frames.PASSWORD, body))]


def refusal(said: messages.ErrorFields) -> LoginFailed:
    # The server's own words: they name the user and the database, never a secret.
    return LoginFailed(f"the server refused the login: {said.message} ({said.code})", said.code)
