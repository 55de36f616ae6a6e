"""What a forbid asks of people is read off its annotations, and every mistake in them is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.approvals.bounds import MAX_SEATS
from hoopx_broker.policy.asking import ASKING, MAX_PEOPLE
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.terms.approvals import Conditions, Window
from hoopx_broker.terms.rulings import Ask
from tests.unit.policy_stage import ANN, NOW, facts, judge_of, target

ALL = '@id("all") permit (principal, action, resource);'


def rule(annotations: str, groups: str = "dba", action: str = 'action == Action::"connect"', name: str = "asks") -> str:
    """A forbid with these annotations that all of `groups` can lift."""
    agreed = " && ".join(f'context.approvals.contains("{group}")' for group in groups.split(","))
    named = f'@approvers("{groups}")'
    return f'@id("{name}")\n{named}\n{annotations}\nforbid (principal, {action}, resource)\nunless {{ {agreed} }};'


def asked(where: Path, annotations: str, groups: str = "dba", action: str = 'action == Action::"connect"') -> Ask:
    judge = judge_of(where, ALL, rule(annotations, groups, action))
    ruling = (
        judge.opening(ANN, target(), NOW)
        if "connect" in action
        else judge.statements(ANN, target(), facts("select 1"), NOW)
    )
    assert isinstance(ruling, Ask), ruling
    return ruling


def test_everything_that_can_be_said_is_understood(tmp_path: Path) -> None:
    annotations = (
        '@quorum("dba:2,security:1") @reason("required") @ticket("OPS-[0-9]+") @max_duration("1h30m")'
        '@ask_window("Mon-Fri 09:00-17:00 Europe/Berlin; Sat, Sun 22:00-02:00 UTC")'
        '@answer_window("Mon-Sun 00:00-24:00 UTC") @break_glass("on-call,team:sre") @review("security")'
    )
    ruling = asked(tmp_path, annotations, "dba,security")
    assert ruling.approvers == {"dba": 2, "security": 1}
    assert ruling.conditions == Conditions(
        needs_reason=True,
        needs_ticket=True,
        tickets=("OPS-[0-9]+",),
        longest=5400,
        ask_within=((Window("Europe/Berlin", (1, 2, 3, 4, 5), 540, 1020), Window("UTC", (6, 7), 1320, 120)),),
        answer_within=((Window("UTC", (1, 2, 3, 4, 5, 6, 7), 0, 1440),),),
        breakers=(("on-call", "team:sre"),),
        reviewers={"security": 1},
    )


def test_a_rule_that_says_no_more_demands_no_more(tmp_path: Path) -> None:
    assert asked(tmp_path, "").conditions == Conditions()


@pytest.mark.parametrize(
    ("annotations", "conditions"),
    [
        ('@ticket("required")', Conditions(needs_ticket=True)),
        ('@ticket("(OPS-[0-9]+)?")', Conditions(tickets=("(OPS-[0-9]+)?",))),  # none, or one that looks like this
        ('@break_glass("on-call")', Conditions(breakers=(("on-call",),), reviewers={"dba": 1})),
        ('@max_duration("1d")', Conditions(longest=86400)),
    ],
)
def test_what_is_left_out_is_the_usual(tmp_path: Path, annotations: str, conditions: Conditions) -> None:
    assert asked(tmp_path, annotations).conditions == conditions


def test_groups_may_have_colons_in_their_names(tmp_path: Path) -> None:
    """Providers name groups `org:team`; of a quorum the last colon counts."""
    ruling = asked(tmp_path, '@quorum("acme:dba:2,urn:x:7:1") @review("acme:sec:1") @break_glass("acme:sre")',
                   "acme:dba,urn:x:7")  # fmt: skip
    assert ruling.approvers == {"acme:dba": 2, "urn:x:7": 1}
    assert ruling.conditions.reviewers == {"acme:sec:1": 1}


QUERY = 'action in Action::"query"'
READ_OR_OPEN = 'action in [Action::"connect", Action::"read"]'
FORM = "write it as `Mon-Fri 09:00-17:00 Europe/Berlin`"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ('@reason("please")', 'takes one word only: `@reason("required")`'),
        ("@reason", 'takes one word only: `@reason("required")`'),
        ('@estimate("cost")', "takes one word only"),
        ('@ticket("OPS-(?=[0-9])")', "is not a pattern of RE2: invalid perl operator: (?="),
        ('@ticket("[")', "is not a pattern of RE2: missing ]"),
        ("@ticket", "is not 1 to 200 printable characters"),
        (f'@ticket("{"x" * 201}")', "is not 1 to 200 printable characters"),
        ('@max_duration("an hour")', "is a length of time such as `15m`"),
        ('@max_duration("0m")', "is a length of time such as `15m`"),
        ('@max_duration("31d")', "at most 30 days"),
        ('@max_duration("90")', "is a length of time such as `15m`"),
        ('@ask_window("Mon-Fri 09:00-17:00 Europe/Berlyn")', "has `Europe/Berlyn`, which is no time zone"),
        ('@ask_window("Mon-Fri 09:00-17:00 ../../etc/passwd")', "which is no time zone"),
        ('@ask_window("Mo-Fr 09:00-17:00 UTC")', "has the days `Mo-Fr`; they are Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ('@ask_window("Mon-Fri- 09:00-17:00 UTC")', "has the days `Mon-Fri-`"),
        ('@ask_window("Mon,,Fri 09:00-17:00 UTC")', "has the days `Mon,,Fri`"),
        ('@ask_window("Mon 09:00-09:00 UTC")', "which is never open; a whole day is `00:00-24:00`"),
        ('@ask_window("Mon 24:00-09:00 UTC")', "which is never open"),
        ('@ask_window("Mon 09:60-17:00 UTC")', "has `09:60`, which no clock shows"),
        ('@ask_window("Mon 09:00-24:01 UTC")', "has `24:01`, which no clock shows"),
        ('@ask_window("Mon 9-17 UTC")', f"has `Mon 9-17 UTC`, which is no window; {FORM}"),
        ('@ask_window("09:00-17:00 UTC")', "has `09:00-17:00 UTC`, which is no window"),
        ('@answer_window("Mon-Fri 09:00-17:00 UTC;")', "has ``, which is no window"),
        ('@answer_window("Mon-Fri 09:00-17:00")', "which is no window"),
        (f'@ask_window("{";".join(["Mon 09:00-17:00 UTC"] * 21)}")', "has more than 20 windows"),
        ('@break_glass("on-call,")', "is a list of different groups"),
        ('@break_glass("on-call") @review("a,a")', "is a list of different groups"),
        ('@review("security")', "needs `@break_glass`: there is nothing else to review"),
        ('@quorum("security:1")', "says `security:1`; it has each group of `@approvers` once"),
        ('@quorum("dba:1,dba:2")', "says `dba:2`; it has each group of `@approvers` once"),
        ('@quorum("dba:0")', "is a number from 1 to 20"),
        ('@quorum("dba:21")', "is a number from 1 to 20"),
        ('@quorum("dba:")', "is a number from 1 to 20"),
        ('@quorum("99999999999999999999")', "is a number from 1 to 20"),
        ('@quorum(":1")', "says `:1`; it has each group"),
        ('@approvals("2")', "unknown annotation"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, annotation: str, message: str) -> None:
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, ALL, rule(annotation, action=READ_OR_OPEN))
    found = caught.value.problems
    assert len(found) == 1, found
    assert message in found[0].message
    assert found[0].line == 4
    assert found[0].message.startswith("`@") or "unknown annotation" in found[0].message


@pytest.mark.parametrize(
    ("annotation", "action", "message"),
    [
        ('@max_duration("1h")', QUERY, "`@max_duration` is for what lasts"),
        ('@max_duration("1h")', 'action == Action::"probe"', "`@max_duration` is for what lasts"),
        ('@estimate("rows")', 'action == Action::"connect"', "`@estimate` is for statements"),
        ('@estimate("rows")', 'action in [Action::"connect", Action::"extend"]', "`@estimate` is for statements"),
        ('@break_glass("on-call")', 'action == Action::"extend"', "the glass is broken to open"),
    ],
)
def test_a_condition_that_would_mean_nothing_is_a_mistake(
    tmp_path: Path, annotation: str, action: str, message: str
) -> None:
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, ALL, rule(annotation, action=action))
    assert [message in problem.message for problem in caught.value.problems] == [True]


@pytest.mark.parametrize(
    ("annotation", "action"),
    [
        ('@max_duration("1h") @estimate("rows") @break_glass("on-call")', READ_OR_OPEN),
        ('@ask_window("Mon 09:00-17:00 UTC") @reason("required") @ticket("required") @estimate("rows")', QUERY),
        ('@max_duration("1h")', 'action == Action::"extend"'),
    ],
)
def test_a_condition_that_means_something_for_one_action_of_a_rule_is_none(
    tmp_path: Path, annotation: str, action: str
) -> None:
    judge_of(tmp_path, ALL, rule(annotation, action=action))


def test_a_quorum_names_every_group_or_none(tmp_path: Path) -> None:
    with pytest.raises(BadPolicies, match="does not say how many of `privacy` and `security`"):
        judge_of(tmp_path, ALL, rule('@quorum("dba:2")', "dba,privacy,security"))


def test_no_rule_asks_for_more_people_than_a_request_has_seats(tmp_path: Path) -> None:
    assert MAX_PEOPLE == MAX_SEATS
    with pytest.raises(BadPolicies, match="asks for 60 people; 50 is the most"):
        judge_of(tmp_path, ALL, rule('@quorum("20")', "a,b,c"))


@pytest.mark.parametrize("name", [name for name in ASKING if name != "approvers"])
def test_conditions_are_for_approvals_only(tmp_path: Path, name: str) -> None:
    forbid = f'@id("x")\n@{name}("1")\nforbid (principal, action == Action::"connect", resource);'
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path / "forbid", ALL, forbid)
    assert [str(problem.line) + problem.message for problem in caught.value.problems] == [
        f"3`@{name}` needs `@approvers`"
    ]
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path / "permit", forbid.replace("forbid", "permit"))
    assert "belongs on a `forbid`" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("groups", "condition", "message"),
    [
        ("dba", 'unless { context.approvals.contains("security") }', 'not look at `context.approvals.contains("dba")`'),
        ("dba", 'unless { context.approvals.containsAll(["dba", "security"]) }', "even when all of them have agreed"),
        ("dba", 'unless { context.approvals.contains("dba") && context.approvals.contains("security") }', "even when"),
        ("dba", 'unless { resource.kind == "aws" || (context.approvals.contains("dba")'
         ' && context.approvals.contains("security")) }', "even when all of them have agreed"),
        ("dba", 'when { context.approvals.contains("dba") }', "even when all of them have agreed"),
        ("dba", 'unless { !context.approvals.contains("dba") }', "even when all of them have agreed"),
        ("dba", 'unless { resource.kind == "aws" && context.approvals.contains("dba")'
         ' && !context.approvals.contains("dba") }', "even when all of them have agreed"),
        ("dba,security", 'unless { context.approvals.contains("dba") }', 'contains("security")`, so asking them'),
        ("dba", 'unless { if context.approvals.contains("dba") then false else true }', "even when all of them"),
    ],
)  # fmt: skip
def test_a_rule_that_looks_for_other_people_than_it_asks_is_a_mistake(
    tmp_path: Path, groups: str, condition: str, message: str
) -> None:
    forbid = f'@id("x") @approvers("{groups}")\nforbid (principal, action == Action::"connect", resource)\n{condition};'
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, ALL, forbid)
    assert [message in problem.message for problem in caught.value.problems] == [True], caught.value.problems


@pytest.mark.parametrize(
    "condition",
    [
        'unless { context.approvals.containsAny(["dba", "security"]) }',
        'when { !context.approvals.contains("dba") }',
        'when { resource.kind == "postgres" && !context.approvals.containsAll(["dba"]) }',
        'unless { context.ticket like "OPS-*" && context.approvals.contains("dba") }',
        'unless { context.approvals.contains("dba") || principal in Group::"dba" }\nwhen { context.duration > 60 }',
        'unless { if resource.kind == "aws" then true else context.approvals.contains("dba") }',
        "when { context.approvals.isEmpty() }",
        'unless { ["dba", "x"].containsAll(context.approvals) && !context.approvals.isEmpty() }',
    ],
)
def test_a_rule_that_its_people_can_lift_is_none(tmp_path: Path, condition: str) -> None:
    forbid = f'@id("x") @approvers("dba")\nforbid (principal, action == Action::"connect", resource)\n{condition};'
    judge_of(tmp_path, ALL, forbid)


def test_several_rules_are_asked_about_together(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        ALL,
        rule('@reason("required") @max_duration("4h") @break_glass("on-call") @review("security")', name="one"),
        rule('@quorum("2") @ticket("OPS-.*") @max_duration("1h") @break_glass("sre")', "dba", name="two"),
    )
    ruling = judge.opening(ANN, target(), NOW)
    assert isinstance(ruling, Ask)
    assert (ruling.rules, ruling.approvers) == (("one", "two"), {"dba": 2})
    assert ruling.conditions == Conditions(
        needs_reason=True,
        needs_ticket=True,
        tickets=("OPS-.*",),
        longest=3600,
        breakers=(("on-call",), ("sre",)),
        reviewers={"security": 1, "dba": 1},
    )


def test_no_glass_is_broken_where_one_rule_has_none(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, ALL, rule('@break_glass("on-call")', name="one"), rule("", "security", name="two"))
    ruling = judge.opening(ANN, target(), NOW)
    assert isinstance(ruling, Ask)
    assert (ruling.conditions.breakers, ruling.conditions.reviewers) == ((), {})


def test_conditions_are_part_of_the_version_of_policies(tmp_path: Path) -> None:
    """An approval under other conditions was another approval."""
    versions = [judge_of(tmp_path, ALL, rule(f'@max_duration("{hours}h")')).version for hours in (1, 2, 1)]
    assert versions[0] == versions[2] != versions[1]
