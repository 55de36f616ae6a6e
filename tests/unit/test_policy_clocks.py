"""Rules read the clock of any time zone, summer time and all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from hoopx_broker.policy import trial
from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.rulings import Allow, Deny
from tests.unit.policy_stage import ANN, NOW, facts, judge_of, target

EVERYTHING = '@id("everything") permit (principal, action, resource);'
BERLIN_HOURS = (
    '@id("hours") forbid (principal, action, resource) unless {'
    ' Clock::"Europe/Berlin".weekday <= 5 &&'
    ' Clock::"Europe/Berlin".hour >= 9 && Clock::"Europe/Berlin".hour < 17 };'
)


def at(text: str) -> Circumstances:
    return structs.replace(NOW, now=int(datetime.fromisoformat(text).timestamp()))


def test_office_hours_hold_for_statements_and_sessions_alike(tmp_path: Path) -> None:
    everything = BERLIN_HOURS.replace("action,", 'action in [Action::"connect", Action::"query"],')
    judge = judge_of(tmp_path, EVERYTHING, everything)
    for now, verdict in {
        "2026-01-12T08:00:00Z": Allow,  # a Monday, 9 o'clock in Berlin
        "2026-01-12T07:59:00Z": Deny,
        "2026-01-12T15:59:00Z": Allow,
        "2026-01-12T16:00:00Z": Deny,
        "2026-01-17T10:00:00Z": Deny,  # a Saturday
    }.items():
        assert isinstance(judge.statements(ANN, target(), facts("select 1"), at(now)), verdict)
        assert isinstance(judge.opening(ANN, target(), at(now)), verdict)


def test_summer_time_moves_the_hours(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EVERYTHING, BERLIN_HOURS.replace("action,", 'action == Action::"connect",'))
    before, after = "2026-03-27T07:30:00Z", "2026-03-30T07:30:00Z"  # a Friday and a Monday, with 29 March between
    assert isinstance(judge.opening(ANN, target(), at(before)), Deny)
    assert isinstance(judge.opening(ANN, target(), at(after)), Allow)


def test_an_hour_that_comes_twice_is_that_hour_both_times(tmp_path: Path) -> None:
    rule = (
        '@id("two") permit (principal, action == Action::"connect", resource)'
        ' when { Clock::"Europe/Berlin".hour == 2 && Clock::"Europe/Berlin".minute == 30 };'
    )
    judge = judge_of(tmp_path, rule)
    allowed = [f"2026-10-25T{hour:02}:30:00Z" for hour in (0, 1)]
    refused = ["2026-10-25T02:30:00Z", "2026-10-24T23:30:00Z", "2026-10-25T00:31:00Z"]
    assert all(isinstance(judge.opening(ANN, target(), at(now)), Allow) for now in allowed)
    assert all(isinstance(judge.opening(ANN, target(), at(now)), Deny) for now in refused)


def test_days_begin_where_the_clock_is(tmp_path: Path) -> None:
    rule = (
        '@id("holidays") permit (principal, action == Action::"connect", resource) when {'
        ' ["2026-01-01", "2026-12-25"].contains(Clock::"Pacific/Auckland".date) &&'
        ' Clock::"Pacific/Auckland".day == 1 && Clock::"Pacific/Auckland".month == 1 &&'
        ' Clock::"America/New_York".month == 12 };'
    )
    judge = judge_of(tmp_path, rule)
    assert isinstance(judge.opening(ANN, target(), at("2025-12-31T12:00:00Z")), Allow)
    assert isinstance(judge.opening(ANN, target(), at("2025-12-31T10:00:00Z")), Deny)


@pytest.mark.parametrize("zone", ["Europe/Berlyn", "", "../../etc/passwd", "Europe", "/etc/localtime", "Europe/Bérlin"])
def test_a_zone_that_nobody_knows_is_a_problem_with_its_place(tmp_path: Path, zone: str) -> None:
    rule = f'@id("x") permit (principal, action == Action::"read", resource)\nwhen {{ Clock::"{zone}".hour > 3 }};'
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, EVERYTHING, rule)
    (problem,) = caught.value.problems
    assert problem.line == 3
    assert problem.message == f'`Clock::"{zone}"` is no time zone; they are named as `Europe/Berlin`'


def test_a_misspelt_hand_of_a_clock_is_a_problem(tmp_path: Path) -> None:
    rule = '@id("x") permit (principal, action == Action::"read", resource)\nwhen { Clock::"UTC".hours > 3 };'
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, rule)
    assert caught.value.problems[0].line == 2
    assert "`hours`" in caught.value.problems[0].message


@pytest.mark.parametrize(
    "scope",
    [
        "action",
        'action == Action::"reveal"',
        'action in [Action::"session.view"]',
        'action == Action::"identity.revoke"',
    ],
)
def test_a_clock_where_no_time_is_known_is_a_problem(tmp_path: Path, scope: str) -> None:
    """Evaluating it would err, and hide every column from everybody, or let nobody shut anybody out."""
    rule = f'@id("x") permit (principal, {scope}, resource)\nwhen {{ Clock::"UTC".hour > 3 }};'
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, rule)
    assert "clocks are for sessions and statements only" in caught.value.problems[0].message
    assert caught.value.problems[0].line == 2


def test_cases_say_when_in_words_of_the_calendar(tmp_path: Path) -> None:
    (tmp_path / "r.cedar").write_text(EVERYTHING + BERLIN_HOURS.replace("action,", 'action == Action::"connect",'))
    case = "- {name: %s, as: {user: a}, on: {target: t}, connect: true, with: {now: %s}, expect: {decision: %s}}\n"
    (tmp_path / "r.yaml").write_text(
        case % ("summer", "2026-07-15T09:30:00+02:00", "allow")
        + case % ("winter", "2026-01-15T07:59:00Z", "deny")
        + case % ("seconds", 1767614400, "allow")
        + case % ("zoneless", "2026-01-15T08:59:00", "deny")
    )
    outcome = trial.run(load(tmp_path))
    assert outcome.cases == 3
    assert [(failure.line, "timezone" in failure.message) for failure in outcome.failures] == [(4, True)]


def test_the_zones_of_a_policy_are_known_by_name(tmp_path: Path) -> None:
    judge_of(tmp_path, EVERYTHING, BERLIN_HOURS.replace("action,", 'action == Action::"connect",'))
    assert load(tmp_path).clocks == {"Europe/Berlin": ZoneInfo("Europe/Berlin")}
