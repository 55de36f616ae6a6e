"""A pipe of bytes, without a look inside: what a hop costs at the least.

`python -m benchmarks.pipe uvloop PORT` is one hop, on that loop as it is; `asyncio PORT` is the same on Python's own.
`near PORT CA` and `far PORT CA CERTIFICATE KEY` are two with TLS between them and TLS to the server, as laptop and
broker are, on the same loop and TLS as those. Each prints the port on which it listens.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import aiofastnet
import uvloop

from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import message

HOST = "127.0.0.1"
# libpq leaves when a server offers channel binding where it sees no TLS.
_OFFER = message(frames.AUTHENTICATION, b"\0\0\0\nSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
_WITHOUT_BINDING = message(frames.AUTHENTICATION, b"\0\0\0\nSCRAM-SHA-256\0\0")


class _End(asyncio.Protocol):
    """One side; what comes before the other side stands waits for it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def join(self, other: _End) -> None:
        self.other, other.other = other, self
        early, self._early = b"".join(self._early), []
        if early:
            self.data_received(early)


class _Door(_End):
    """Meets a client, and connects onward for it."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe
        self._joining: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._joining = asyncio.get_running_loop().create_task(self._join())

    async def _join(self) -> None:
        self.join(await self._pipe.onward())


class _Server(_End):
    """The side of the server behind TLS: the client, which has none, is not offered what depends on it."""

    _is_offered = False

    def data_received(self, data: bytes) -> None:
        if not self._is_offered:
            self._is_offered, data = True, data.replace(_OFFER, _WITHOUT_BINDING)
        super().data_received(data)


class Pipe:
    def __init__(self, kind: str, port: int, *files: str) -> None:
        self._kind = kind
        self._port = port
        self._trusted = ssl.create_default_context(cafile=files[0]) if files else None
        self._own: ssl.SSLContext | None = None
        if kind == "far":
            self._own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._own.load_cert_chain(*files[1:])

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        if self._kind in ("near", "far"):
            aiofastnet.patch_loop(loop)
        server = await loop.create_server(lambda: _Door(self), HOST, 0, ssl=self._own)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    async def onward(self) -> _End:
        if self._kind == "far":
            return await self._to_server()
        loop, end = asyncio.get_running_loop(), _End()
        await loop.create_connection(lambda: end, HOST, self._port, ssl=self._trusted)
        return end

    async def _to_server(self) -> _End:
        loop, end, answered = asyncio.get_running_loop(), _Server(), _Answer()
        plain, _ = await loop.create_connection(lambda: answered, HOST, self._port)
        plain.write(messages.SSL_REQUEST)
        await answered.here.wait()
        assert self._trusted is not None
        end.transport = await loop.start_tls(plain, end, self._trusted, server_hostname=HOST)
        return end


class _Answer(asyncio.Protocol):
    """Waits for the server's word that it speaks TLS."""

    def __init__(self) -> None:
        self.here = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        assert data == b"S", data
        self.here.set()


if __name__ == "__main__":
    run = asyncio.run if sys.argv[1] == "asyncio" else uvloop.run
    run(Pipe(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]).serve())
