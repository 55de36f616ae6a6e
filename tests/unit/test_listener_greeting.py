"""The start of a PostgreSQL connection on the laptop: who knows the session's password gets in, and nobody else."""

from __future__ import annotations

import pytest

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.doorstep import Admit, Answer, Cancel, Doorstep, Step, TurnAway
from hoopx_broker.wire.postgres.frames import message
from hoopx_broker.wire.postgres.scram import MECHANISM, ClientExchange
from hoopx_cli import greeting as room

PASSWORD = Secret("of this session alone")
STARTUP = messages.startup({"user": "anyone", "database": "app"})
GSS_REQUEST = (8).to_bytes(4, "big") + messages.GSS_REQUEST_CODE.to_bytes(4, "big")
CANCEL = messages.cancel_request(b"\0\0\0\7\0\0\0\x2a")


def greeting(password: Secret | None = PASSWORD) -> Doorstep:
    return room.greeting(password, b"n" * 18, b"s" * 16)


def only(steps: list[Step]) -> Step:
    [step] = steps
    return step


def answered(steps: list[Step]) -> bytes:
    step = only(steps)
    assert isinstance(step, Answer)
    return step.data


def turned_away(steps: list[Step], code: str) -> None:
    step = steps[-1]
    assert isinstance(step, TurnAway), step
    assert b"C" + code.encode() + b"\0" in step.data
    assert b"SFATAL\0" in step.data


def initial(exchange: ClientExchange, mechanism: bytes = MECHANISM) -> bytes:
    first = exchange.first()
    return message(frames.PASSWORD, mechanism + b"\0" + len(first).to_bytes(4, "big") + first)


def logged_in(guest: Doorstep, password: Secret) -> list[Step]:
    """Play a client with `password` to the end; what the last message led to."""
    exchange = ClientExchange(password, b"c" * 18)
    guest.feed(STARTUP)
    offer = answered(guest.feed(initial(exchange)))
    return guest.feed(message(frames.PASSWORD, exchange.final(offer[9:])))


def test_the_right_password_lets_the_startup_packet_through_unchanged() -> None:
    step = only(logged_in(greeting(), PASSWORD))
    assert isinstance(step, Admit)
    assert step.startup == STARTUP


def test_the_server_proves_that_it_knows_the_password_too() -> None:
    guest, exchange = greeting(), ClientExchange(PASSWORD, b"c" * 18)
    guest.feed(STARTUP)
    offer = answered(guest.feed(initial(exchange)))
    step = only(guest.feed(message(frames.PASSWORD, exchange.final(offer[9:]))))
    assert isinstance(step, Admit)
    assert step.data[:9] == b"R" + (len(step.data) - 1).to_bytes(4, "big") + (12).to_bytes(4, "big")
    exchange.finish(step.data[9:])


@pytest.mark.parametrize("guess", ["", "x", "of this session alone ", "of this session alon"])
def test_a_wrong_password_is_turned_away_as_postgresql_does_it(guess: str) -> None:
    turned_away(logged_in(greeting(), Secret(guess)), "28P01")


def test_nothing_is_heard_after_the_end() -> None:
    guest = greeting()
    logged_in(guest, Secret("wrong"))
    assert guest.feed(STARTUP) == []
    assert guest.feed(initial(ClientExchange(PASSWORD, b"c" * 18))) == []


def test_only_scram_is_offered() -> None:
    assert answered(greeting().feed(STARTUP))[9:] == b"SCRAM-SHA-256\0\0"


@pytest.mark.parametrize("requests", [[messages.SSL_REQUEST], [GSS_REQUEST], [GSS_REQUEST, messages.SSL_REQUEST]])
def test_requests_for_encryption_are_declined_and_the_login_goes_on(requests: list[bytes]) -> None:
    guest = greeting()
    assert [answered(guest.feed(request)) for request in requests] == [b"N"] * len(requests)
    assert isinstance(only(logged_in(guest, PASSWORD)), Admit)


def test_the_same_request_for_encryption_twice_is_turned_away() -> None:
    guest = greeting()
    guest.feed(messages.SSL_REQUEST)
    turned_away(guest.feed(messages.SSL_REQUEST), "08P01")


