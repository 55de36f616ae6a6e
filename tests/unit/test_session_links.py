"""The broker's ends of the tunnel, and who is let through them: real WebSockets on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from hoopx_broker.session.links import MAX_UNREAD, ControlLink, StreamLink
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.pump import Pump
from hoopx_broker.terms.errors import Denied, Unreachable


class Client(WSListener):
    """The other end; it keeps what it heard."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.closing: tuple[WSCloseCode, str | None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.closing = (frame.get_close_code(), frame.get_close_reason())
        elif frame.msg_type is WSMsgType.TEXT:
            self.texts.append(frame.get_payload_as_bytes())


class Drain:
    """Stands in the place of a pump and counts."""

    def __init__(self) -> None:
        self.heard = b""
        self.left = 0

    def client_says(self, data: bytes) -> None:
        self.heard += data

    def client_left(self) -> None:
        self.left += 1


def play(listener: WSListener, act: Callable[[WSTransport, Client], Awaitable[None]]) -> None:
    async def scene() -> None:
        server = await ws_create_server(lambda _: listener, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, client = await ws_connect(Client, f"ws://127.0.0.1:{port}/")
        assert isinstance(client, Client)
        try:
            await act(transport, client)
        finally:
            transport.disconnect()
            await transport.wait_disconnected()
            server.close()

    uvloop.run(scene())


def _stream(drain: Drain) -> StreamLink:
    return StreamLink(lambda _: drain)  # type: ignore[arg-type,return-value]  # what a link needs of a pump


def test_bytes_reach_the_pump_however_they_are_framed() -> None:
    drain = Drain()

    async def act(transport: WSTransport, client: Client) -> None:
        transport.send(WSMsgType.BINARY, b"one", fin=False)
        transport.send_ping(b"hello")
        transport.send(WSMsgType.CONTINUATION, b"two")
        transport.send_close(WSCloseCode.OK)
        await transport.wait_disconnected()
        assert (drain.heard, drain.left) == (b"onetwo", 1)

    play(_stream(drain), act)


def test_text_on_a_stream_ends_it_and_never_reaches_the_pump() -> None:
    drain = Drain()

    async def act(transport: WSTransport, client: Client) -> None:
        transport.send(WSMsgType.TEXT, b"drop table orders")
        transport.send(WSMsgType.BINARY, b"drop table orders")
        await transport.wait_disconnected()
        assert (drain.heard, drain.left) == (b"", 1)
        assert client.closing is not None
        assert client.closing[0] == WSCloseCode.UNSUPPORTED_DATA

    play(_stream(drain), act)


def test_a_stream_that_its_session_refuses_is_told_why() -> None:
    def refuse(_: StreamLink) -> Pump:
        raise Denied("this session is over; " + "ä" * 200, "open a new one")

    async def act(transport: WSTransport, client: Client) -> None:
        await transport.wait_disconnected()
        assert client.closing is not None
        assert client.closing[0] == WSCloseCode.POLICY_VIOLATION
        assert (client.closing[1] or "").startswith("this session is over")

    play(StreamLink(refuse), act)


@pytest.mark.parametrize("kind", [WSMsgType.BINARY, WSMsgType.CONTINUATION])
def test_anything_but_text_ends_the_control_link(kind: WSMsgType) -> None:
    link = ControlLink(lambda _: None)

    async def act(transport: WSTransport, client: Client) -> None:
        transport.send(kind, b"{}")
        await transport.wait_disconnected()
        assert await link.receive() is None
        assert await link.receive() is None

    play(link, act)


def test_a_cli_that_says_too_much_at_once_is_cut_off() -> None:
    link = ControlLink(lambda _: None)

    async def act(transport: WSTransport, client: Client) -> None:
        for _ in range(MAX_UNREAD * 10):
            transport.send(WSMsgType.TEXT, b"{}")
        await transport.wait_disconnected()
        heard = 0
        while await link.receive() is not None:
            heard += 1
        assert heard <= MAX_UNREAD

    play(link, act)


def test_events_that_nobody_reads_do_not_pile_up() -> None:
    link = ControlLink(lambda _: None)

    async def act(transport: WSTransport, client: Client) -> None:
        transport.underlying_transport.pause_reading()
        for _ in range(50):
            for _ in range(1000):
                link.send(b"x" * 1000)
            await asyncio.sleep(0)
        assert link._transport is not None
        assert link._transport.underlying_transport.get_write_buffer_size() < 1_000_000
        transport.underlying_transport.resume_reading()

    play(link, act)


def test_a_stopping_broker_takes_no_new_session() -> None:
    sessions = Sessions()
    sessions.close()
    with pytest.raises(Unreachable, match="stops"):
        sessions.add(None)  # type: ignore[arg-type]  # it is not even looked at
    assert sessions.by_grant("") is None
