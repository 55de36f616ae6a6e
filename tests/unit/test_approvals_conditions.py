"""What rules demand beside people is held to when it is asked, and when it is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.terms.approvals import Conditions, Window
from hoopx_broker.terms.errors import BadInput, Denied, ExitCode
from hoopx_broker.terms.rulings import Ask
from tests.unit.approvals_stage import ANN, BOB, DELETION, ONE_DBA, OPENING, TWO_DBAS, Play, Stage, player

DAY = 24 * 3600
WEEK = Window("Europe/Berlin", (1, 2, 3, 4, 5), 9 * 60, 17 * 60)  # the stage stands on a Friday at 13:00 there
NIGHT = Window("America/New_York", (1, 2, 3, 4, 5, 6, 7), 22 * 60, 6 * 60)


def under(**conditions: object) -> Ask:
    return structs.replace(ONE_DBA, conditions=Conditions(**conditions))  # type: ignore[arg-type]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


MISSING = [
    (under(needs_reason=True), "", "", 0, "rule `sensitive` asks for a reason", "--reason"),
    (under(needs_reason=True), " \t\n", "", 0, "rule `sensitive` asks for a reason", "--reason"),
    (under(needs_ticket=True), "why", "", 0, "rule `sensitive` asks for a ticket", "--ticket OPS-17"),
    (under(needs_ticket=True, tickets=("OPS-[0-9]+",)), "", "", 0, "asks for a ticket", "looks like `OPS-[0-9]+`"),
    (under(tickets=("OPS-[0-9]+",)), "", "OPS-17x", 0, "does not take the ticket `OPS-17x`", "`OPS-[0-9]+`"),
    (under(tickets=("OPS-[0-9]+",)), "", "see OPS-17", 0, "does not take the ticket `see OPS-17`", "`OPS-[0-9]+`"),
    (under(tickets=("OPS-[0-9]+",)), "", "OPS-1\n", 0, "does not take the ticket", "`OPS-[0-9]+`"),
    (under(tickets=("OPS-.*", ".*-1")), "", "OPS-2", 0, "not take the ticket `OPS-2`", "`OPS-.*` and `.*-1`"),
    (under(tickets=("(",)), "", "OPS-2", 0, "does not take the ticket `OPS-2`", "`(`"),
    (under(longest=3600), "", "", 3601, "takes at most 1h, and this asks for 1h1s", "--for 1h"),
]


@pytest.mark.parametrize(("ruling", "reason", "ticket", "seconds", "what", "remedy"), MISSING)
def test_what_is_missing_is_said_with_how_to_give_it(
    play: Play, ruling: Ask, reason: str, ticket: str, seconds: int, what: str, remedy: str
) -> None:
    async def scene(s: Stage) -> None:
        matter = structs.replace(OPENING, duration=seconds)
        with pytest.raises(BadInput) as refused:
            await s.desk.ask(matter, ANN, ruling, reason=reason, ticket=ticket)
        assert what in refused.value.message
        assert remedy in refused.value.hint
        assert refused.value.exit_code is ExitCode.USAGE
        assert "\n" not in refused.value.message + refused.value.hint
        assert await s.desk.list() == ()

    play(scene)


@pytest.mark.parametrize(
    ("ruling", "reason", "ticket", "seconds"),
    [
        (under(needs_reason=True, needs_ticket=True, tickets=("OPS-[0-9]+",), longest=3600), "why", "OPS-17", 3600),
        (under(tickets=("OPS-[0-9]+",)), "", "", 0),  # a pattern alone is for tickets that are given
        (under(ask_within=((WEEK,),)), "", "", 0),
        (under(ask_within=((NIGHT, WEEK),)), "", "", 0),
    ],
)
def test_who_gives_what_is_demanded_is_heard(play: Play, ruling: Ask, reason: str, ticket: str, seconds: int) -> None:
    async def scene(s: Stage) -> None:
        matter = structs.replace(OPENING, duration=seconds)
        view = await s.desk.ask(matter, ANN, ruling, reason=reason, ticket=ticket)
        assert (view.state, view.conditions) == ("waiting", ruling.conditions)
        assert (await s.desk.get(view.id)).conditions == ruling.conditions  # type: ignore[arg-type]

    play(scene)


def test_nobody_asks_outside_the_hours_and_hears_when_they_begin(play: Play) -> None:
    async def scene(s: Stage) -> None:
        ruling = under(ask_within=((WEEK,),))
        s.now += 4 * 3600  # 17:00 in Berlin
        with pytest.raises(Denied, match="lets nobody ask now: Mon-Fri 09:00-17:00 Europe/Berlin") as denied:
            await s.desk.ask(OPENING, ANN, ruling)
        assert denied.value.hint == "it opens Mon 2026-11-30 09:00 CET"
        s.now -= 1
        assert (await s.desk.ask(OPENING, ANN, ruling)).state == "waiting"

    play(scene)


def test_hours_of_several_rules_must_all_be_open(play: Play) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(Denied, match="Mon-Fri 09:00-17:00 Europe/Berlin; and Mon-Sun 22:00-06:00") as denied:
            await s.desk.ask(OPENING, ANN, under(ask_within=((WEEK,), (NIGHT,))))
        assert denied.value.hint == "it opens Mon 2026-11-30 09:00 CET"
        never = under(ask_within=((WEEK,), (Window("Mars/Olympus", (1,), 0, 60),)))
        with pytest.raises(Denied) as denied:
            await s.desk.ask(OPENING, ANN, never)
        assert "does not open within two weeks" in denied.value.hint

    play(scene)


def test_a_request_that_was_asked_in_time_is_found_again_later(play: Play) -> None:
    async def scene(s: Stage) -> None:
        ruling = under(ask_within=((WEEK,),))
        s.now += 4 * 3600 - 60
        first = await s.desk.ask(OPENING, ANN, ruling, wait=900)
        s.now += 120
        assert (await s.desk.ask(OPENING, ANN, ruling, wait=900)).id == first.id

    play(scene)


def test_nobody_agrees_outside_the_hours_of_approvers_but_a_no_is_taken_at_any_time(play: Play) -> None:
    async def scene(s: Stage) -> None:
        ruling = structs.replace(TWO_DBAS, conditions=Conditions(answer_within=((WEEK,),)))
        s.now += DAY  # Saturday
        request = await s.asked(ruling=ruling)
        with pytest.raises(Denied, match=f"takes no agreement to request `{request}` now: Mon-Fri") as denied:
            await s.desk.vote(request, BOB, "approve")
        assert denied.value.hint.startswith("it opens Mon 2026-11-30 09:00 CET; `hoopx deny")
        assert denied.value.exit_code is ExitCode.DENIED
        assert (await s.desk.get(request)).ballots == ()
        assert (await s.desk.vote(request, BOB, "deny")).state == "denied"

    play(scene)


def test_length_is_no_matter_of_statements(play: Play) -> None:
    async def scene(s: Stage) -> None:
        assert (await s.desk.ask(DELETION, ANN, under(longest=60))).state == "waiting"

    play(scene)


def test_other_conditions_are_another_request(play: Play) -> None:
    async def scene(s: Stage) -> None:
        one = await s.desk.ask(OPENING, ANN, under(), reason="a")
        other = await s.desk.ask(OPENING, ANN, under(answer_within=((WEEK,),)), reason="a")
        assert one.id != other.id

    play(scene)
