"""A stage for the broker's one port: a door on loopback, with what came to it, and peers that say what they like."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.door import Door
from hoopx_broker.tunnel.http import Entrance
from tests.peers.certificates import Authority

HELLO = b"GET /hello HTTP/1.1\r\nHost: broker\r\n\r\n"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Echo(WSListener):
    """Sends back what it hears."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())


class Parrot(asyncio.Protocol):
    """Stands where native clients are attended to, and knows whoever says so."""

    def __init__(self, is_known: Callable[[], None]) -> None:
        self._is_known = is_known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data == b"it is me":
            self._is_known()
        self._transport.write(b"native " + data)  # type: ignore[attr-defined]  # uvloop's are no subclasses

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_known()


class Peer:
    """A client that speaks TLS and whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        """The status of the answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        [length] = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        return int(head.split()[1]), await self.reader.readexactly(int(length))

    async def is_cut(self) -> bool:
        """Wait until the other side closes."""
        try:
            return await self.reader.read() == b""
        except OSError:
            return True

    async def is_cut_while_saying(self, data: bytes) -> bool:
        """Send `data` again and again until the other side closes."""
        while not self.reader.at_eof():
            try:
                await self.say(data)
            except OSError:
                return True
            await asyncio.sleep(0)
        return True

    async def is_cut_while_trickling(self, data: bytes) -> bool:
        """Send `data` again and again, byte by byte, until the other side closes."""
        while not self.reader.at_eof():
            for byte in data:
                try:
                    await self.say(bytes([byte]))
                except OSError:
                    return True
                await asyncio.sleep(0.02)
        return True


class House:
    """A door on a port of the kernel's choice, with what came to it."""

    def __init__(self, directory: Path) -> None:
        self.requests: list[WSUpgradeRequest] = []
        self.failures: list[BaseException] = []
        self.cancelled: list[bytes] = []
        self._peers: list[Peer] = []
        self._directory = directory
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE

    def server_tls(self) -> ssl.SSLContext:
        Authority.make("somebody").write_server(self._directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._directory / "server.pem", self._directory / "server.key")
        return context

    def upgrade(self, request: WSUpgradeRequest, peer: str) -> WSListener | None:
        self.requests.append(request)
        return Echo() if request.path in (b"/v1/stream", b"/v1/session") else None

    def native(self, peer: str, is_known: Callable[[], None]) -> asyncio.Protocol:
        return Parrot(is_known)

    async def cancel(self, key: bytes) -> None:
        self.cancelled.append(key)

    async def connect(self, *, tls: bool = True) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls if tls else None))
        self._peers.append(peer)
        return peer

    def leave(self) -> None:
        for peer in self._peers:
            peer.writer.transport.abort()

    async def upgraded(self, path: bytes = b"/v1/stream") -> Peer:
        peer = await self.connect()
        await peer.say(UPGRADE.replace(b"/v1/stream", path) + b"\r\n")
        assert await peer.status() == 101
        return peer

    async def serves(self) -> None:
        """An honest client is still served."""
        peer = await self.connect()
        await peer.say(HELLO)
        assert await peer.answer() == (200, b"hello")

    port = 0


async def _hello(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("hello")


def play(directory: Path, act: Callable[[House], Awaitable[None]], listening: socket.socket | None = None) -> None:
    async def scene() -> None:
        house = House(directory)
        crew = Crew(lambda _, error: house.failures.append(error))
        app = Starlette(routes=[Route("/hello", _hello, methods=["GET", "POST"])])
        entrance = Entrance(house.upgrade, frozenset({b"/v1/session"}), house.native, house.cancel)
        door = Door(app, entrance, crew)
        bound = listening or socket.create_server(("127.0.0.1", 0))
        house.port = bound.getsockname()[1]
        door.open(bound, house.server_tls())
        try:
            await act(house)
        finally:
            house.leave()
            await door.close()
            await crew.close()

    uvloop.run(scene())  # what the broker runs on
