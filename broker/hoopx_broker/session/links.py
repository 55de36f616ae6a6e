"""The broker's ends of the tunnel: one WebSocket that holds a session, and one for each of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from hoopx_broker.session.backend import LINGER_SECONDS
from hoopx_broker.session.pump import Pump
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.tunnel.resume import resume_reading

# One read of the backend is at most 256 KiB; rows that hoopx held back may come as more, and go out in pieces.
MAX_FRAME = 1024 * 1024
# A CLI sends a handful of control messages in a session's life.
MAX_UNREAD = 16
# What a WebSocket close frame has room for, beside its code.
MAX_REASON = 123


class StreamLink(WSListener):
    """Carries the raw bytes of one stream. `open_pump` makes the pump once the tunnel stands."""

    def __init__(self, open_pump: Callable[[StreamLink], Pump]) -> None:
        self._open_pump = open_pump
        self._pump: Pump | None = None
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        try:
            self._pump = self._open_pump(self)
        except HoopxError as error:
            _hang_up(transport, WSCloseCode.POLICY_VIOLATION, error.message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.BINARY | WSMsgType.CONTINUATION:
                if self._pump is not None:
                    self._pump.client_says(frame.get_payload_as_bytes())
            case WSMsgType.PING | WSMsgType.PONG:
                pass
            case WSMsgType.CLOSE:
                self._leave()
                _hang_up(transport, WSCloseCode.OK)
            case _:  # a stream is bytes; whoever sends text is not our CLI
                self._leave()
                _hang_up(transport, WSCloseCode.UNSUPPORTED_DATA)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._leave()

    def _leave(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.client_left()

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
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            resume_reading(self._transport.underlying_transport)

    def close(self) -> None:
        self._pump = None
        if self._transport is not None:
            # A paused transport would not notice that the CLI closes its side.
            self.resume()
            _hang_up(self._transport, WSCloseCode.OK)


class ControlLink(WSListener):
    """Carries the JSON messages of one session. `attend` runs for as long as the link stands, and a little longer."""

    def __init__(self, attend: Callable[[ControlLink], None]) -> None:
        self._attend = attend
        self._transport: WSTransport | None = None
        self._unread: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_UNREAD)
        self.is_gone = False
        self._is_full = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._attend(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT and frame.fin and not self._unread.full():
            self._unread.put_nowait(frame.get_payload_as_bytes())
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            _hang_up(transport, WSCloseCode.OK)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._lose()

    def _lose(self) -> None:
        self.is_gone = True
        if self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(None)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False

    async def receive(self) -> bytes | None:
        """The next message; None when the CLI is gone."""
        if self.is_gone and self._unread.empty():
            return None
        return await self._unread.get()

    def send(self, message: bytes) -> None:
        """A CLI that does not read its events misses them: they must not fill the broker's memory."""
        if self._transport is not None and not self._is_full:
            self._transport.send(WSMsgType.TEXT, message)

    def close(self) -> None:
        if self._transport is not None:
            _hang_up(self._transport, WSCloseCode.OK)

    def give_up(self) -> None:
        """Another link stands in its place: whoever listens here is not kept waiting for the end of this one."""
        self.close()
        self._lose()


def _hang_up(transport: WSTransport, code: WSCloseCode, reason: str = "") -> None:
    """Close after what was sent has gone out; a peer that does not take it is cut off."""
    transport.send_close(code, reason.encode()[:MAX_REASON].decode(errors="ignore"))
    transport.disconnect()
    asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.disconnect, False)  # noqa: FBT003 - not graceful
