"""Who knocks at the one port: TLS, a PostgreSQL client that asks for it, a cancel request, or somebody silent."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from hoopx_broker.tunnel import door as room
from hoopx_broker.tunnel.strangers import Strangers
from hoopx_broker.wire.postgres import messages
from tests.unit.door_stage import HELLO, House, Peer, play
from tests.unit.wire_stage import packet, startup

SSL, GSS = messages.SSL_REQUEST, packet(messages.GSS_REQUEST_CODE)
CANCEL = messages.cancel_request(b"\0\0\0\7\0\0\0\x2a")
STARTUP = startup(user="ann", database="prod-db")


async def asked_for_tls(house: House, *before: bytes) -> Peer:
    """As libpq does it: in the clear first, each request answered before the next."""
    peer = await house.connect(tls=False)
    for request in before:
        await peer.say(request)
        assert await peer.reader.readexactly(1) == b"N"
    await peer.say(SSL)
    assert await peer.reader.readexactly(1) == b"S"
    await peer.writer.start_tls(house.tls)
    return peer


async def is_native(peer: Peer) -> bool:
    await peer.say(b"hello")
    return await peer.reader.readexactly(12) == b"native hello"


@pytest.mark.parametrize("before", [(), (GSS,)])
def test_who_asks_for_tls_as_postgresql_does_is_a_native_client(tmp_path: Path, before: tuple[bytes, ...]) -> None:
    async def act(house: House) -> None:
        assert await is_native(await asked_for_tls(house, *before))

    play(tmp_path, act)


@pytest.mark.parametrize(
    ("offered", "native", "chosen"),
    [
        (["postgresql"], True, "postgresql"),
        (["http/1.1", "postgresql"], True, "postgresql"),
        (["http/1.1"], False, "http/1.1"),
        (["h2", "http/1.1"], False, "http/1.1"),
        (["h2", "acme"], False, None),
        ([], False, None),
    ],
)
def test_alpn_decides_and_who_offers_nothing_of_ours_is_served_http(
    tmp_path: Path, offered: list[str], native: bool, chosen: str | None
) -> None:
    async def act(house: House) -> None:
        if offered:
            house.tls.set_alpn_protocols(offered)
        peer = await house.connect()
        assert peer.writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        if native:
            assert await is_native(peer)
        else:
            await peer.say(HELLO)
            assert await peer.answer() == (200, b"hello")

    play(tmp_path, act)


async def error(peer: Peer) -> bytes:
    said = await peer.reader.read()
    assert said.startswith(b"E")
    assert b"SFATAL\0" in said
    return said


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([STARTUP], b"28000"),
        ([SSL + STARTUP], b"08P01"),
        ([SSL + b"\x16\x03\x01"], b"08P01"),
        ([GSS + SSL], b"08P01"),
        ([CANCEL + STARTUP], b"08P01"),
        ([b"\0\0\0\4"], b"08P01"),
        ([b"\0\0\x27\x11"], b"08P01"),
        ([packet(131_072, b"x\0")], b"0A000"),
    ],
)
def test_what_breaks_the_order_before_tls_hears_one_clean_error(tmp_path: Path, said: list[bytes], code: bytes) -> None:
    async def act(house: House) -> None:
        peer = await house.connect(tls=False)
        for each in said:
            await peer.say(each)
        assert b"C" + code + b"\0" in await error(peer)
        assert (house.failures, house.cancelled) == ([], [])
        await house.serves()

    play(tmp_path, act)


def test_gssapi_is_asked_for_once(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        peer = await house.connect(tls=False)
        await peer.say(GSS)
        assert await peer.reader.readexactly(1) == b"N"
        await peer.say(GSS)
        await error(peer)

    play(tmp_path, act)


def test_clear_bytes_that_come_late_are_read_by_tls_alone(tmp_path: Path) -> None:
    """A start-up packet behind the answer to SSLRequest, as somebody on the way would put it there."""

    async def act(house: House) -> None:
        peer = await house.connect(tls=False)
        await peer.say(SSL)
        assert await peer.reader.readexactly(1) == b"S"
        await peer.say(STARTUP)
        assert b"native" not in await peer.reader.read()
        await house.serves()

    play(tmp_path, act)


def test_a_cancel_request_in_the_clear_is_taken_and_answered_by_closing(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        peer = await house.connect(tls=False)
        await peer.say(CANCEL)
        assert await peer.reader.read() == b""
        assert house.cancelled == [CANCEL[8:]]

    play(tmp_path, act)


@pytest.mark.parametrize("whole", [SSL, GSS, CANCEL, STARTUP, b"\x16\x03\x01\x02\x00\x01"])
def test_silence_after_any_byte_is_cut_and_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    monkeypatch.setattr(room, "HANDSHAKE_SECONDS", 0.5)

    async def act(house: House) -> None:
        peers = [await house.connect(tls=False) for _ in range(min(len(whole), 20))]
        for size, peer in enumerate(peers):
            await peer.say(whole[:size])
        await house.serves()
        for peer in peers:
            assert await peer.is_cut()
        assert house.failures == []

    play(tmp_path, act)


def test_who_is_silent_behind_tls_is_cut_until_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HANDSHAKE_SECONDS", 0.5)

    async def act(house: House) -> None:
        known, silent = await asked_for_tls(house), await asked_for_tls(house)
        await known.say(b"it is me")
        await known.reader.readexactly(15)
        assert await silent.is_cut()
        assert await is_native(known)

    play(tmp_path, act)


def test_a_crowd_of_native_strangers_keeps_nobody_out_and_cuts_nobody_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "Strangers", lambda: Strangers(20))
    monkeypatch.setattr(room, "HANDSHAKE_SECONDS", 600.0)  # so that it is the crowd that cuts

    async def act(house: House) -> None:
        known = await asked_for_tls(house)
        await known.say(b"it is me")
        await known.reader.readexactly(15)
        clear = [await house.connect(tls=False) for _ in range(60)]
        for peer in clear[:30]:
            await peer.say(SSL[:5])
        secured = [await asked_for_tls(house) for _ in range(60)]
        await house.serves()
        assert await clear[0].is_cut()
        assert await secured[0].is_cut()
        assert await is_native(known)

    play(tmp_path, act)


def test_a_client_that_breaks_off_the_handshake_is_no_failure_of_ours(tmp_path: Path) -> None:
    async def act(house: House) -> None:
        peer = await house.connect(tls=False)
        await peer.say(SSL)
        await peer.reader.readexactly(1)
        strict = ssl.create_default_context()
        with pytest.raises(ssl.SSLError):
            await peer.writer.start_tls(strict, server_hostname="localhost")
        await asyncio.sleep(0)
        await house.serves()
        assert house.failures == []

    play(tmp_path, act)
