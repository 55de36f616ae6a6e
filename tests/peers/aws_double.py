"""A double of AWS's front door, for what moto never says: it answers every call with the one error of its scene."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

from msgspec import Struct


class Door:
    """`calls` is how often it was knocked at."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.calls = 0
        self.answer = Answer("InternalFailure")


class Answer(Struct, frozen=True):
    """An error as AWS writes it, in the Query protocol or in JSON."""

    code: str
    message: str = ""
    status: int = 400
    is_json: bool = False
    hangs: bool = False

    def body(self) -> bytes:
        if self.is_json:
            return f'{{"__type":"com.amazonaws#{self.code}","message":"{self.message}"}}'.encode()
        told = f"<Type>Sender</Type><Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
        return f"<ErrorResponse><Error>{told}</Error><RequestId>1</RequestId></ErrorResponse>".encode()


@contextmanager
def aws_door(tls: ssl.SSLContext | None = None) -> Iterator[Door]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            door.calls += 1
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = door.answer
            if answer.hangs:
                over.wait()
                self.close_connection = True
                return
            body = answer.body()
            self.send_response(answer.status)
            kind = "application/x-amz-json-1.1" if answer.is_json else "text/xml"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    door = Door(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
