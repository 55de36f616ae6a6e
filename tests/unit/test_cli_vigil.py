"""What stands in the live line, however narrow it is, and where a stream may be told of its end."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from hoopx_broker.api.messages import Counts
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import message
from hoopx_cli.boundary import MAX_WALKED, Boundary
from hoopx_cli.vigil import Kept, line_of
from tests.unit.cli_broker_double import opened


def _kept(target: str = "prod-db", *, left: float = 3599, **more: Any) -> Kept:
    known = {"opened": opened(target), "expires_at": left, "counts": Counts(), "is_lost": False, "is_glass": False}
    kept: Any = SimpleNamespace(session=SimpleNamespace(**{**known, **more}), told=lambda: "2 connections")
    return kept  # type: ignore[no-any-return]


WHOLE = "prod-db · 2 connections · 1234 statements · 5 denied · 67 masked · 1 waiting"
BUSY = Counts(statements=1234, denied=5, masked=67, waiting=1)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        (
            None,
            "prod-db · 2 connections · 1234 statements · 5 denied · 67 masked · 1 waiting · 59 min left · Ctrl-C ends",
        ),
        (90, f"{WHOLE} · 59 min"),
        (79, "prod-db · 1234 statements · 5 denied · 67 masked · 1 waiting · 59 min"),
        (39, "prod-db · 5 denied · 1 waiting · 59 min"),
        (20, "prod-db · 1 waiting · 59 min"),  # the terminal's own cut comes behind it
    ],
)
def test_what_matters_least_is_left_out_first(room: int | None, line: str) -> None:
    assert line_of([_kept(counts=BUSY)], 0, room) == line


def test_what_nobody_may_miss_stays() -> None:
    line = line_of([_kept(counts=BUSY, is_glass=True, is_lost=True)], 0, 20)
    assert line == "GLASS BROKEN · prod-db · broker lost · 1 waiting · 59 min"


def test_several_share_a_line_and_the_first_end_is_named() -> None:
    both = [_kept(counts=BUSY), _kept("stage", left=90, counts=BUSY)]
    told = "prod-db, stage · 2 connections, 2 connections · 2468 statements · 10 denied · 134 masked · 2 waiting"
    assert line_of(both, 0, None) == f"{told} · 1 min left with stage · Ctrl-C ends"
    assert line_of(both, 0, 39) == "2 sessions · 2 waiting · 1 min"


def test_nothing_to_count_is_not_counted() -> None:
    assert line_of([_kept()], 0, 80) == "prod-db · 2 connections · 59 min left · Ctrl-C ends"


READY = message(frames.READY, b"I")
ROW = message(frames.DATA_ROW, b"\0\1" + (300).to_bytes(4, "big") + b"x" * 300)


def test_between_two_messages_one_of_ours_may_follow() -> None:
    boundary = Boundary()
    for said in (messages.AUTHENTICATION_OK, READY, messages.notice("held", "", ""), ROW + READY, ROW * 1000 + READY):
        boundary.feed(said)
        assert boundary.is_between, said[:20]


def test_within_a_message_none_may() -> None:
    """Cut anywhere, small or large, and whole again at the next answer's end."""
    stream, dice = (ROW * 20 + READY) * 3, random.Random(7)
    for _ in range(200):
        boundary, at = Boundary(), 0
        while at < len(stream):
            size = dice.choice([1, 5, 100, MAX_WALKED, 3 * MAX_WALKED])
            piece = stream[at : at + size]
            at += len(piece)
            boundary.feed(piece)
            if boundary.is_between:
                assert _whole_before(stream, at)
        assert boundary.is_between or len(piece) < 6


def _whole_before(stream: bytes, end: int) -> bool:
    at = 0
    while at < end:
        at += 1 + int.from_bytes(stream[at + 1 : at + 5], "big")
    return at == end
