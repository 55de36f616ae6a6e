"""The broker's one port, attacked: by silence, trickles, floods, lies in heads and frames that are none."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from starlette.applications import Starlette

from hoopx_broker.tunnel import door as room
from hoopx_broker.tunnel import http, knock
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.door import Door
from hoopx_broker.tunnel.http import Entrance
from hoopx_broker.tunnel.strangers import Strangers
from tests.unit.door_stage import HELLO, UPGRADE, House, Peer, play


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HANDSHAKE_SECONDS", 0.4)
    monkeypatch.setattr(http, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(room, "HANDSHAKE_SECONDS", 0.4)


TRICKLES = {
    "a head": (b"", b"GET / HTTP/1.1\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-One: a\r\n"),
    "line ends before a request": (b"", b"\r\n"),
    "a second request": (HELLO, b"GET / HTTP/1.1\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "line ends after a request": (HELLO, b"\r\n"),
    "a body": (b"POST /hello HTTP/1.1\r\nHost: b\r\nContent-Length: 100000\r\n\r\n", b"a"),
    "chunks": (b"POST /hello HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", TRICKLES)
def test_a_trickle_is_cut(tmp_path: Path, name: str) -> None:
    first, then = TRICKLES[name]

    async def act(house: House) -> None:
        peer = await house.connect()
        await peer.say(first)
        assert await peer.is_cut_while_trickling(then)
        await house.serves()

    play(tmp_path, act)


@pytest.mark.usefixtures("hurried")
def test_silence_is_cut_before_and_after_tls(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        silent = await house.connect(tls=False)
        half = await house.connect(tls=False)
        await half.say(b"\x16\x03\x01\x02\x00\x01")
        secured = await house.connect()
        for peer in (silent, half, secured):
            assert await peer.is_cut()
        await house.serves()
        assert house.failures == []

    play(tmp_path, act)


def test_a_crowd_that_says_nothing_does_not_keep_an_honest_client_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "Strangers", lambda: Strangers(20))

    async def act(house: House) -> None:
        crowd = [await house.connect(tls=False) for _ in range(100)]
        secured = [await house.connect() for _ in range(30)]
        await house.serves()
        assert await crowd[0].is_cut()
        assert await secured[0].is_cut()

    play(tmp_path, act)


def test_what_is_answered_in_two_writes_does_not_wait_for_the_first_to_be_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, accepted = knock.hear, list[socket.socket]()

    async def hear(connection: socket.socket) -> object:
        accepted.append(connection)
        return await heard(connection)

    monkeypatch.setattr(knock, "hear", hear)

    async def act(house: House) -> None:
        await house.serves()
        assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in accepted)
        assert accepted

    play(tmp_path, act)


async def _idle(peer: Peer) -> None:
    await peer.say(HELLO)
    await peer.answer()


async def _slow_body(peer: Peer) -> None:
    await peer.say(b"POST /hello HTTP/1.1\r\nHost: broker\r\nContent-Length: 9\r\n\r\nslow")


async def _answered_early(peer: Peer) -> None:
    """The answer is here before the body is, and then the body comes."""
    await peer.say(b"POST /nowhere HTTP/1.1\r\nHost: broker\r\nContent-Length: 2\r\n\r\n")
    assert (await peer.answer())[0] == 404
    await peer.say(b"ok")


@pytest.mark.parametrize("behave", [_idle, _slow_body, _answered_early])
def test_those_who_said_something_once_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behave: Callable[[Peer], Awaitable[None]]
) -> None:
    """A thousand connections that anybody may open made every call a 503."""
    monkeypatch.setattr(room, "Strangers", lambda: Strangers(10))
    monkeypatch.setattr(room, "MAX_HTTP", 20)

    async def act(house: House) -> None:
        crowd = [await house.connect() for _ in range(9)]
        for peer in crowd:
            await behave(peer)
        for _ in range(30):
            await behave(await house.connect())
        await house.serves()
        assert await crowd[0].is_cut()

    play(tmp_path, act)


def test_known_connections_are_not_cut_by_a_crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "Strangers", lambda: Strangers(3))

    async def act(house: House) -> None:
        tunnel = await house.upgraded()
        for _ in range(20):
            await house.connect(tls=False)
        await house.serves()
        await tunnel.say(_frame(2, b"still here"))
        assert (await tunnel.reader.readexactly(12))[2:] == b"still here"

    play(tmp_path, act)


def test_without_descriptors_it_waits_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ACCEPT_AGAIN_SECONDS", 0.05)
    spent = [OSError(errno.EMFILE, "no descriptor"), OSError(errno.ENFILE, "none at all")]

    class Exhausted(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if spent:
                raise spent.pop()
            return super().accept()

    listening = Exhausted()
    listening.bind(("127.0.0.1", 0))
    listening.listen()

    async def act(house: House) -> None:
        await house.serves()
        assert [type(failure) for failure in house.failures] == [OSError, OSError]

    play(tmp_path, act, listening)


def test_a_head_of_any_size_is_not_read(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        for request in (b"", HELLO):
            peer = await house.connect()
            await peer.say(request)
            await peer.say(b"GET / HTTP/1.1\r\n")
            assert await peer.is_cut_while_saying(b"X-Header: " + b"a" * 1000 + b"\r\n")
        await house.serves()

    play(tmp_path, act)


BAD_HEADS = {
    "early bytes": (UPGRADE + b"\r\n" + b"\x82\x00", 400),
    "a request behind it": (UPGRADE + b"\r\n" + HELLO, 400),
    "a body": (UPGRADE + b"Content-Length: 5\r\n\r\nhello", 400),
    "two tokens": (UPGRADE + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    "no key": (UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"") + b"\r\n", 400),
    "another version": (UPGRADE.replace(b"13", b"99") + b"\r\n", 400),
    "another method": (UPGRADE.replace(b"GET", b"POST") + b"\r\n", 400),
    "a folded header": (UPGRADE + b"X-One: a\r\n b\r\n\r\n", 400),
    "a bare line end in a header": (UPGRADE + b"X-One: a\nAuthorization: Bearer stolen\r\n\r\n", 400),
    "a NUL": (UPGRADE + b"X-One: a\0b\r\n\r\n", 400),
    "a space before the colon": (UPGRADE + b"Authorization : Bearer a\r\n\r\n", 400),
    "chunks and a length": (UPGRADE + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
    "another path": (UPGRADE.replace(b"/v1/stream", b"/v1/other") + b"\r\n", 404),
    "a path with a query": (UPGRADE.replace(b"/v1/stream", b"/v1/stream?x=1") + b"\r\n", 404),
    "a whole address": (UPGRADE.replace(b"/v1/stream", b"https://broker/v1/stream") + b"\r\n", 404),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9\r\n", 400),
    "a PostgreSQL client": (b"\0\0\0\x08\x04\xd2\x16\x2f", 400),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_request_that_two_readers_could_read_in_two_ways_opens_nothing(tmp_path: Path, name: str) -> None:
    request, status = BAD_HEADS[name]

    async def act(house: House) -> None:
        peer = await house.connect()
        await peer.say(request)
        assert await peer.status() == status
        await house.serves()

    play(tmp_path, act)


def test_another_upgrade_is_answered_as_if_it_had_not_been_asked(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        peer = await house.connect()
        await peer.say(
            HELLO[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        )
        assert await peer.answer() == (200, b"hello")

    play(tmp_path, act)


def test_a_tunnel_gets_the_very_request_that_was_parsed(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        peer = await house.connect()
        for byte in UPGRADE + b"Authorization: Bearer abc\r\nX-Odd:   spaced \r\n\r\n":
            await peer.say(bytes([byte]))
        assert await peer.status() == 101
        [request] = house.requests
        assert (request.method, request.path) == (b"GET", b"/v1/stream")
        assert request.headers.get("authorization") == "Bearer abc"
        await peer.say(_frame(2, b"ping and pong"))
        assert (await peer.reader.readexactly(15))[2:] == b"ping and pong"

    play(tmp_path, act)


BAD_FRAMES = {
    "not masked": b"\x82\x02ab",
    "of an unknown kind": b"\x8b\x80\0\0\0\0",
    "longer than allowed": b"\x82\xff\0\0\0\0\x40\0\0\0",
    "of a negative length": b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "a ping that is too long": b"\x89\xfe\x04\0\0\0\0\0",
    "a ping in pieces": b"\x09\x80\0\0\0\0",
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_frame_that_is_none_ends_the_tunnel(tmp_path: Path, name: str) -> None:
    async def act(house: House) -> None:
        peer = await house.upgraded()
        await peer.say(BAD_FRAMES[name])
        while await peer.reader.read(1000):  # a close frame may come first
            pass
        await house.serves()

    play(tmp_path, act)


def test_only_watched_peers_must_answer_a_ping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose statement waits for people, or whose reader sits in a pager, answers nothing for minutes."""
    monkeypatch.setattr(http, "PING_AFTER", 0.1)
    monkeypatch.setattr(http, "PING_ANSWER", 0.1)

    async def act(house: House) -> None:
        stream = await house.upgraded()
        control = await house.upgraded(b"/v1/session")
        while await control.reader.read(1000):
            pass
        await stream.say(_frame(2, b"here"))
        assert await stream.reader.readexactly(6) == b"\x82\x04here"

    play(tmp_path, act)


def test_after_it_stopped_accepting_nobody_comes_in_and_tunnels_live_on(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        crew = Crew(lambda _, error: house.failures.append(error))
        door = Door(Starlette(), Entrance(house.upgrade, frozenset(), house.native, house.cancel), crew)
        listening = socket.create_server(("127.0.0.1", 0))
        house.port = listening.getsockname()[1]
        door.open(listening, house.server_tls())
        tunnel = await house.upgraded()
        door.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await house.connect()
        await tunnel.say(_frame(2, b"on"))
        assert await tunnel.reader.readexactly(4) == b"\x82\x02on"
        house.leave()
        await door.close()
        await crew.close()

    uvloop.run(scene())


def _frame(kind: int, payload: bytes) -> bytes:
    """A client's frame, masked by zeros."""
    assert len(payload) < 126
    return bytes([0x80 | kind, 0x80 | len(payload)]) + b"\0\0\0\0" + payload
