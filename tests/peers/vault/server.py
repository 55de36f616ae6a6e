"""The HTTP of the double, by TLS of its own authority, and the faults that a test may put before it."""

from __future__ import annotations

import json
import ssl
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from tests.peers.vault.answers import Answer, Json, Refused, Request
from tests.peers.vault.core import Core

OPERATIONS = {"GET": "read", "HEAD": "read", "LIST": "list", "POST": "update", "PUT": "update", "DELETE": "delete"}
ENDINGS = ("sys/leases/revoke", "sys/revoke", "auth/token/revoke")  # what a liar says yes to
LONGEST_BODY = 32 << 20  # bytes; Vault's own limit


class Faults(Struct):
    """What goes wrong from outside: set by the test, seen by the next request whose path begins with `path`."""

    path: str = ""
    seconds: float = 0.0  # how late each answer is
    status: int = 0
    times: int = 0
    lies: bool = False  # says that it revoked, and did not

    def meet(self, path: str) -> Answer | None:
        """Wait, refuse, lie, or let pass."""
        if not path.startswith(self.path):
            return None
        if self.seconds:
            time.sleep(self.seconds)
        if self.times > 0:
            self.times -= 1
            raise Refused(self.status, "rate limit quota exceeded" if self.status == 429 else "internal error")
        if self.lies and path.startswith(ENDINGS):
            return Answer(status=204)
        return None


class Front:
    """The server's socket; `url` once it is there."""

    def __init__(self, core: Core, certificate: Path, key: Path, port: int) -> None:
        self.faults = Faults()
        handler = type("Handler", (Handler,), {"core": core, "front": self})
        self._server = _Server(("127.0.0.1", port), handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that break off or do not trust us are no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    core: ClassVar[Core]
    front: ClassVar[Front]

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_LIST = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the audit log tells."""

    def _serve(self) -> None:
        try:
            status, body = self._answer()
        except Refused as refused:
            status, body = refused.status, json.dumps({"errors": refused.errors}).encode()
        except Exception:  # a fault of the double's own: visible in its log, and no good answer
            traceback.print_exc()
            status, body = 500, json.dumps({"errors": ["internal error"]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self) -> tuple[int, bytes]:
        request = self._request()
        answer = self.front.faults.meet(request.path) or self.core.answer(request)
        if answer.text is not None:
            return answer.status, answer.text.encode()
        if answer.status == 204 or answer.status == 202:
            return answer.status, b""
        if request.path in ("sys/health", "sys/seal-status", "sys/unseal"):
            sealed = request.path == "sys/health" and self.core.state.sealed
            return int(request.query.get("sealedcode", 503)) if sealed else 200, json.dumps(answer.flat).encode()
        return answer.status, json.dumps(answer.envelope(request.id)).encode()

    def _request(self) -> Request:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST_BODY:
            raise Refused(413, "request body too large")
        raw = self.rfile.read(length)
        if "X-Vault-Wrap-TTL" in self.headers:
            raise Refused(400, "the double wraps no answers")
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if self.command not in OPERATIONS or not parts.path.startswith("/v1/"):
            raise Refused(404 if self.command in OPERATIONS else 405)
        listing = self.command == "GET" and query.get("list") == "true"
        bearer = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        namespace = (self.headers.get("X-Vault-Namespace") or "").strip("/")
        return Request(
            operation="list" if listing else OPERATIONS[self.command],
            path=unquote(parts.path[4:]).rstrip("/"),
            body=_read(raw),
            query=query,
            token=self.headers.get("X-Vault-Token") or bearer or None,
            namespace=f"{namespace}/" if namespace else "",
            remote=self.client_address[0],
        )


def _read(raw: bytes) -> Json:
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError as problem:
        raise Refused(400, f"failed to decode JSON input: {problem}") from problem
    if not isinstance(body, dict):
        raise Refused(400, "failed to decode JSON input: json: cannot unmarshal array into Go value of type map")
    return body
