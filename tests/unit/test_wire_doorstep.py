"""The doorstep of the broker's port, before TLS and behind it: every trick with its packets is turned away, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.doorstep import (
    MAX_PASSWORD,
    Admit,
    Answer,
    Cancel,
    Doorstep,
    Place,
    Secure,
    Step,
    TokenInClear,
    TurnAway,
)
from hoopx_broker.wire.postgres.frames import message
from tests.unit.wire_stage import packet, startup

STARTUP = startup(user="ann", database="prod-db")
SSL, GSS = messages.SSL_REQUEST, packet(messages.GSS_REQUEST_CODE)
CANCEL = messages.cancel_request(b"\0\0\0\7\0\0\0\x2a")
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
ASKS_FOR_PASSWORD = message(frames.AUTHENTICATION, (3).to_bytes(4, "big"))


def password(text: str) -> bytes:
    return message(frames.PASSWORD, text.encode() + b"\0")


def in_clear() -> Doorstep:
    return Doorstep(Place.CLEAR)


def secured() -> Doorstep:
    return Doorstep(Place.SECURED, TokenInClear())


def turned_away(steps: list[Step], code: str) -> None:
    [step] = steps
    assert isinstance(step, TurnAway), step
    assert step.data.startswith(b"E")
    assert b"C" + code.encode() + b"\0" in step.data
    assert b"SFATAL\0" in step.data


# Before TLS.


def test_a_request_for_tls_is_granted_and_nothing_more_is_heard() -> None:
    guest = in_clear()
    assert guest.feed(SSL) == [Secure(b"S")]
    assert guest.feed(STARTUP) == []


def test_gssapi_is_declined_and_tls_granted_after_it() -> None:
    guest = in_clear()
    assert guest.feed(GSS) == [Answer(b"N")]
    assert guest.feed(SSL) == [Secure(b"S")]


def test_gssapi_twice_is_turned_away() -> None:
    guest = in_clear()
    guest.feed(GSS)
    turned_away(guest.feed(GSS), "08P01")


@pytest.mark.parametrize("behind", [STARTUP, CLIENT_HELLO, b"\0", SSL])
def test_bytes_behind_the_request_for_tls_are_never_taken_for_what_came_through_it(behind: bytes) -> None:
    """CVE-2021-23222 in the other direction."""
    turned_away(in_clear().feed(SSL + behind), "08P01")


@pytest.mark.parametrize("behind", [SSL, STARTUP, CANCEL])
def test_bytes_behind_the_request_for_gssapi_are_turned_away(behind: bytes) -> None:
    turned_away(in_clear().feed(GSS + behind), "08P01")


def test_nobody_logs_in_without_tls() -> None:
    guest = in_clear()
    [step] = guest.feed(STARTUP)
    assert isinstance(step, TurnAway)
    assert b"sslmode=require" in step.data
    assert guest.feed(password("t.o.ken")) == []


def test_not_even_after_gssapi_was_declined() -> None:
    guest = in_clear()
    guest.feed(GSS)
    turned_away(guest.feed(STARTUP), "28000")


# A cancel request, before TLS and behind it.


@pytest.mark.parametrize("make", [in_clear, secured])
@pytest.mark.parametrize("size", [8, 36, 260])
def test_a_cancel_request_is_taken_with_a_key_of_any_version(make: Callable[[], Doorstep], size: int) -> None:
    [step] = make().feed(messages.cancel_request(bytes(size)))
    assert isinstance(step, Cancel)
    assert step.key == bytes(size)


@pytest.mark.parametrize("size", [0, 7, 261, 9_000])
def test_a_cancel_key_out_of_bounds_is_turned_away(size: int) -> None:
    turned_away(in_clear().feed(messages.cancel_request(bytes(size))), "08P01")


def test_bytes_behind_a_cancel_request_are_turned_away() -> None:
    turned_away(in_clear().feed(CANCEL + CANCEL), "08P01")


# Behind TLS.


def test_the_token_is_asked_for_and_handed_on_with_the_startup_packet() -> None:
    guest = secured()
    assert guest.feed(STARTUP) == [Answer(ASKS_FOR_PASSWORD)]
    [step] = guest.feed(password("t.o.ken"))
    assert isinstance(step, Admit)
    assert step.password is not None
    assert (step.startup, step.data, step.password.reveal()) == (STARTUP, b"", "t.o.ken")
    assert "t.o.ken" not in repr(step)
    assert guest.feed(STARTUP) == []


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_a_request_for_encryption_behind_tls_is_turned_away(request_: bytes) -> None:
    turned_away(secured().feed(request_), "08P01")


@pytest.mark.parametrize(
    "said",
    [
        STARTUP,
        SSL,
        CANCEL,
        messages.query(b"select 1"),
        messages.TERMINATE,
        password("t.o.ken") + messages.query(b"select 1"),
        password("t.o.ken") + password("t.o.ken"),
        message(frames.PASSWORD, b"no end"),
        message(frames.PASSWORD, b"two\0ends\0"),
        message(frames.PASSWORD, b"\xff\xfe\0"),
        b"p" + (3).to_bytes(4, "big"),
        b"p" + (MAX_PASSWORD + 1).to_bytes(4, "big"),
        b"p\xff\xff\xff\xff",
    ],
)
def test_nothing_but_one_password_follows_the_startup_packet(said: bytes) -> None:
    guest = secured()
    guest.feed(STARTUP)
    turned_away(guest.feed(said), "08P01")


def test_bytes_behind_the_startup_packet_are_turned_away() -> None:
    turned_away(secured().feed(STARTUP + password("t.o.ken")), "08P01")


@pytest.mark.parametrize("make", [in_clear, secured])
@pytest.mark.parametrize("length", [0, 7, 10_001, 1 << 30, (1 << 32) - 1])
def test_a_length_that_lies_is_turned_away_before_its_bytes_come(make: Callable[[], Doorstep], length: int) -> None:
    turned_away(make().feed(length.to_bytes(4, "big") + bytes(4)), "08P01")


@pytest.mark.parametrize("major", [0, 1, 2, 4, 1233])
def test_another_version_is_turned_away(major: int) -> None:
    turned_away(secured().feed(packet(major << 16, b"\0")), "0A000")


def test_no_message_repeats_the_token() -> None:
    guest = secured()
    guest.feed(STARTUP)
    [step] = guest.feed(message(frames.PASSWORD, b"s3cr3t"))
    assert isinstance(step, TurnAway)
    assert b"s3cr3t" not in step.data
    assert "s3cr3t" not in step.reason


# Laws.

DIALOGUES = [
    (Place.CLEAR, [GSS, SSL]),
    (Place.CLEAR, [CANCEL]),
    (Place.CLEAR, [STARTUP]),
    (Place.SECURED, [STARTUP, password("t.o.ken")]),
    (Place.SECURED, [STARTUP, STARTUP]),
    (Place.SECURED, [SSL]),
]


def heard(place: Place, pieces: list[bytes]) -> list[bytes]:
    guest = Doorstep(place, TokenInClear() if place is Place.SECURED else None)
    return [_seen(step) for piece in pieces for step in guest.feed(piece)]


def _seen(step: Step) -> bytes:
    if isinstance(step, Admit):
        return step.startup + (step.password.reveal().encode() if step.password else b"")
    return step.packet if isinstance(step, Cancel) else step.data


@given(st.sampled_from(DIALOGUES), st.data())
def test_any_cutting_of_what_is_said_leads_to_the_same_steps(
    dialogue: tuple[Place, list[bytes]], data: st.DataObject
) -> None:
    place, said = dialogue
    pieces = []
    for each in said:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(each)), max_size=6)))
        pieces += [each[start:end] for start, end in zip([0, *cuts], [*cuts, len(each)], strict=True)]
    assert heard(place, pieces) == heard(place, said)


@given(st.sampled_from(list(Place)), st.lists(st.binary(max_size=40), max_size=20))
@example(Place.SECURED, [STARTUP, b"p\0\0\0\x04"])
@example(Place.CLEAR, [GSS, GSS, SSL])
def test_garbage_leads_to_one_clean_error_at_most_and_never_in(place: Place, pieces: list[bytes]) -> None:
    guest = Doorstep(place, TokenInClear())
    steps = [step for piece in pieces for step in guest.feed(piece)]
    assert sum(isinstance(step, TurnAway | Cancel | Secure) for step in steps) <= 1
    assert not any(isinstance(step, Admit) for step in steps)
