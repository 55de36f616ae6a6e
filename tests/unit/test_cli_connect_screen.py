"""The screen that a person sees at `hoopx connect`: whole, narrow, without colour."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import Counts
from tests.unit.cli_broker_double import opened
from tests.unit.cli_screen import Person
from tests.unit.cli_stage import Stage, stage_in


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


def _opening(stage: Stage, seconds: float) -> None:
    stage.double.answers = lambda order: [
        replace(opened(order.target), expires_at=time.time() + seconds),
        Counts(12, 1, 3, 0),
    ]


def test_the_live_line_counts_in_place(stage: Stage) -> None:
    _opening(stage, 3599)
    person = Person(stage, 80, "connect", "prod-db")
    person.sees("prod-db · 0 connections · 12 statements · 1 denied · 3 masked · 59 min")
    stage.double.say(Counts(13, 2, 3, 1))
    person.sees("prod-db · 13 statements · 2 denied · 3 masked · 1 waiting · 59 min")
    assert person.text.count("statements") == 1, "it is one line, however often it changes"
    assert person.text.startswith("postgresql://hoopx:")
    assert person.leaves() == 130


def test_a_narrow_terminal_holds_it_in_one_line(stage: Stage) -> None:
    _opening(stage, 250)
    person = Person(stage, 40, "connect", "prod-db", "--print", "psql")
    person.sees("prod-db · 1 denied · 4 min")
    stage.double.say(Counts(99, 7, 3, 1))
    person.sees("prod-db · 7 denied · 1 waiting · ")
    assert person.text.count("prod-db ·") == 1
    assert "prod-db: 4 min" in person.text, "its end is near"
    assert person.leaves() == 130


def test_without_colour_nothing_moves(stage: Stage) -> None:
    _opening(stage, 3599)
    person = Person(stage, 80, "connect", "prod-db", NO_COLOR="1")
    person.sees("is open until")
    assert person.leaves() == 130
    assert "statements" not in person.text


def test_several_are_told_apart(stage: Stage) -> None:
    _opening(stage, 3599)
    person = Person(stage, 80, "connect", "prod-db", "stage", "--print", "psql")
    person.sees("2 sessions · 24 statements · 2 denied · 6 masked · 59 min")
    assert person.leaves() == 130
    assert "the sessions with `prod-db` and `stage` are over" in person.text


def test_a_childs_screen_is_its_own(stage: Stage) -> None:
    _opening(stage, 3599)
    person = Person(stage, 80, "connect", "prod-db", "--", "sh", "-c", "printf 'one\\ntwo '; sleep 2; echo three")
    person.sees("two three")
    assert person.text.strip() == "one\ntwo three"
