"""The broker's ends of the tunnel: one WebSocket that holds a session, and one for each of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from hoopx_broker.session.pump import Pump

# One read of the backend is at most 256 KiB; rows that hoopx held back may come as more, and go out in pieces.
MAX_FRAME = 1024 * 1024
# A CLI sends a handful of control messages in a session's life.
MAX_UNREAD = 16


class StreamLink(WSListener):
    """Carries the raw bytes of one stream. `open_pump` makes the pump once the tunnel stands."""

    def __init__(self, open_pump: Callable[[StreamLink], Pump]) -> None:
        self._open_pump = open_pump
        self._pump: Pump | None = None
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._pump = self._open_pump(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.BINARY, WSMsgType.CONTINUATION):
            if self._pump is not None:
                self._pump.client_says(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._pump is not None:
            self._pump.client_left()

    def pause_writing(self) -> None:
        if self._pump is not None:
            self._pump.client_is_full()

    def resume_writing(self) -> None:
        if self._pump is not None:
            self._pump.client_has_room()

    def send(self, data: bytes) -> None:
        if self._transport is None:
            return
        if len(data) <= MAX_FRAME:
            self._transport.send(WSMsgType.BINARY, data)
            return
        view = memoryview(data)
        for start in range(0, len(data), MAX_FRAME):
            self._transport.send(WSMsgType.BINARY, view[start : start + MAX_FRAME])

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()


class ControlLink(WSListener):
    """Carries the JSON messages of one session. `attend` runs for as long as the link stands, and a little longer."""

    def __init__(self, attend: Callable[[ControlLink], None]) -> None:
        self._attend = attend
        self._transport: WSTransport | None = None
        self._unread: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_UNREAD)
        self._is_gone = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._attend(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT and not self._unread.full():
            self._unread.put_nowait(frame.get_payload_as_bytes())
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._is_gone = True
        if self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(None)

    async def receive(self) -> bytes | None:
        """The next message; None when the CLI is gone."""
        if self._is_gone and self._unread.empty():
            return None
        return await self._unread.get()

    def send(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, message)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
