"""The broker's one port: TLS, then HTTP for API and pages, or a WebSocket for tunnels.

uvicorn parses HTTP and serves the application; a request to upgrade is handed to picows together with its transport,
so that the bytes of a tunnel pass through neither uvicorn nor the application.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiofastnet
from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

# A tunnel carries one read of the CLI per frame (256 KiB at most); control messages are far smaller.
MAX_WEBSOCKET_FRAME = 4 * 1024 * 1024
# Silence longer than this is asked about; no answer within the second time means that the peer is gone.
PING_AFTER = 20.0
PING_ANSWER = 20.0
# From accept to the end of the TLS handshake, and from then to the first request.
HANDSHAKE_SECONDS = 10.0
READ_BUFFER = 16 * 1024
# A token of some KiB and a few headers; nothing that we serve needs more.
MAX_HEAD = 64 * 1024
# Idle HTTP connections are closed after this many seconds.
KEEP_ALIVE_SECONDS = 30

Upgrade = Callable[[WSUpgradeRequest, str], WSListener | None]
_silent = logging.getLogger("hoopx.tunnel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Door:
    """Serves `app` and, by `upgrade`, tunnels. `upgrade` gets the request and the peer's address; None refuses."""

    def __init__(self, app: Any, upgrade: Upgrade) -> None:
        self._config = Config(
            app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            # A header that says who is behind a proxy is believed by nobody here: the peer is who connected.
            proxy_headers=False,
        )  # fmt: skip
        self._config.load()
        self._state = ServerState()
        self._upgrade = upgrade
        self._server: asyncio.Server | None = None

    async def open(self, listening: socket.socket, tls: ssl.SSLContext) -> None:
        """Serve on a socket that listens already."""
        self._server = await aiofastnet.create_server(
            asyncio.get_running_loop(),
            lambda: _HttpProtocol(self._config, self._state, self._upgrade),
            sock=listening,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )

    async def close(self) -> None:
        """Stop listening and end HTTP connections; tunnels are ended by their sessions."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)


class _HttpProtocol(HttpToolsProtocol):
    def __init__(self, config: Config, state: ServerState, upgrade: Upgrade) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._hand_over = upgrade
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        # The parser itself takes heads of any size.
        self._head_bytes += len(data)
        if self.cycle is None and self._head_bytes > MAX_HEAD:
            self.transport.close()
            return
        super().data_received(data)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # A client that opens the port and says nothing holds a connection for this long at most.
        self.timeout_keep_alive_task = self.loop.call_later(HANDSHAKE_SECONDS, self.timeout_keep_alive_handler)

    def _should_upgrade(self) -> bool:
        return bool(self._get_upgrade() == b"websocket")

    def handle_websocket_upgrade(self) -> None:
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        transport = self.transport
        peer = _peer(transport)
        websocket = _websocket(lambda request: self._hand_over(request, peer))
        websocket.connection_made(transport)
        transport.set_protocol(websocket)
        _replay(websocket, self._request_bytes())

    def _request_bytes(self) -> bytes:
        line = b"%b %b HTTP/1.1\r\n" % (self.scope["method"].encode(), self.url)
        headers = b"".join(b"%b: %b\r\n" % (name, value) for name, value in self.scope["headers"])
        return line + headers + b"\r\n"


def _websocket(listen: Callable[[WSUpgradeRequest], WSListener | None]) -> Any:
    """The server's protocol of picows, with the arguments that its own `ws_create_server` gives it.

    picows exports no constructor for a connection that another server has accepted; `tests` hold this to its version.
    """
    disconnect_on_exception = auto_ping = auto_pong = True
    return WSProtocol(
        None,
        None,
        False,  # noqa: FBT003 - is_client_side; the constructor is compiled and takes no names
        listen,
        _silent,
        disconnect_on_exception,
        HANDSHAKE_SECONDS,
        auto_ping,
        PING_AFTER,
        PING_ANSWER,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        auto_pong,
        MAX_WEBSOCKET_FRAME,
        None,
        READ_BUFFER,
    )


def _replay(protocol: Any, data: bytes) -> None:
    """Feed a BufferedProtocol as a transport would."""
    while data:
        buffer = protocol.get_buffer(len(data))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


def _peer(transport: Any) -> str:
    address = transport.get_extra_info("peername")
    return f"{address[0]}:{address[1]}" if address else ""
