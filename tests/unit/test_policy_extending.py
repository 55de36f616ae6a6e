"""A session goes on beyond its end where policy permits it, or where it lets people permit it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from tests.unit.policy_stage import ANN, BOT, DAN, NOW, judge_of, shipped, target

CONNECT = '@id("connect") permit (principal, action == Action::"connect", resource);'
EXTEND = '@id("extend") permit (principal, action == Action::"extend", resource) when { context.duration <= 3600 };'
AGENTS = '@id("agents") permit (principal in Group::"agents", action == Action::"extend", resource);'
HUMANS = '@id("humans") permit (principal in Group::"developers", action == Action::"extend", resource);'
ASKS = (
    '@id("{0}") @approvers("{1}") @break_glass("on-call") @max_duration("{2}h")'
    ' forbid (principal in Group::"{3}", action in [Action::"connect", Action::"extend"], resource)'
    ' unless {{ context.approvals.contains("{1}") }};'
)
DEV = target(labels={"env": "dev"})


def test_who_may_open_a_session_may_not_stay_by_that(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, CONNECT)
    assert isinstance(judge.opening(ANN, DEV, NOW), Allow)
    found = judge.extending(ANN, DEV, NOW)
    assert isinstance(found, Deny)
    assert (found.rule, found.reason) == ("default", "no rule permits `extend` on `prod-db`")


def test_the_length_that_rules_see_is_what_is_added(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EXTEND)
    assert isinstance(judge.extending(ANN, DEV, structs.replace(NOW, duration=3600)), Allow)
    assert isinstance(judge.extending(ANN, DEV, structs.replace(NOW, duration=3601)), Deny)


def test_an_agent_stays_only_where_it_and_its_human_may(tmp_path: Path) -> None:
    assert isinstance(judge_of(tmp_path / "both", AGENTS, HUMANS).extending(BOT, DEV, NOW), Allow)
    for one, name in ((AGENTS, "ann"), (HUMANS, "bot")):
        found = judge_of(tmp_path / name, one).extending(BOT, DEV, NOW)
        assert isinstance(found, Deny)
        assert found.reason == f"`{name}` may not: no rule permits `extend` on `prod-db`"


def both_asked(where: Path) -> CedarJudge:
    one, other = ASKS.format("a", "dba", 2, "agents"), ASKS.format("h", "privacy", 1, "developers")
    return judge_of(where, CONNECT, AGENTS, HUMANS, one, other)


def test_what_rules_demand_of_an_agent_and_of_its_human_holds_for_both(tmp_path: Path) -> None:
    judge = both_asked(tmp_path)
    found = judge.opening(BOT, DEV, NOW)
    assert isinstance(found, Ask)
    assert (found.rules, found.approvers) == (("a", "h"), {"dba": 1, "privacy": 1})
    breakers = (("on-call",),)
    assert found.conditions == Conditions(longest=3600, breakers=breakers, reviewers={"dba": 1, "privacy": 1})
    agreed = structs.replace(NOW, approvals=frozenset(found.approvers))
    assert isinstance(judge.opening(BOT, DEV, agreed), Allow)


def test_no_glass_is_broken_to_stay(tmp_path: Path) -> None:
    found = both_asked(tmp_path).extending(BOT, DEV, NOW)
    assert isinstance(found, Ask)
    assert found.conditions == Conditions(longest=3600)


def test_a_rule_in_shadow_tells_what_it_would_demand_more(tmp_path: Path) -> None:
    same = ASKS.format("soon", "dba", 2, "developers")
    shadow = f'@mode("shadow") @ticket("required") {same}'
    judge = judge_of(tmp_path, HUMANS, ASKS.format("now", "dba", 2, "developers"), shadow)
    found = judge.extending(ANN, DEV, NOW)
    assert isinstance(found, Ask)
    assert found.conditions == Conditions(longest=7200)
    assert found.shadow == "ask by `soon`"


def test_a_rule_that_cannot_be_evaluated_lets_nobody_stay(tmp_path: Path) -> None:
    errs = (
        '@id("errs") @approvers("dba") @break_glass("on-call")'
        ' forbid (principal, action in [Action::"connect", Action::"extend"], resource)'
        ' when { context.duration + 9223372036854775807 > 0 } unless { context.approvals.contains("dba") };'
    )
    judge = judge_of(tmp_path, CONNECT, HUMANS, errs)
    for found in (judge.extending(ANN, DEV, structs.replace(NOW, duration=60)),
                  judge.opening(ANN, DEV, structs.replace(NOW, duration=60))):  # fmt: skip
        assert isinstance(found, Deny)
        assert found.rule == "judge"


def test_what_people_cannot_lift_no_glass_lifts(tmp_path: Path) -> None:
    """A forbid without approvers beside one with: nothing is asked, so there is no glass to break."""
    plain = '@id("never") forbid (principal, action == Action::"connect", resource);'
    judge = judge_of(tmp_path, CONNECT, ASKS.format("asks", "dba", 1, "developers"), plain)
    found = judge.opening(ANN, DEV, NOW)
    assert isinstance(found, Deny)
    assert found.rule == "never"


def test_a_group_that_nobody_is_in_leaves_the_glass_alone(tmp_path: Path) -> None:
    """Such a rule is one for emergencies only: the ruling is an ask, and says who may go through."""
    found = judge_of(tmp_path, CONNECT, ASKS.format("asks", "nobody", 1, "developers")).opening(ANN, DEV, NOW)
    assert isinstance(found, Ask)
    assert (found.approvers, found.conditions.breakers) == ({"nobody": 1}, (("on-call",),))


@pytest.mark.parametrize(
    ("who", "labels", "expected"),
    [
        (ANN, {"env": "dev"}, Allow),
        (ANN, {"env": "prod"}, Ask),
        (DAN, {"env": "prod"}, Allow),
        (DAN, {"env": "prod", "approval": "required"}, Ask),
        (BOT, {"env": "dev"}, Deny),
        (Principal("eve", "human"), {"env": "dev"}, Deny),
    ],
)
def test_the_shipped_rules_let_people_stay(who: Principal, labels: dict[str, str], expected: type) -> None:
    assert isinstance(shipped().extending(who, target(labels=labels), NOW), expected)
