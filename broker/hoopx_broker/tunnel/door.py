"""The broker's one port: TLS, then HTTP for API and pages, a WebSocket for tunnels, or PostgreSQL's own clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

import aiofastnet
from uvicorn.config import Config
from uvicorn.server import ServerState

from hoopx_broker.tunnel import knock
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.http import HANDSHAKE_SECONDS, PING_AFTER, PING_ANSWER, Entrance, HttpConnection, peer_of
from hoopx_broker.tunnel.knock import Caller
from hoopx_broker.tunnel.strangers import Strangers

# Idle HTTP connections are closed after this many seconds.
KEEP_ALIVE_SECONDS = 30
# Connections that speak HTTP, long polls included; a tunnel is none of them.
MAX_HTTP = 1_000
# Accepted in one go before other work has its turn.
ACCEPT_AT_ONCE = 64
# When the process has no descriptor left: until some connections have ended.
ACCEPT_AGAIN_SECONDS = 0.5
# Who offers neither of them, or nothing, is taken for HTTP.
_POSTGRESQL = "postgresql"
_ALPN = (_POSTGRESQL, "http/1.1")
_PROBES = 4  # lost ones until a silent peer counts as gone

_Make = Callable[[asyncio.Transport], asyncio.Protocol]


class Door:
    """Serves `app`, and tunnels by `entrance`.

    It accepts by itself: a server of asyncio's kind has no bound for those who do not shake hands.
    """

    def __init__(self, app: Any, entrance: Entrance, crew: Crew) -> None:
        self._config = Config(
            app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, limit_concurrency=MAX_HTTP,
            # A header that says who is behind a proxy is believed by nobody here: the peer is who connected.
            proxy_headers=False,
        )  # fmt: skip
        self._config.load()
        self._state = ServerState()
        self._entrance = entrance
        self._crew = crew
        self._strangers = Strangers()
        self._listening: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None

    def open(self, listening: socket.socket | None, tls: ssl.SSLContext) -> None:
        """Serve on a socket that listens already; without one, who is taken in by `take`."""
        tls.set_alpn_protocols(list(_ALPN))
        self._listening, self._tls = listening, tls
        if listening is not None:
            listening.settimeout(0)
            asyncio.get_running_loop().add_reader(listening, self._accept)

    def stop_accepting(self) -> None:
        """Let nobody new in."""
        listening, self._listening = self._listening, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()

    async def close(self) -> None:
        """Let nobody in and end HTTP connections; tunnels are ended by their sessions."""
        self.stop_accepting()
        self._strangers.cut_all()
        for connection in list(self._state.connections):
            connection.shutdown()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            if self._listening is None:
                return
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor or no memory left
                self._crew.report("accept", error)
                self._pause_accepting(self._listening)
                return
            self.take(connection)

    def take(self, connection: socket.socket) -> None:
        """Greet who has just connected."""
        connection.settimeout(0)
        # Of what is accepted, asyncio and aiofastnet leave this alone; head and body of an answer are two writes.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = self._crew.start(self._greet(connection), "handshake")
        greeting.add_done_callback(self._strangers.enter(greeting.cancel))

    def _pause_accepting(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again)

    def _accept_again(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    async def _greet(self, connection: socket.socket) -> None:
        """Hear who knocks and shake hands by TLS. Who cannot is nobody to tell anything to."""
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                caller = await knock.hear(connection)
            if isinstance(caller, Caller):
                await self._secure(connection, caller)
                return
            if caller is not None:
                # The end of the connection tells that the server knows.
                await self._entrance.cancel(caller.key)
        except (OSError, TimeoutError):
            pass
        except BaseException:
            connection.close()
            raise
        connection.close()

    async def _secure(self, connection: socket.socket, caller: Caller) -> None:
        await aiofastnet.connect_accepted_socket(
            asyncio.get_running_loop(),
            lambda: _Secured(caller, self._http, self._native),
            connection,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )

    def _http(self, transport: asyncio.Transport) -> asyncio.Protocol:
        return HttpConnection(self._config, self._state, self._entrance, self._strangers)

    def _native(self, transport: asyncio.Transport) -> asyncio.Protocol:
        """A PostgreSQL client stays a stranger until its password is verified, and has little time for that."""
        _keep_alive(transport)
        forget = self._strangers.enter(transport.abort)
        deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, transport.abort)

        def is_known() -> None:
            deadline.cancel()
            forget()

        return self._entrance.native(peer_of(transport), is_known)


class _Secured(asyncio.Protocol):
    """Stands in until the handshake has settled what is spoken."""

    def __init__(self, caller: Caller, http: _Make, native: _Make) -> None:
        self._is_postgres = caller is Caller.POSTGRES
        self._http = http
        self._native = native

    def connection_made(self, transport: Any) -> None:
        spoken = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        make = self._native if self._is_postgres or spoken == _POSTGRESQL else self._http
        protocol = make(transport)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _keep_alive(transport: asyncio.Transport) -> None:
    """PostgreSQL's protocol has no sign of life: TCP asks whether a silent peer is still there, as tunnels do."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(PING_AFTER))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, int(PING_ANSWER) // _PROBES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
