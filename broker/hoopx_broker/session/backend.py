"""A stream's connection to its server: what is sent before it stands waits, and its end is never waited for long."""

from __future__ import annotations

import asyncio
from typing import Protocol

from hoopx_broker.session import upstream
from hoopx_broker.terms.targets import Target

# What was sent last may take this long to go out to a peer that does not read; then the connection is cut.
LINGER_SECONDS = 10.0


class Hearer(Protocol):
    """Whoever hears what the server says."""

    def backend_says(self, data: bytes) -> None: ...
    def backend_is_full(self) -> None: ...
    def backend_has_room(self) -> None: ...
    def backend_left(self) -> None: ...


class Backend(asyncio.Protocol):
    """All methods are called on the event loop's thread."""

    def __init__(self, target: Target, hearer: Hearer) -> None:
        self._target = target
        self._hearer = hearer
        self._transport: asyncio.Transport | None = None
        self._securing: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._paused = False
        self._done = False

    async def open(self) -> None:
        """Raises `OSError` or `TimeoutError`."""
        self._stands(await upstream.connect(self._target, self))

    async def secure(self) -> bytes | None:
        """Start TLS; gives the data for channel binding. Raises `OSError` or `TimeoutError`.

        From here until TLS stands, what is sent waits, and what the server says in the clear is an error of TLS.
        """
        plain, self._transport = self._transport, None
        if plain is None:
            raise ConnectionResetError("the connection was closed before TLS began")
        self._securing = plain
        try:
            secured = await upstream.start_tls(self._target, plain, self)
        finally:
            self._securing = None
        self._stands(secured)
        return upstream.channel_binding(secured)

    def _stands(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if self._done:
            transport.abort()
            return
        if self._paused:
            transport.pause_reading()
        early, self._early = b"".join(self._early), []
        if early:
            transport.write(early)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """After what was sent has gone out; in the middle of a handshake, at once."""
        self._done = True
        if self._securing is not None:
            self._securing.abort()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    # What asyncio calls.

    def data_received(self, data: bytes) -> None:
        self._hearer.backend_says(data)

    def pause_writing(self) -> None:
        self._hearer.backend_is_full()

    def resume_writing(self) -> None:
        self._hearer.backend_has_room()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._done = True
            self._hearer.backend_left()
