"""A little of each lane of `make fuzz`, and for good what it has found: paste an `@example` where its lane is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.lane import Case, Lane, broken_law, smaller
from tests.fuzz.login_lane import LoginLane
from tests.fuzz.reader_lane import ReaderLane
from tests.fuzz.wire_lanes import EngineLane, FramesLane, PipelineLane
from tests.laws.depth import examples


def cases(make: Callable[[Random], Case]) -> st.SearchStrategy[Case]:
    return st.integers(0, 2**32).map(lambda seed: make(Random(seed)))


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderLane]:
    lane = ReaderLane()
    yield lane
    lane.close()


few = settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))


@given(cases(FramesLane().draw))
@few
def test_any_cutting_of_any_bytes_gives_the_same_frames(case: Case) -> None:
    FramesLane().check(case)


@given(cases(EngineLane().draw))
@few
def test_between_any_two_peers_nothing_passes_unjudged(case: Case) -> None:
    EngineLane().check(case)


@given(cases(PipelineLane().draw))
@few
def test_whatever_the_pipeline_what_is_hidden_stays_hidden(case: Case) -> None:
    PipelineLane().check(case)


@given(cases(LoginLane().draw))
@example(("clear", ("backend", b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"), ("backend", b"R\0\0\0\x08\0\0\0\0")))
@few
def test_no_server_is_trusted_that_did_not_earn_it(case: Case) -> None:
    LoginLane().check(case)


@pytest.mark.parametrize("seed", range(60))
def test_the_reader_answers_whatever_it_is_asked_and_lives_on(reader: ReaderLane, seed: int) -> None:
    reader.check(reader.draw(Random(seed)))


DEEP_AND_LONG = {
    "parentheses": b"SELECT " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "open parentheses": b"SELECT " + b"(" * 10_000,
    "subqueries": b"SELECT " + b"(SELECT " * 3_000 + b"1" + b")" * 3_000,
    "operators": b"SELECT 'a'" + b" || 'a'" * 60_000,
    "casts": b"SELECT 'a'" + b"::text" * 60_000,
    "unions": b"SELECT 1" + b" UNION ALL SELECT 1" * 20_000,
    "arrays": b"SELECT " + b"ARRAY[" * 1_000 + b"1" + b"]" * 1_000,
    "open comments": b"/*" * 32_768,
    "nested comments": b"/*" * 10_000 + b"*/" * 10_000 + b"SELECT 1",
    "a list": b"SELECT 1 WHERE 1 IN (" + b"1," * 100_000 + b"1)",
    "statements": b"SELECT 1;" * 50_000,
    "joins": b"SELECT * FROM a" + b" JOIN b ON true" * 5_000,
    "an open string": b"SELECT '" + b"x" * 500_000,
    "nothing": b"",
    "a zero byte": b"SELECT 1\0; DROP TABLE t",
}


@pytest.mark.parametrize("text", DEEP_AND_LONG.values(), ids=DEEP_AND_LONG)
def test_what_is_deep_or_long_is_read_or_unreadable_and_the_next_is_read(reader: ReaderLane, text: bytes) -> None:
    reader.check((text,))


class Forgetful:
    """A lane with a law that does not hold: that no case holds `bad` before `worse`."""

    name = "forgetful"

    def draw(self, random: Random) -> Case:
        return tuple(random.choices(["good", "bad", "worse"], k=20))

    def check(self, case: Case) -> None:
        assert "bad" not in case or "worse" not in case[case.index("bad") :], "bad, then worse"

    def close(self) -> None:
        """Nothing is open."""


def test_a_find_is_made_as_small_as_it_gets() -> None:
    lane: Lane = Forgetful()
    case = lane.draw(Random(1))
    law = broken_law(lane, case)
    assert law is not None
    assert smaller(lane, case, law) == ("bad", "worse")
