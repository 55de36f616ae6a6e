"""The laptop's end of the tunnel: WebSockets over TLS, one that holds a session and one for each of its streams."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Struct
from picows import (
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from hoopx_broker.api.messages import Counts, Ended, Event, Hangup, Keys, Open, Opened, Refusal, Renew, Waiting
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.tunnel.resume import resume_reading

# TCP, TLS and the upgrade are five round trips; a broker that needs longer is as good as down.
HANDSHAKE_SECONDS = 15
# A broker that says nothing for so long is asked for a sign of life, and given up when none comes in the same time.
SILENCE_SECONDS = 15
# The broker sends a stream's bytes as it reads them; a frame beyond this is none of its making.
MAX_STREAM_FRAME = 16 * 1024 * 1024
# Control messages are a few lines of JSON; a session with thousands of masked columns stays far below.
MAX_CONTROL_FRAME = 1024 * 1024
# Events are for people; a broker that sends more of them than anyone reads is slowed down by not being read.
MAX_UNREAD = 256

# Where a session is opened, where it is taken up again, and where its streams are.
SESSION, RESUME, STREAM = "/v1/session", "/v1/session/resume", "/v1/stream"
# Offered in the handshake with a random name behind it, which all connections of a session have in common: a broker of
# several processes finds by it the one that has the session. To any other it means nothing.
WAY = "hoopx-way/"
# Why a stream is over that nobody has closed.
LOST = "the connection to the broker was lost"

FromBroker = Waiting | Opened | Refusal | Keys | Counts | Event | Ended
_decode = msgspec.json.Decoder(FromBroker).decode


class Broker(Struct, frozen=True):
    """Where the broker is (`https://host:port`) and whom to believe there."""

    url: str
    tls: ssl.SSLContext


def named(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, for tunnels that are to reach one process of the broker."""
    context.set_alpn_protocols([WAY + secrets.token_hex(8), "http/1.1"])
    return context


class UpgradeRefused(Exception):
    """The broker answered the upgrade with an ordinary HTTP answer: its status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


class Near(Protocol):
    """What a stream tells its local side."""

    def far_says(self, data: bytes) -> None:
        """Bytes for the local client."""

    def far_is_full(self) -> None:
        """Send nothing more until `far_has_room`."""

    def far_has_room(self) -> None: ...

    def far_ended(self, reason: str) -> None:
        """The stream is over; said once, and nothing is said after it."""


class Stream(WSListener):
    """One connection through the tunnel: raw bytes both ways, each side slowed down to the pace of the other."""

    def __init__(self, near: Near) -> None:
        self._near = near
        self._transport: WSTransport | None = None
        self._reason = LOST

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.BINARY | WSMsgType.CONTINUATION:
                self._near.far_says(frame.get_payload_as_bytes())
            case WSMsgType.CLOSE:
                self._reason = frame.get_close_reason() or ""
                transport.disconnect()
            case WSMsgType.TEXT:
                self._reason = "the broker broke the protocol of the tunnel"
                transport.disconnect()
            case _:
                pass

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._near.far_ended(self._reason)

    def pause_writing(self) -> None:
        self._near.far_is_full()

    def resume_writing(self) -> None:
        self._near.far_has_room()

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.BINARY, data)

    def stop_reading(self) -> None:
        """The local client does not keep up: let the bytes wait in the broker."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def go_on_reading(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            resume_reading(self._transport.underlying_transport)

    def close(self) -> None:
        """End the stream after what was sent has gone out."""
        if self._transport is not None:
            self._transport.disconnect()


class Control(WSListener):
    """The WebSocket that lives as long as its session."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[FromBroker | None] = asyncio.Queue()
        self._transport: WSTransport | None = None
        self._is_slowed = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT if frame.fin:
                self._take(transport, frame.get_payload_as_bytes())
            case WSMsgType.PING | WSMsgType.PONG:
                pass
            case _:
                transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._heard.put_nowait(None)

    def _take(self, transport: WSTransport, text: bytes) -> None:
        try:
            self._heard.put_nowait(_decode(text))
        except msgspec.DecodeError:
            transport.disconnect()
            return
        if self._heard.qsize() >= MAX_UNREAD and not self._is_slowed:
            self._is_slowed = True
            transport.underlying_transport.pause_reading()

    async def hear(self) -> FromBroker | None:
        """The next message; None when the broker is gone, or stopped making sense."""
        message = await self._heard.get()
        if message is None:
            self._heard.put_nowait(None)
        elif self._is_slowed and self._heard.empty() and self._transport is not None:
            self._is_slowed = False
            resume_reading(self._transport.underlying_transport)
        return message

    def say(self, message: Open | Renew | Hangup) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, msgspec.json.encode(message))

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.disconnect()
            await self._transport.wait_disconnected()


async def open_control(broker: Broker, headers: Mapping[str, str]) -> Control:
    """`headers` say who opens the session. Raises `OSError`, `UpgradeRefused` or `Unreachable`."""
    control = Control()
    # The control channel is never held back for long, so silence on it means that the broker is gone. Streams are
    # not asked: a broker that waits for an approval does not read them, and would seem dead.
    await _connect(broker, SESSION, headers, control, MAX_CONTROL_FRAME, watch=True)
    return control


async def resume_control(broker: Broker, headers: Mapping[str, str]) -> Control:
    """As `open_control`, of a session that is open: `headers` carry its grant."""
    control = Control()
    await _connect(broker, RESUME, headers, control, MAX_CONTROL_FRAME, watch=True)
    return control


async def open_stream(broker: Broker, headers: Mapping[str, str], near: Near) -> Stream:
    """`headers` carry the session's grant. Raises `OSError`, `UpgradeRefused` or `Unreachable`."""
    stream = Stream(near)
    await _connect(broker, STREAM, headers, stream, MAX_STREAM_FRAME, watch=False)
    return stream


async def _connect(
    broker: Broker, path: str, headers: Mapping[str, str], listener: WSListener, limit: int, *, watch: bool
) -> None:
    url = "wss" + broker.url.removeprefix("https") + path
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await ws_connect(
                lambda: listener,
                url,
                ssl_context=broker.tls,
                websocket_handshake_timeout=HANDSHAKE_SECONDS,
                enable_auto_ping=watch,
                auto_ping_idle_timeout=SILENCE_SECONDS,
                auto_ping_reply_timeout=SILENCE_SECONDS,
                max_frame_size=limit,
                extra_headers=dict(headers),
                # A redirect would carry the token to another place.
                max_redirects=0,
                logger_name="hoopx",
            )
    except WSHandshakeError as error:
        if error.response is None:
            raise _not_a_broker(broker) from None
        raise UpgradeRefused(int(error.response.status), bytes(error.raw_body or b"")) from None
    except WSError:
        raise _not_a_broker(broker) from None


def _not_a_broker(broker: Broker) -> Unreachable:
    message = f"what answers at {broker.url} does not open a tunnel"
    return Unreachable(message, "check the address, and that a proxy on the way passes WebSockets")
