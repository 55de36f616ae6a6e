"""The beginning of a stream as a machine: the client's hello, the ruling on its settings, the login to the server."""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from hoopx_broker.terms import entries
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Cancel, Close, Effect, Judge, Note, Passage, Send, Side
from hoopx_broker.wire.postgres import frames, hello, messages, refusals
from hoopx_broker.wire.postgres.frames import Frame, message
from hoopx_broker.wire.postgres.hello import Unwelcome
from hoopx_broker.wire.postgres.login import Login, LoginFailed, Upstream

# A process id and a secret. In protocol 3.0 the secret is 4 bytes, and what we gave out is cut to that.
KEY_BYTES = 4 + 32
KEY_BYTES_3_0 = 4 + 4
# What protocol 3.2 allows for the secret of a server.
MAX_SERVER_KEY = 4 + 256


class Phase(Enum):
    """Where a stream stands."""

    STARTUP = "the client has not said hello"
    SETTINGS = "its start-up settings are being judged"
    LOGIN = "hoopx logs in to the server"
    READY = "statements flow"
    CLOSED = "over"


class Greeter(Enum):
    """Who tells the client which version is spoken, and that it is let in."""

    ENGINE = "the engine, once the server has let hoopx in"
    DOOR = "the native endpoint, before there was a stream"


class Beginning:
    """From the first packet to the server's first ReadyForQuery. `phase` says how far it is.

    What ends the stream is raised: `Unwelcome` where a side is told why, `BrokenPeer` where it broke the protocol.
    """

    def __init__(
        self, stream: StreamId, target: str, upstream: Upstream, key: bytes, nonce: bytes, greeter: Greeter
    ) -> None:
        self._stream = stream
        self._target = target
        self._database = upstream.database
        self._login = Login(upstream, nonce)
        self._key = key
        self._greeter = greeter
        self._hello = hello.Hello({}, {}, [], 0)
        self.phase = Phase.STARTUP
        self.server_key = b""

    @property
    def key(self) -> bytes:
        """What this client has as its cancel key."""
        return self._key if self._hello.speaks >= 2 else self._key[:KEY_BYTES_3_0]

    def log_in_with(self, credential: DatabaseLogin) -> None:
        self._login.use(credential)

    def on_client(self, frame: Frame) -> list[Effect]:
        if self.phase is not Phase.STARTUP or frame.kind != frames.STARTUP:
            raise BrokenPeer("the client speaks before the server is ready")
        startup = messages.parse_startup(frame)
        if startup.code == messages.CANCEL_REQUEST_CODE:
            self.phase = Phase.CLOSED
            return [Cancel(startup.key), Close("cancel request")]
        if startup.major != messages.PROTOCOL_MAJOR:
            raise Unwelcome("0A000", "hoopx speaks version 3 of the PostgreSQL protocol here")
        return self._greet(hello.welcome(startup, self._database, self._target))

    def _greet(self, said: hello.Hello) -> list[Effect]:
        self._hello = said
        opened = Note(entries.StreamOpened(self._stream, said.parameters | said.settings))
        if not said.settings:
            return [opened, *self._start_login()]
        self.phase = Phase.SETTINGS
        return [opened, Judge(hello.as_statements(said.settings), executes=True)]

    def on_ruling(self, ruling: Passage | Deny) -> list[Effect]:
        """The ruling on the settings."""
        match ruling:
            case Passage():
                return self._start_login()
            case Deny(reason, _, hint):
                note = refusals.note(self._stream, 0, hello.as_statements(self._hello.settings), ruling)
                raise Unwelcome("42501", refusals.headline(ruling), hint, reason, note)
            case _:
                assert_never(ruling)

    def _start_login(self) -> list[Effect]:
        self.phase = Phase.LOGIN
        return self._login.start(self._hello.parameters | self._hello.settings, self._hello.speaks)

    def on_tls(self, binding: bytes | None) -> list[Effect]:
        """TLS towards the server stands; `binding` is its `tls-server-end-point` data, if any."""
        return self._login.on_tls(binding)

    def on_backend(self, frame: Frame) -> list[Effect]:
        if self.phase is not Phase.LOGIN:
            raise BrokenPeer("the server speaks before it was asked")
        if not self._login.done:
            return self._log_in(frame)
        match frame.kind:
            case frames.PARAMETER_STATUS | frames.NOTICE:
                return [Send(Side.CLIENT, frame.data)]
            case frames.KEY_DATA:
                self._keep_server_key(frame.data[5:])
                return [Send(Side.CLIENT, message(frames.KEY_DATA, self.key))]
            case frames.READY:
                self.phase = Phase.READY
                return [Send(Side.CLIENT, frame.data)]
            case frames.ERROR:
                said = messages.error_fields(frame)
                raise Unwelcome(said.code, said.message)
            case _:
                raise BrokenPeer("the server speaks out of turn after the login")

    def _log_in(self, frame: Frame) -> list[Effect]:
        try:
            effects = self._login.on_frame(frame)
        except LoginFailed as failure:
            why = f"hoopx cannot log in to `{self._target}`"
            raise Unwelcome("08006", why, detail=str(failure)) from None
        return [*effects, *self._admit()] if self._login.done else effects

    def _admit(self) -> list[Effect]:
        if self._greeter is Greeter.DOOR:
            return []
        return [Send(Side.CLIENT, hello.negotiation(self._hello) + messages.AUTHENTICATION_OK)]

    def _keep_server_key(self, key: bytes) -> None:
        most = MAX_SERVER_KEY if self._login.speaks >= 2 else KEY_BYTES_3_0
        if not KEY_BYTES_3_0 <= len(key) <= most:
            raise BrokenPeer("the server's cancel key has a length out of bounds")
        self.server_key = key
