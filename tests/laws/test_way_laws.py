"""The first bytes of a connection, whatever they are and however they are cut, lead to one worker or need more."""

from __future__ import annotations

import ssl
import struct
from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.tunnel.way import MAX_LOOK, way
from hoopx_broker.wire.client_hello import MAX_HELLO, More, offered

WORKERS = 4


def hello(*names: bytes, padding: int = 0, record: int = 1 << 14) -> bytes:
    """A ClientHello with these names, cut into records of this size."""
    alpn = b"".join(bytes([len(name)]) + name for name in names)
    extensions = struct.pack("!HHH", 16, len(alpn) + 2, len(alpn)) + alpn if names else b""
    extensions = struct.pack("!HH", 21, padding) + bytes(padding) + extensions
    body = (
        b"\x03\x03"
        + bytes(32)
        + b"\0"
        + b"\0\x02\x13\x01"
        + b"\x01\0"
        + struct.pack("!H", len(extensions))
        + extensions
    )
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    pieces = [message[at : at + record] for at in range(0, len(message), record)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece for piece in pieces)


def postgres(code: int, rest: bytes = b"") -> bytes:
    return struct.pack("!II", 8 + len(rest), code) + rest


names = st.binary(min_size=1, max_size=40)


@given(st.lists(names, max_size=4), st.integers(1, 300), st.integers(0, 2000))
def test_what_is_offered_is_read_however_it_is_cut_into_records(listed: list[bytes], record: int, padding: int) -> None:
    assert offered(hello(*listed, padding=padding, record=record)) == tuple(listed)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 100))
def test_every_part_of_a_hello_asks_for_more_and_never_for_more_than_there_is(name: bytes, record: int) -> None:
    whole = hello(b"hoopx-way/" + name, record=record)
    led = way(whole, "::1", WORKERS)
    for size in range(len(whole)):
        part = way(whole[:size], "::1", WORKERS)
        assert isinstance(part, More), size
        assert size < part.needed <= len(whole)
    assert isinstance(led, int)
    assert way(whole + b"early data", "::1", WORKERS) == led


@given(st.one_of(st.binary(max_size=600), st.binary(max_size=600).map(lambda rest: b"\x16\x03\x01\x02\x00\x01" + rest)))
@example(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff")  # announces a giant
@example(b"\0\0\0\x10")
def test_garbage_leads_somewhere_or_needs_more_within_bounds(data: bytes) -> None:
    led = way(data, "10.0.0.1", WORKERS)
    if isinstance(led, More):
        assert len(data) < led.needed <= MAX_HELLO < MAX_LOOK
    else:
        assert 0 <= led < WORKERS


@given(st.integers(0, 3000).map(lambda at: at), st.integers(0, 255))
def test_one_changed_byte_never_raises(at: int, byte: int) -> None:
    whole = bytearray(hello(b"hoopx-way/x", b"http/1.1", padding=20, record=30))
    whole[at % len(whole)] = byte
    assert isinstance(way(bytes(whole), "", WORKERS), int | More)


def test_a_giant_hello_is_the_first_workers_affair() -> None:
    assert way(hello(b"hoopx-way/x", padding=MAX_HELLO)[:MAX_LOOK], "", WORKERS) == 0
    assert way(hello(b"hoopx-way/" + b"x" * 60), "", WORKERS) == 0, "a name that is too long is none"


def test_what_python_and_openssl_say_is_read() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["hoopx-way/a", "http/1.1"])
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(coming, going, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        assert offered(going.read()) == (b"hoopx-way/a", b"http/1.1")


def test_names_are_spread_and_calls_without_one_are_the_first_workers() -> None:
    spread = Counter(way(hello(b"hoopx-way/%d" % number), "", WORKERS) for number in range(400))
    assert set(spread) == set(range(WORKERS))
    assert min(spread.values()) > 50
    assert way(hello(), "10.0.0.1", WORKERS) == way(hello(b"http/1.1"), "10.0.0.2", WORKERS) == 0


def test_native_clients_of_one_address_meet_and_a_cancel_request_finds_its_worker() -> None:
    address = {f"10.0.0.{number}": way(postgres(80877103), f"10.0.0.{number}", WORKERS) for number in range(100)}
    assert set(address.values()) == set(range(WORKERS))
    assert all(way(hello(b"postgresql"), host, WORKERS) == led for host, led in address.items())
    assert way(postgres(80877104), "10.0.0.7", WORKERS) == address["10.0.0.7"]
    key = struct.pack("!I", 4 * 1000 + 3) + bytes(4)
    assert way(postgres(80877102, key), "10.0.0.7", WORKERS) == 3
    assert way(postgres(80877102, key)[:11], "10.0.0.7", WORKERS) == More(12)
