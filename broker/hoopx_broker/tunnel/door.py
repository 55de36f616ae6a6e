"""The broker's one port: TLS first, then HTTP for API and pages, or a WebSocket for tunnels."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import aiofastnet
from uvicorn.config import Config
from uvicorn.server import ServerState

from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.http import HANDSHAKE_SECONDS, Entrance, HttpConnection
from hoopx_broker.tunnel.strangers import Strangers

# Idle HTTP connections are closed after this many seconds.
KEEP_ALIVE_SECONDS = 30
# Connections that speak HTTP, long polls included; a tunnel is none of them.
MAX_HTTP = 1_000
# Accepted in one go before other work has its turn.
ACCEPT_AT_ONCE = 64
# When the process has no descriptor left: until some connections have ended.
ACCEPT_AGAIN_SECONDS = 0.5


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

    def open(self, listening: socket.socket, tls: ssl.SSLContext) -> None:
        """Serve on a socket that listens already."""
        listening.settimeout(0)
        self._listening, self._tls = listening, tls
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
            connection.settimeout(0)
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
        """Shake hands by TLS. Who cannot is nobody to tell anything to."""
        try:
            await aiofastnet.connect_accepted_socket(
                asyncio.get_running_loop(),
                lambda: HttpConnection(self._config, self._state, self._entrance, self._strangers),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError:
            connection.close()
        except BaseException:
            connection.close()
            raise
