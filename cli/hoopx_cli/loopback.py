"""Wait on a port of this machine for the one redirect that ends a login in a browser (RFC 8252 section 7.3)."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import BoundedSemaphore, Thread
from urllib.parse import parse_qsl, urlsplit

from hoopx_cli.callers import user_of

HOST, PATH = "127.0.0.1", "/callback"
MAX_ADDRESS = 16_384  # characters of a request's address; codes take some hundred, Microsoft's some thousand
MAX_FIELDS = 32
CONNECTION_SECONDS = 5.0  # a browser sends its request at once; its idle spare connections may go
MAX_CONNECTIONS = 64  # browsers open a handful; whoever opens more only waits

_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>hoopx</title>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_DONE = "Back to the terminal", "hoopx has got its answer. You can close this page."
_FAILED = "Not logged in", "The terminal says why. You can close this page."
_FOREIGN = "Nothing here", "This address only waits for the end of a login, of the user who began it."
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address of the page holds the code
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class Listener:
    """Takes the one request that knows `state`. Any other is told off and changes nothing."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.redirect_uri = f"http://{HOST}:{server.server_port}{PATH}"

    def wait(self, seconds: float) -> dict[str, str] | None:
        """What the provider sent by the browser; None when nobody came in time."""
        try:
            return self._server.came.get(timeout=seconds)
        except queue.Empty:
            return None


@contextmanager
def listening(state: str) -> Iterator[Listener]:
    """On a port of the kernel's choice, until the end of the block."""
    server = _Server(state)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Listener(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False
    request_queue_size = 2 * MAX_CONNECTIONS  # a burst waits here instead of being dropped

    def __init__(self, state: str) -> None:
        self.state = state
        self.came: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._room = BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((HOST, 0), _Handler)

    def verify_request(self, request: object, client_address: object) -> bool:
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is its client's affair; the terminal belongs to the person who logs in."""


class _Handler(BaseHTTPRequestHandler):
    timeout = CONNECTION_SECONDS
    server: _Server
    server_version, sys_version = "hoopx", ""

    def do_GET(self) -> None:
        said = self._said()
        if said is None:
            self._show(404, *_FOREIGN)
            return
        self._show(200, *(_DONE if "code" in said else _FAILED))
        self.server.came.put(said)

    def _said(self) -> dict[str, str] | None:
        """The fields of the provider's answer; None for a request that does not come from this login.

        The host is compared because any page may send a browser here under a name of its own. The user is, because
        other users of this machine can see with which address, and so with which `state`, a browser was started.
        """
        if user_of(self.client_address, (HOST, self.server.server_port)) not in (None, os.getuid()):
            return None
        parts = urlsplit(self.path)
        if self.headers.get("Host") != f"{HOST}:{self.server.server_port}" or parts.path != PATH:
            return None
        if len(self.path) > MAX_ADDRESS:
            return None
        try:
            pairs = parse_qsl(parts.query, max_num_fields=MAX_FIELDS)
        except ValueError:
            return None
        said = dict(pairs)
        is_ours = len(said) == len(pairs) and compare_digest(said.get("state", "").encode(), self.server.state.encode())
        return said if is_ours and ("code" in said or "error" in said) else None

    def _show(self, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        for name, value in (*_HEADERS.items(), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is logged: addresses hold codes."""
