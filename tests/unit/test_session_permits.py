"""An opening is judged for what is asked, and a renewal by the policy that holds then, with what opened the session."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.permits import Permission, duration_of, judged, permit_again
from hoopx_broker.session.services import Services
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import Target
from tests.unit.leases_stage import target

ANN, DB = Principal("ann", "human"), target("prod-db")
PERMISSION = Permission(("r",), "why", "T-1", 28_800, approvals=frozenset({"dba"}))


def services(ruling: Callable[[Circumstances], Ruling]) -> Services:
    def opening(who: Principal, about: Target, now: Circumstances) -> Ruling:
        assert (who, about) == (ANN, DB)
        return ruling(now)

    judge = SimpleNamespace(opening=opening)
    return cast(Services, SimpleNamespace(judge=lambda: judge, clock=lambda: 1_000_030.0))


def test_it_is_asked_at_this_minute_with_the_approvals_reason_and_ticket_that_opened_it() -> None:
    heard: list[Circumstances] = []

    def ruling(now: Circumstances) -> Ruling:
        heard.append(now)
        return Allow(("r",), obligations={"profile": ("narrow",)})

    assert permit_again(services(ruling), PERMISSION, ANN, DB) == {"profile": ("narrow",)}
    assert heard == [Circumstances(1_000_020, "why", "T-1", 28_800, frozenset({"dba"}))]


@pytest.mark.parametrize(
    ("ruling", "told"),
    [
        (Deny("it is night", "hours"), "rule `hours` forbids the session on `prod-db` now: it is night"),
        (Ask("look first", ("four-eyes",), {"dpo": 1}), "rule `four-eyes` asks for another approval by now"),
    ],
)
def test_anything_else_than_an_allow_is_a_no(ruling: Any, told: str) -> None:
    with pytest.raises(Denied) as caught:
        permit_again(services(lambda _: ruling), PERMISSION, ANN, DB)
    assert caught.value.message == told


@pytest.mark.parametrize(("said", "gets"), [(False, 3_600), (True, 28_800)])
def test_who_names_no_length_gets_what_the_rules_take_and_who_does_is_told(said: bool, gets: int) -> None:
    asks = Ask("look first", ("four-eyes",), {"dpo": 1}, conditions=Conditions(longest=3_600))
    ruling, now = judged(services(lambda _: asks), ANN, DB, Circumstances(0, duration=28_800), is_length_said=said)
    assert (ruling, now.duration) == (asks, gets)


def test_a_length_that_the_rules_take_stays_what_it_is() -> None:
    def ruling(now: Circumstances) -> Ruling:
        return Ask("look first", ("four-eyes",), {"dpo": 1}, conditions=Conditions(longest=36_000))

    assert judged(services(ruling), ANN, DB, Circumstances(0, duration=60), is_length_said=False)[1].duration == 60


@pytest.mark.parametrize(("asked", "gets"), [(0, DB.longest), (60, 60), (DB.longest, DB.longest)])
def test_a_session_lasts_as_long_as_was_asked_or_as_long_as_its_target_takes(asked: int, gets: int) -> None:
    assert duration_of(asked, DB) == gets


@pytest.mark.parametrize(
    ("asked", "told"), [(-1, "less than no time"), (DB.longest + 1, "takes at most 1h, and this asks for 1h1s")]
)
def test_no_length_is_cut_in_silence(asked: int, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        duration_of(asked, DB)
    assert told in caught.value.message
    assert "`--for`" in caught.value.hint or "`--for 1h`" in caught.value.hint
