"""A double of a witness: `POST /add-checkpoint` as c2sp.org/tlog-witness has it, with each MUST of its server.

It is no witness: it forgets everything when it ends.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.cosignatures import COSIGNATURE, cosign
from hoopx_broker.tlog.failures import BadNote, BadProof
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.proofs import check_consistency
from hoopx_broker.tlog.tree import EMPTY

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_PLAIN = "text/plain; charset=utf-8"


class Answer(Exception):
    def __init__(self, status: int, body: str, kind: str = _PLAIN) -> None:
        super().__init__(status, body)
        self.status, self.body, self.kind = status, body.encode(), kind


class WitnessDouble:
    """It knows the logs that it was told of, each with keys and the newest checkpoint that it cosigned."""

    name = "double.test/w1"

    def __init__(self, url: str, private: Ed25519PrivateKey) -> None:
        self.url = url
        self.key = str(Verifier(self.name, private.public_key().public_bytes_raw(), COSIGNATURE))
        self._private = private
        self._keys: dict[str, list[Verifier]] = {}
        self._seen: dict[str, Checkpoint] = {}
        self._lock = Lock()

    def trust(self, origin: str, vkey: str) -> None:
        self._keys.setdefault(origin, []).append(Verifier.parse(vkey))

    def distrust(self, origin: str, vkey: str) -> None:
        self._keys[origin].remove(Verifier.parse(vkey))

    def size(self, origin: str) -> int:
        return self._seen[origin].size if origin in self._seen else 0

    def has_seen(self, head: Checkpoint) -> None:
        """From somebody else who signs a log by that name."""
        self._seen[head.origin] = head

    def seen(self, origin: str) -> Checkpoint:
        return self._seen[origin]

    def answer(self, body: bytes) -> Answer:
        """Checking and keeping is one step, as the specification wants it."""
        try:
            with self._lock:
                return self._answer(body)
        except Answer as refusal:
            return refusal

    def _answer(self, body: bytes) -> Answer:
        old, proof, note = _parsed(body)
        head = self._opened(note)
        if old > head.size:
            raise Answer(400, "the old size is larger than the checkpoint\n")
        before = self._seen.get(head.origin, Checkpoint(head.origin, 0, EMPTY))
        if old != before.size:
            raise Answer(409, f"{before.size}\n", "text/x.tlog.size")
        if old == head.size and before.root != head.root:
            raise Answer(409, f"{before.size}\n", "text/x.tlog.size")
        try:
            check_consistency(old, head.size, before.root, head.root, proof)
        except BadProof:
            raise Answer(422, "bad consistency proof\n") from None
        self._seen[head.origin] = head
        return Answer(200, cosign(note, self.name, self._private, int(time.time())))

    def _opened(self, note: str) -> Checkpoint:
        origin = note.partition("\n")[0]
        keys = self._keys.get(origin)
        if not keys:
            raise Answer(404, "unknown log\n")
        try:
            return open_checkpoint(note, keys, origin)[0]
        except BadNote:
            raise Answer(403, "invalid signature\n") from None


def _parsed(body: bytes) -> tuple[int, list[bytes], str]:
    try:
        head, gap, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Answer(400, "no text\n") from None
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if not gap or old is None or len(lines) > 63:
        raise Answer(400, "invalid input\n")
    return int(old[1]), [_hash(line) for line in lines], note


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise Answer(400, "invalid input\n")
    return found


@contextmanager
def double(seed: int = 7) -> Iterator[WitnessDouble]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    there = WitnessDouble(f"http://127.0.0.1:{server.server_address[1]}", private)
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


def _handler(there: WitnessDouble) -> Any:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # clients keep their connections

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            known = self.path == "/add-checkpoint"
            answer = there.answer(body) if known else Answer(404, "404 page not found\n")
            self.send_response(answer.status)
            self.send_header("content-type", answer.kind)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            return

    return Handler
