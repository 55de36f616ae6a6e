"""A transport that was paused amid what TLS has read gives the rest when it is resumed, not when more comes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import aiofastnet
import pytest
import uvloop

from hoopx_broker.tunnel.resume import resume_reading
from tests.peers.certificates import Authority


class Pausing(asyncio.BufferedProtocol):
    """Has a small buffer, as WebSockets have, and pauses at each piece, as a stream does that waits for a ruling."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self._buffer = bytearray(6)
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.heard += self._buffer[:nbytes]
        self.transport.pause_reading()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_tls_has_read_already_comes_when_reading_goes_on(tmp_path: Path, run: Any) -> None:
    async def scene() -> bytes:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.settimeout(0)
        server, client = contexts(tmp_path)
        protocol = Pausing()
        accepted = asyncio.ensure_future(
            aiofastnet.connect_accepted_socket(asyncio.get_running_loop(), lambda: protocol, ours, ssl=server)
        )
        speaker = Speaker(client, theirs)
        await speaker.shake_hands()
        await accepted
        await speaker.say(b"first and second and third")
        for _ in range(6):
            await asyncio.sleep(0.05)
            resume_reading(protocol.transport)
        await asyncio.sleep(0.05)
        protocol.transport.abort()
        theirs.close()
        return bytes(protocol.heard)

    assert run(scene()) == b"first and second and third"


class Speaker:
    """A TLS client."""

    def __init__(self, context: ssl.SSLContext, connection: socket.socket) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    async def shake_hands(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(self._connection, self._outgoing.read())
                self._incoming.write(await loop.sock_recv(self._connection, 65536))
            else:
                await loop.sock_sendall(self._connection, self._outgoing.read())
                return

    async def say(self, *records: bytes) -> None:
        for record in records:
            self._tls.write(record)
        await asyncio.get_running_loop().sock_sendall(self._connection, self._outgoing.read())


def contexts(place: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    cert, key = Authority.make("a test").write_server(place)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client
