"""What a peer claims costs nothing: memory is held for bytes that came, and hardly more than came."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest

from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres.frames import MAX_LARGE, Framer, message
from tests.unit import wire_stage as say
from tests.unit.wire_stage import Stage

MIB = 1024 * 1024


def peak(act: Callable[[], object]) -> int:
    """The most bytes that were held at once meanwhile."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def backend() -> Framer:
    return Framer(Side.BACKEND)


@pytest.mark.parametrize("length", [MAX_LARGE + 1, 2**30, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", ["D", "d", "E", "T"])
def test_a_length_beyond_the_bound_is_a_breach_at_once(kind: str, length: int) -> None:
    with pytest.raises(BrokenPeer):
        backend().feed(kind.encode() + struct.pack("!I", length))


def test_a_length_within_the_bound_costs_nothing_until_the_bytes_come() -> None:
    assert peak(lambda: backend().feed(b"D" + struct.pack("!I", MAX_LARGE) + b"\0\1")) < MIB


def test_a_message_that_comes_in_crumbs_takes_hardly_more_than_its_bytes() -> None:
    said = message(ord("D"), b"\0" * (MIB // 4))
    framer = backend()

    def crumbs() -> None:
        for at in range(0, len(said) - 2, 2):
            assert framer.feed(said[at : at + 2]) == []

    assert peak(crumbs) < MIB
    [frame] = framer.feed(said[-(len(said) % 2 or 2) :])
    assert frame.data == said


def test_cells_that_claim_to_be_long_are_a_breach_where_they_are_looked_into() -> None:
    stage = Stage.ready(say.everything(say.DERIVED))
    stage.client_says(say.query("select email"))
    stage.backend_says(say.columns(say.EMAIL_COLUMN))
    with pytest.raises(BrokenPeer):
        stage.backend_says(message(ord("D"), b"\0\1" + struct.pack("!I", 2**30) + b"x"))


def test_a_server_that_goes_on_telling_before_the_login_is_not_remembered() -> None:
    stage = Stage()
    stage.client_says(say.startup(user="me"))
    told = say.notice("n" * 60_000)

    def endless() -> None:
        for _ in range(500):
            stage.backend_says(told)

    assert peak(endless) < 4 * MIB
    assert stage.client_heard == b""
