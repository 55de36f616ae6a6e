"""One connection that speaks HTTP, until it asks to become a tunnel.

uvicorn parses HTTP and serves the application; a request to upgrade is handed to picows together with its transport,
so that the bytes of a tunnel pass through neither uvicorn nor the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade
from msgspec import Struct
from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from hoopx_broker.tunnel.strangers import Strangers

# A tunnel carries one read of the CLI per frame (256 KiB at most); control messages are far smaller.
MAX_WEBSOCKET_FRAME = 4 * 1024 * 1024
# Silence longer than this is asked about; no answer within the second time means that the peer is gone.
PING_AFTER = 20.0
PING_ANSWER = 20.0
# From accept to the end of the TLS handshake, and from then to the end of a request's head.
HANDSHAKE_SECONDS = 10.0
# From there to the end of its body: what needs longer for 64 KiB is a trickle.
BODY_SECONDS = 30.0
# A token of some KiB and a few headers; nothing that we serve needs more.
MAX_HEAD = 64 * 1024
_READ_BUFFER = 16 * 1024

Upgraded = WSListener | WSUpgradeResponseWithListener | None
_silent = logging.getLogger("hoopx.tunnel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Entrance(Struct, frozen=True):
    """Who is behind the door. `upgrade` gets a request to upgrade and the peer's address; None refuses by a 404.

    `watched` are the paths whose peers are asked for a sign of life. On others a peer may rightly read nothing for
    long, and would seem dead. `native` makes the other end for a PostgreSQL client behind TLS, given the peer's address
    and what to call once it is known, or gone. `cancel` gets the key of a cancel request.
    """

    upgrade: Callable[[WSUpgradeRequest, str], Upgraded]
    watched: frozenset[bytes]
    native: Callable[[str, Callable[[], None]], asyncio.Protocol]
    cancel: Callable[[bytes], Awaitable[None]]


class HttpConnection(HttpToolsProtocol):
    """uvicorn's, with bounds: it has none for the size and the time of a head, or the time of a body."""

    def __init__(self, config: Config, state: ServerState, entrance: Entrance, strangers: Strangers) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._entrance = entrance
        self._strangers = strangers
        self._is_known: Callable[..., None] = lambda: None
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._is_known = self._strangers.enter(transport.abort)
        self._expect_within(HANDSHAKE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self._deadline is None and self._in_head:
            self._expect_within(HANDSHAKE_SECONDS)
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self.send_400_response("this is not HTTP")
        if self._in_head and self._head_bytes > MAX_HEAD:
            self.transport.abort()

    # What the parser calls.

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_within(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._expect_nothing()
        if self.cycle is None or not self.cycle.response_complete:
            self._is_known()
        super().on_message_complete()

    # What an answer calls at its end.

    def on_response_complete(self) -> None:
        """Between two requests it may be anybody's again: idle connections must not keep others out."""
        self._is_known()
        if not self.transport.is_closing():
            self._is_known = self._strangers.enter(self.transport.abort)
        super().on_response_complete()

    # Deadlines.

    def _expect_within(self, seconds: float) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        self._expect_nothing()
        self._unset_keepalive_if_required()
        self._is_known()

    # Upgrades.

    def _should_upgrade(self) -> bool:
        return bool(self._get_upgrade() == b"websocket")

    def _upgrade(self, early: bytes) -> None:
        """Let picows read the request again. It was parsed, so that both understand it in the same way."""
        if early or sum(name == b"authorization" for name, _ in self.scope["headers"]) > 1:
            self.send_400_response("the request to upgrade is ambiguous")
            return
        self._leave()
        self.connections.discard(self)
        transport, peer = self.transport, peer_of(self.transport)
        websocket = _websocket(
            lambda request: self._entrance.upgrade(request, peer), watched=self.url in self._entrance.watched
        )
        websocket.connection_made(transport)
        transport.set_protocol(websocket)
        _replay(websocket, self._request_bytes())

    def _request_bytes(self) -> bytes:
        line = b"%b %b HTTP/1.1\r\n" % (self.scope["method"].encode(), self.url)
        headers = b"".join(b"%b: %b\r\n" % (name, value) for name, value in self.scope["headers"])
        return line + headers + b"\r\n"


def _websocket(listen: Callable[[WSUpgradeRequest], Upgraded], *, watched: bool) -> Any:
    """The server's protocol of picows, with the arguments that its own `ws_create_server` gives it.

    picows exports no constructor for a connection that another server has accepted; tests hold this to its version.
    """
    disconnect_on_exception = auto_pong = True
    return WSProtocol(
        None,
        None,
        False,  # noqa: FBT003 - is_client_side; the constructor is compiled and takes no names
        listen,
        _silent,
        disconnect_on_exception,
        HANDSHAKE_SECONDS,
        watched,
        PING_AFTER,
        PING_ANSWER,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        auto_pong,
        MAX_WEBSOCKET_FRAME,
        None,
        _READ_BUFFER,
    )


def _replay(protocol: Any, data: bytes) -> None:
    """Feed a BufferedProtocol as a transport would."""
    while data:
        buffer = protocol.get_buffer(len(data))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


def peer_of(transport: Any) -> str:
    address = transport.get_extra_info("peername")
    return f"{address[0]}:{address[1]}" if address else ""
