"""A web server over TLS that keeps what it is sent, and answers as it is told to."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from msgspec import Struct

from tests.peers.certificates import Authority


class Got(Struct, frozen=True):
    """A request as it came. Names of `headers` are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Answered(Struct, frozen=True):
    status: int = 204
    headers: dict[str, str] = {}
    body: bytes = b""


class Receiver:
    """Answers come from `answers` in turn, then from `otherwise`."""

    def __init__(self, url: str, ca: Path) -> None:
        self.url = url
        self.ca = ca
        self.clear()

    def clear(self) -> None:
        self.got: list[Got] = []
        self.answers: list[Answered] = []
        self.otherwise: Callable[[Got], Answered] = lambda _: Answered()

    def answer(self, got: Got) -> Answered:
        self.got.append(got)
        return self.answers.pop(0) if self.answers else self.otherwise(got)


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    authority = Authority.make("receiver")
    ca = authority.write(folder / "receiver-ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.write_server(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    there = Receiver(f"https://localhost:{server.server_address[1]}", ca)
    server.RequestHandlerClass = _handler(there)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(there: Receiver) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = there.answer(Got(self.path, headers, body))
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            return

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # a client that does not believe the certificate goes away in the handshake

    return Handler