def test_bytes_behind_the_request_for_tls_are_never_read_as_the_startup() -> None:
    turned_away(greeting(None).feed(messages.SSL_REQUEST + STARTUP), "08P01")


def test_bytes_behind_the_startup_packet_are_turned_away() -> None:
    turned_away(greeting().feed(STARTUP + STARTUP), "08P01")


def test_a_second_startup_packet_during_the_login_is_turned_away() -> None:
    guest = greeting()
    guest.feed(STARTUP)
    turned_away(guest.feed(STARTUP), "08P01")


def test_a_query_instead_of_the_proof_is_turned_away() -> None:
    guest = greeting()
    guest.feed(STARTUP)
    turned_away(guest.feed(messages.query(b"select 1")), "08P01")


def test_bytes_behind_the_proof_are_turned_away_even_when_it_is_right() -> None:
    guest, exchange = greeting(), ClientExchange(PASSWORD, b"c" * 18)
    guest.feed(STARTUP)
    offer = answered(guest.feed(initial(exchange)))
    proof = message(frames.PASSWORD, exchange.final(offer[9:]))
    turned_away(guest.feed(proof + messages.query(b"select 1")), "08P01")


def test_a_replayed_proof_of_another_connection_is_turned_away() -> None:
    exchange = ClientExchange(PASSWORD, b"c" * 18)
    first, second = greeting(), room.greeting(PASSWORD, b"m" * 18, b"s" * 16)
    for guest in (first, second):
        guest.feed(STARTUP)
    offer = answered(first.feed(initial(exchange)))
    second.feed(initial(exchange))
    step = second.feed(message(frames.PASSWORD, exchange.final(offer[9:])))[-1]
    assert isinstance(step, TurnAway)


def test_a_mechanism_that_was_not_offered_is_turned_away() -> None:
    guest = greeting()
    guest.feed(STARTUP)
    turned_away(guest.feed(initial(ClientExchange(PASSWORD, b"c" * 18), b"SCRAM-SHA-256-PLUS")), "08P01")


@pytest.mark.parametrize("length", [0, 7, 10_001, 1 << 30, (1 << 32) - 1])
def test_a_length_out_of_bounds_is_turned_away_before_its_bytes_come(length: int) -> None:
    turned_away(greeting().feed(length.to_bytes(4, "big") + bytes(4)), "08P01")


@pytest.mark.parametrize("length", [0, 3, 10_001, (1 << 32) - 1])
def test_a_proof_of_a_length_out_of_bounds_is_turned_away(length: int) -> None:
    guest = greeting()
    guest.feed(STARTUP)
    turned_away(guest.feed(b"p" + length.to_bytes(4, "big")), "08P01")


def test_an_initial_response_whose_inner_length_lies_is_turned_away() -> None:
    for size in (0, 5, 9999, (1 << 32) - 1):
        guest = greeting()
        guest.feed(STARTUP)
        body = MECHANISM + b"\0" + size.to_bytes(4, "big") + b"n,,n=,r=abc"
        turned_away(guest.feed(message(frames.PASSWORD, body)), "08P01")


@pytest.mark.parametrize("major", [0, 1, 2, 4, 255])
def test_another_protocol_version_is_turned_away(major: int) -> None:
    packet = (8).to_bytes(4, "big") + (major << 16).to_bytes(4, "big")
    turned_away(greeting().feed(packet), "0A000")


def test_a_newer_minor_version_is_left_to_the_broker() -> None:
    packet = (9).to_bytes(4, "big") + (3 << 16 | 2).to_bytes(4, "big") + b"\0"
    assert isinstance(only(greeting(None).feed(packet)), Admit)


def test_a_cancel_request_passes_unchanged_and_alone() -> None:
    assert only(greeting().feed(CANCEL)) == Cancel(CANCEL)
    turned_away(greeting().feed(CANCEL + STARTUP), "08P01")


def test_a_socket_file_needs_no_password() -> None:
    assert only(greeting(None).feed(STARTUP)) == Admit(STARTUP, b"")


def test_no_message_repeats_what_the_client_sent() -> None:
    guest = greeting()
    guest.feed(messages.startup({"user": "s3cr3t-user"}))
    [step] = guest.feed(message(frames.PASSWORD, b"s3cr3t-mechanism\0"))
    assert isinstance(step, TurnAway)
    assert b"s3cr3t" not in step.data
