"""A double of the broker's tunnel: real TLS and WebSockets, a script instead of policy, and a PostgreSQL of one table.

It stands in where a test needs a broker that misbehaves, or must see what the laptop sends.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from hoopx_broker.api.messages import Counts, Ended, Event, Hangup, Open, Opened, Refusal, Waiting
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Framer, message
from hoopx_cli.trust import fingerprint_of
from tests.peers.certificates import Authority

Said = Waiting | Opened | Refusal | Counts | Event | Ended
TOKEN, GRANT = "a-token", "a-grant"
ROW = b"x" * 1000


def opened(target: str = "prod-db", grace: int = 0) -> Opened:
    return Opened("s_0000000000000000", GRANT, target, "postgres", "app", 4_000_000_000, grace=grace)


class BrokerDouble:
    """`answers` is what it says to each `Open`; what it heard is kept."""

    def __init__(self, folder: Path) -> None:
        certificate, key = Authority.make("double").write_server(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.fingerprint = fingerprint_of(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
        self.answers: Callable[[Open], list[Said]] = lambda order: [opened(order.target)]
        self.orders: list[Open] = []
        self.hangups = 0
        self.bearers: list[str] = []
        self.startups: list[bytes] = []
        self.queries: list[bytes] = []
        self.live: list[_Live] = []
        self.refuses_streams = False
        self.has_forgotten = False
        self.returns = 0
        self.url = ""
        self.loop = asyncio.new_event_loop()

    @contextmanager
    def running(self) -> Iterator[BrokerDouble]:
        ready = threading.Event()
        thread = threading.Thread(target=self._run, args=(ready,))
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self._over.set)
            thread.join(10)
            assert not thread.is_alive()

    def end_sessions(self, reason: str) -> None:
        """As a broker does after `hoopx sessions kill`."""
        self._each(lambda live: live.say(Ended(reason)))

    def say(self, said: Said) -> None:
        """To every session that is open, or being opened."""
        self._each(lambda live: live.say(said))

    def say_to(self, target: str, said: Said) -> None:
        """To the session with that target alone."""
        self._each(lambda live: live.say(said) if live.target == target else None)

    def vanish(self) -> None:
        """As a broker that is killed: connections just end."""
        self._each(_Live.cut)

    def _each(self, act: Callable[[_Live], None]) -> None:
        def all_of_them() -> None:
            for live in list(self.live):
                act(live)

        self.loop.call_soon_threadsafe(all_of_them)

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        # Clients that do not trust the double break off their handshakes: that is the scene, not an error.
        self.loop.set_exception_handler(lambda loop, context: None)
        server = await ws_create_server(self._route, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._over.wait()
        server.close()
        for live in self.live:
            live.cut()
        # One turn for the connections that just ended.
        await asyncio.sleep(0.05)

    def _route(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        bearer = request.headers.get("Authorization", "")
        self.bearers.append(bearer)
        if request.path == b"/v1/session" and bearer == f"Bearer {TOKEN}":
            return _ControlEnd(self)
        if request.path == b"/v1/session/resume" and bearer == f"DPoP {GRANT}" and not self.has_forgotten:
            return _ControlEnd(self, comes_back=True)
        if request.path == b"/v1/stream" and bearer == f"DPoP {GRANT}" and not self.refuses_streams:
            return _StreamEnd(self)
        refusal = {"error": Refusal("this token has expired", "log in with `hoopx login`", 11)}
        answer = WSUpgradeResponse.create_error_response(401, msgspec.json.encode(refusal))
        return WSUpgradeResponseWithListener(answer, None)


class _Live(WSListener):
    def __init__(self, double: BrokerDouble) -> None:
        self.double = double
        self.transport: WSTransport | None = None
        self.target = ""  # of a control connection, once it has ordered

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.double.live.append(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.double.live.remove(self)

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.disconnect(graceful=False)

    def say(self, said: Said) -> None:
        """Nothing on a stream."""


class _ControlEnd(_Live):
    def __init__(self, double: BrokerDouble, *, comes_back: bool = False) -> None:
        super().__init__(double)
        self._comes_back = comes_back

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        if self._comes_back:
            self.double.returns += 1
            self.say(self.double.answers(self.double.orders[-1])[-1])

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        match msgspec.json.decode(frame.get_payload_as_bytes(), type=Open | Hangup):
            case Open() as order:
                self.target = order.target
                self.double.orders.append(order)
                for said in self.double.answers(order):
                    self.say(said)
            case Hangup():
                self.double.hangups += 1
                self.say(Ended("hung up"))

    def say(self, said: Said) -> None:
        if self.transport is not None and not self.transport.is_disconnected:
            self.transport.send(WSMsgType.TEXT, msgspec.json.encode(said))


class _StreamEnd(_Live):
    """A PostgreSQL that answers every query with one row: the query. `flood N` gives N rows of a kilobyte."""

    def __init__(self, double: BrokerDouble) -> None:
        super().__init__(double)
        self._framer = Framer(Side.CLIENT)
        self._rows_left = 0
        self._is_full = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.BINARY:
            return
        for each in self._framer.feed(frame.get_payload_as_bytes()):
            self._take(transport, each)

    def _take(self, transport: WSTransport, frame: frames.Frame) -> None:
        match frame.kind:
            case frames.STARTUP:
                self.double.startups.append(frame.data)
                if int.from_bytes(frame.data[4:8], "big") == messages.CANCEL_REQUEST_CODE:
                    transport.disconnect()
                else:
                    transport.send(WSMsgType.BINARY, _WELCOME)
            case frames.QUERY:
                self._query(transport, messages.query_text(frame))
            case frames.TERMINATE:
                transport.disconnect()
            case _:
                transport.send(WSMsgType.BINARY, messages.error("ERROR", "0A000", "not in this double"))

    def _query(self, transport: WSTransport, text: bytes) -> None:
        self.double.queries.append(text)
        transport.send(WSMsgType.BINARY, _COLUMN)
        if text.startswith(b"flood "):
            self._rows_left = int(text[6:])
            # Not from here: while picows hands out frames, it does not say that its buffer is full.
            self.double.loop.call_soon(self._flow)
        else:
            transport.send(WSMsgType.BINARY, _row(text) + _END)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self.double.loop.call_soon(self._flow)

    def _flow(self) -> None:
        assert self.transport is not None
        while self._rows_left and not self._is_full and not self.transport.is_disconnected:
            self._rows_left -= 1
            self.transport.send(WSMsgType.BINARY, _row(ROW) + (b"" if self._rows_left else _END))


def _row(text: bytes) -> bytes:
    return message(frames.DATA_ROW, b"\0\1" + len(text).to_bytes(4, "big") + text)


_READY = message(frames.READY, b"I")
_WELCOME = (
    message(frames.AUTHENTICATION, bytes(4))
    + message(frames.PARAMETER_STATUS, b"server_version\x0015.0\0")
    + message(frames.PARAMETER_STATUS, b"client_encoding\0UTF8\0")
    + message(frames.PARAMETER_STATUS, b"standard_conforming_strings\0on\0")
    + message(frames.KEY_DATA, b"\0\0\0\7\0\0\0\x2a")
    + _READY
)
_COLUMN = message(
    frames.ROW_DESCRIPTION,
    b"\0\1said\0" + bytes(6) + (25).to_bytes(4, "big") + b"\xff\xff" + b"\xff\xff\xff\xff" + b"\0\0",
)
_END = message(frames.COMMAND_COMPLETE, b"SELECT 1\0") + _READY
