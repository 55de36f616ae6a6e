"""Laws of the greeting: how bytes are cut makes no difference, and nothing but the password opens."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.doorstep import Admit, Cancel, Step, TurnAway
from hoopx_cli.greeting import greeting

STARTUP = messages.startup({"user": "anyone", "database": "app"})


def heard(pieces: list[bytes]) -> list[Step]:
    guest = greeting(Secret("right"), b"n" * 18, b"s" * 16)
    return [step for piece in pieces for step in guest.feed(piece)]


@given(st.lists(st.binary(max_size=40), max_size=20))
@example([messages.SSL_REQUEST, STARTUP, b"p\0\0\0\x04"])
@example([STARTUP, b"p\0\0\0\x10SCRAM-SHA-256\0", b"\xff\xff\xff\xff"])
def test_garbage_never_opens_and_raises_nothing(pieces: list[bytes]) -> None:
    steps = heard(pieces)
    assert not any(isinstance(step, Admit) for step in steps)
    assert sum(isinstance(step, TurnAway | Cancel) for step in steps) <= 1


@given(st.binary(max_size=64).map(lambda tail: STARTUP + b"p" + tail), st.data())
def test_garbage_in_place_of_the_proof_never_opens(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert not any(isinstance(step, Admit) for step in heard(pieces))


@given(st.lists(st.integers(0, len(STARTUP)), max_size=8))
def test_any_cutting_of_a_startup_packet_leads_to_the_same_step(cuts: list[int]) -> None:
    places = sorted(cuts)
    pieces = [STARTUP[start:end] for start, end in zip([0, *places], [*places, len(STARTUP)], strict=True)]
    assert heard(pieces) == heard([STARTUP])
