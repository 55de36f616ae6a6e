"""Run a client whose simple queries go out by the extended protocol: psql speaks that only where a script asks for it.

`python -m tests.regress.extended COMMAND…` starts COMMAND with PGHOST and PGPORT naming a relay. It makes Parse, Bind,
Describe, Execute and Sync of each Query and takes their own answers out again. COPY and several statements in one Query
have no such form and stay as they are.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from hoopx_broker.policy.facts.grammar import statements
from hoopx_broker.policy.facts.guards import Refused

TLS_REQUESTS = {80877103, 80877104}  # SSLRequest and GSSENCRequest
# ParseComplete, BindComplete, NoData: what a client that sent a Query does not expect.
UNASKED = b"12n"


def main() -> int:
    relay = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(relay,), daemon=True).start()
    here = {"PGHOST": "127.0.0.1", "PGPORT": str(relay.getsockname()[1]), "PGSSLMODE": "disable"}
    return subprocess.run(sys.argv[1:], env=os.environ | here, check=False).returncode


def _accept(relay: socket.socket) -> None:
    while True:
        client, _ = relay.accept()
        threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    """Until one of the two goes; then so does the other."""
    changed: deque[bool] = deque()  # of each exchange that the server has not finished: was its Query changed?
    with client, socket.create_connection((os.environ["PGHOST"], int(os.environ["PGPORT"]))) as server:
        for peer in (client, server):  # else each of many small messages waits for the one before to be confirmed
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.sendall(_start(client))
        threading.Thread(target=_to_server, args=(client, server, changed), daemon=True).start()
        for kind, body in _messages(server):
            if not (kind in UNASKED and changed and changed[0]):
                client.sendall(kind + _sized(body))
            if kind == b"Z" and changed:  # none at the login
                changed.popleft()


def _start(client: socket.socket) -> bytes:
    """The start-up packet, which has no kind; TLS is not to be had here."""
    while True:
        packet = _exactly(client, int.from_bytes(_exactly(client, 4), "big") - 4)
        if int.from_bytes(packet[:4], "big") not in TLS_REQUESTS:
            return _sized(packet)
        client.sendall(b"N")


def _to_server(client: socket.socket, server: socket.socket, changed: deque[bool]) -> None:
    for kind, body in _messages(client):
        is_changed = kind == b"Q" and is_single(body[:-1])
        if kind in b"QSF":
            changed.append(is_changed)
        server.sendall(extended(body) if is_changed else kind + _sized(body))
    with suppress(OSError):  # the server was the first to go
        server.shutdown(socket.SHUT_RDWR)


def is_single(text: bytes) -> bool:
    """May it go by the extended protocol? What is no statement may: the server complains of it there too."""
    try:
        found = statements(text)
    except Refused:
        return True
    return len(found) <= 1 and not any("CopyStmt" in node for _, node in found)


def extended(text: bytes) -> bytes:
    """The messages that a Query of this text (with its zero byte) amounts to: no parameters, all results as text."""
    parts = (b"P", b"\0" + text + b"\0\0"), (b"B", bytes(8)), (b"D", b"P\0"), (b"E", bytes(5)), (b"S", b"")
    return b"".join(kind + _sized(body) for kind, body in parts)


def _messages(peer: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Each message until the peer goes."""
    while True:
        try:
            head = _exactly(peer, 5)
            yield head[:1], _exactly(peer, int.from_bytes(head[1:], "big") - 4)
        except (EOFError, OSError):  # closed by the other direction, perhaps
            return


def _exactly(peer: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        if not (more := peer.recv(count - len(found))):
            raise EOFError
        found += more
    return bytes(found)


def _sized(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


if __name__ == "__main__":
    sys.exit(main())
