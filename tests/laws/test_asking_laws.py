"""Laws of rules that ask people: one more never makes it easier, and any annotation is understood or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, Literal

from cedarpy import policies_to_json_str
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from hoopx_broker.conditions.together import together
from hoopx_broker.policy.asking import ASKING, asked_of_people
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from tests.laws.depth import examples
from tests.unit.policy_stage import ANN, BOT, NOW, facts, judge_of, target

_GROUPS = ["dba", "security", "team:a"]
_TEXTS = {
    "quorum": ["1", "2"],
    "reason": ["required"],
    "ticket": ["required", "OPS-[0-9]+", "(WEB-[0-9]+)?"],
    "max_duration": ["1h", "4h"],
    "ask_window": ["Mon-Fri 09:00-17:00 Europe/Berlin", "Sat 22:00-06:00 UTC; Mon 00:00-24:00 UTC"],
    "answer_window": ["Mon-Sun 09:00-17:00 UTC"],
    "break_glass": ["on-call", "on-call,sre"],
    "estimate": ["rows"],
}
_ALL = '@id("all") permit (principal, action, resource);'
_BUILDING = settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_STRICTNESS: dict[type, int] = {Allow: 0, Ask: 1, Deny: 2}


@st.composite
def _rules(draw: st.DrawFn, name: str) -> str:
    """A forbid for sessions and statements that somebody can lift, or nobody."""
    scope = draw(st.sampled_from(["", ' in Group::"agents"', ' in Group::"developers"', ' in Group::"nobody"']))
    head = f'forbid (principal{scope}, action in [Action::"connect", Action::"update"], resource)'
    if draw(st.integers(0, 7)) == 0:
        return f'@id("{name}") {head};'
    group = draw(st.sampled_from(_GROUPS))
    chosen = draw(st.sets(st.sampled_from(sorted(_TEXTS)), max_size=4))
    annotations = {each: draw(st.sampled_from(_TEXTS[each])) for each in sorted(chosen)}
    if "break_glass" in annotations and draw(st.booleans()):
        annotations["review"] = draw(st.sampled_from(["security", "dba,security"]))
    written = " ".join(f'@{each}("{text}")' for each, text in annotations.items())
    return f'@id("{name}") @approvers("{group}") {written} {head} unless {{ context.approvals.contains("{group}") }};'


def _is_no_easier(one: Ruling, than: Ruling) -> bool:
    if isinstance(one, Ask) and isinstance(than, Ask):
        seats = all(one.approvers.get(group, 0) >= people for group, people in than.approvers.items())
        return seats and together([one.conditions, than.conditions]) == one.conditions
    return _STRICTNESS[type(one)] >= _STRICTNESS[type(than)]


def _rulings(judge: CedarJudge, who: Principal) -> tuple[Ruling, Ruling]:
    update = facts("update orders set state = 'paid' where id = 7")
    return judge.opening(who, target(), NOW), judge.statements(who, target(), update, NOW)


@_BUILDING
@given(_rules("one"), _rules("other"), st.sampled_from([ANN, BOT]))
def test_one_more_rule_never_makes_it_easier(tmp_path: Path, one: str, other: str, who: Principal) -> None:
    both = _rulings(judge_of(tmp_path / "both", _ALL, one, other), who)
    for alone in (one, other):
        for ruling, without in zip(both, _rulings(judge_of(tmp_path / "alone", _ALL, alone), who), strict=True):
            assert _is_no_easier(ruling, without)
    assert both == _rulings(judge_of(tmp_path / "turned", _ALL, other, one), who)


@_BUILDING
@given(_rules("one"), _rules("other"), st.sampled_from([ANN, BOT]))
def test_whoever_is_asked_can_lift_it(tmp_path: Path, one: str, other: str, who: Principal) -> None:
    """Nobody is bothered for nothing: with the consent of all, it is allowed."""
    judge = judge_of(tmp_path, _ALL, one, other)
    opening, statement = _rulings(judge, who)
    update = facts("update orders set state = 'paid' where id = 7")
    if isinstance(opening, Ask):
        agreed = structs.replace(NOW, approvals=frozenset(opening.approvers))
        assert isinstance(judge.opening(who, target(), agreed), Allow)
    if isinstance(statement, Ask):
        agreed = structs.replace(NOW, approvals=frozenset(statement.approvers))
        assert isinstance(judge.statements(who, target(), update, agreed), Allow)


_ATOMS = st.sampled_from(
    [
        'context.approvals.contains("dba")',
        'context.approvals.contains("security")',
        'context.approvals.containsAll(["dba", "security"])',
        'context.approvals.containsAny(["dba", "privacy"])',
        "context.approvals.isEmpty()",
        'resource.kind == "aws"',
        "context.duration > 60",
        "true",
    ]
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("(if {} then {} else {})".format, inner, inner, inner),
    ),
    max_leaves=5,
)


Situation = tuple[Literal["aws", "postgres"], int]
Refuses = Callable[[Situation, frozenset[str]], bool]


def _is_heard(refuses: Refuses, situations: list[Situation], group: str, groups: frozenset[str]) -> bool:
    befores = (frozenset[str](), groups - {group})
    return any(refuses(each, agreed) != refuses(each, agreed | {group}) for each in situations for agreed in befores)


@_BUILDING
@given(st.sampled_from(["when", "unless"]), _EXPRESSIONS, st.sampled_from(["dba", "dba,security"]))
@example("unless", 'resource.kind == "aws" || context.approvals.contains("dba")', "dba")
@example("unless", 'context.approvals.contains("dba") && context.approvals.contains("security")', "dba")
def test_a_rule_is_refused_as_one_that_nobody_lifts_where_cedar_says_so(
    tmp_path: Path, kind: str, expression: str, groups: str
) -> None:
    """What is read off the text of a rule is what the engine would do, whatever else the rule looks at."""
    body = f'forbid (principal, action == Action::"connect", resource) {kind} {{ {expression} }};'
    plain = judge_of(tmp_path / "plain", _ALL, f'@id("x") {body}')
    consent = frozenset(groups.split(","))

    def refuses(situation: Situation, agreed: frozenset[str]) -> bool:
        where, duration = situation
        now = structs.replace(NOW, duration=duration, approvals=agreed)
        return isinstance(plain.opening(ANN, structs.replace(target(), kind=where), now), Deny)

    situations: list[Situation] = list(product(("aws", "postgres"), (60, 61)))
    lifts = any(refuses(each, frozenset()) and not refuses(each, consent) for each in situations)
    unnamed = [group for group in consent if f'"{group}"' not in expression]
    heard = all(_is_heard(refuses, situations, group, consent) for group in unnamed)
    try:
        judge_of(tmp_path / "asking", _ALL, f'@id("x") @approvers("{groups}") {body}')
        assert lifts
    except BadPolicies:
        assert not (lifts and heard and "approvals" in expression)


_PARTS = [
    "dba",
    "security",
    ":",
    ",",
    ";",
    "-",
    "2",
    "Mon",
    "Fri",
    "09:00",
    "24:00",
    "UTC",
    "Europe/Berlin",
    " ",
    "1h",
    "[",
]
_PIECES = st.lists(st.sampled_from(_PARTS), max_size=9).map("".join)


def _policy() -> dict[str, Any]:
    text = (
        'forbid (principal, action in [Action::"connect", Action::"read"], resource)'
        ' unless { context.approvals.containsAll(["dba", "security"]) };'
    )
    found: dict[str, Any] = json.loads(policies_to_json_str(text))["staticPolicies"]["policy0"]
    return found


_POLICY = _policy()


@settings(max_examples=examples(40), deadline=None)
@given(st.dictionaries(st.sampled_from(ASKING), st.one_of(_PIECES, st.text(max_size=30)), max_size=4))
@example({"approvers": "dba,security", "ask_window": "x" + " " * 50_000})
@example({"approvers": "dba,security", "ask_window": "Mon 09:00-17:00 " + "x" * 5_000})
@example({"approvers": "dba,security", "quorum": "dba:1,security:" + "9" * 5_000})
@example({"approvers": "dba,security", "max_duration": "٣h", "ticket": "\ud800"})
def test_any_text_in_an_annotation_is_understood_or_refused(annotations: dict[str, str]) -> None:
    approvers, conditions, problems = asked_of_people(annotations, _POLICY)
    if "approvers" not in annotations:
        assert len(problems) == len(annotations)
    elif not problems:
        assert approvers.keys() == {"dba", "security"}
        assert all(conditions.breakers + conditions.ask_within)
    assert all(phrase.removeprefix("@") in annotations for phrase, _ in problems)
