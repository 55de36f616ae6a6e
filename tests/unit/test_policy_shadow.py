"""A rule in shadow decides nothing; what it would have done is told beside the ruling."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy import trial
from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.terms.people import Owner
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from tests.unit.policy_stage import ANN, BOT, EMAIL, NOW, facts, judge_of, ruled, target

READING = '@id("reading") permit (principal, action == Action::"read", resource);'
NO_CARDS = '@id("no-cards") @mode("shadow") forbid (principal, action, resource == Table::"prod-db/public.cards");'
CARDS = "select * from cards"
ASKING = (
    '@id("ask-first") @approvers("dba") @mode("shadow") forbid (principal, action == Action::"read", resource)'
    ' unless { context.approvals.contains("dba") };'
)


def by(where: Path, sql: str, *rules: str) -> Ruling:
    return ruled(judge_of(where, *rules), sql)


def test_a_forbid_in_shadow_refuses_nothing_and_says_that_it_would(tmp_path: Path) -> None:
    assert by(tmp_path, CARDS, READING, NO_CARDS) == Allow(("reading",), shadow="deny by `no-cards`")
    assert by(tmp_path, "select * from orders", READING, NO_CARDS) == Allow(("reading",))


def test_the_same_rule_enforced_refuses(tmp_path: Path) -> None:
    ruling = by(tmp_path, CARDS, READING, NO_CARDS.replace("shadow", "enforce"))
    assert isinstance(ruling, Deny)
    assert (ruling.rule, ruling.shadow) == ("no-cards", "")


def test_a_forbid_in_shadow_adds_nothing_to_a_refusal(tmp_path: Path) -> None:
    ruling = by(tmp_path, "delete from cards where id = 1", READING, NO_CARDS)
    assert isinstance(ruling, Deny)
    assert (ruling.rule, ruling.shadow) == ("default", "")


def test_a_permit_in_shadow_permits_nothing_and_says_that_it_would(tmp_path: Path) -> None:
    ruling = by(tmp_path, CARDS, READING.replace("permit", '@mode("shadow") permit'))
    assert isinstance(ruling, Deny)
    assert (ruling.rule, ruling.shadow) == ("default", "allow by `reading`")


def test_a_forbid_in_shadow_with_approvers_asks_nobody(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, READING, ASKING)
    assert ruled(judge, CARDS) == Allow(("reading",), shadow="ask by `ask-first`")
    granted = structs.replace(NOW, approvals=frozenset({"dba"}))
    assert judge.statements(ANN, target(), facts(CARDS), granted) == Allow(("reading",))


def test_nobody_would_be_asked_for_what_would_be_denied(tmp_path: Path) -> None:
    assert by(tmp_path, CARDS, READING, ASKING, NO_CARDS) == Allow(("reading",), shadow="deny by `no-cards`")


def test_a_question_to_people_says_whom_a_rule_in_shadow_would_ask_too(tmp_path: Path) -> None:
    enforced = ASKING.replace("shadow", "enforce").replace("ask-first", "ask-anyway")
    two = ASKING.replace("@approvers", '@quorum("2") @approvers')
    same = by(tmp_path / "same", CARDS, READING, enforced, ASKING)
    more = by(tmp_path / "more", CARDS, READING, enforced, two)
    denied = by(tmp_path / "denied", CARDS, READING, enforced, NO_CARDS)
    assert [type(each) for each in (same, more, denied)] == [Ask, Ask, Ask]
    assert [each.shadow for each in (same, more, denied)] == ["", "ask by `ask-first`", "deny by `no-cards`"]
    assert isinstance(more, Ask)
    assert more.approvers == {"dba": 1}


@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_rule_in_shadow_that_errs_denies_nothing_and_is_told(tmp_path: Path, effect: str) -> None:
    erring = f'@id("odd") @mode("shadow") {effect} (principal, action == Action::"read", resource)'
    judge = judge_of(tmp_path, READING, erring + " when { context.duration * 9223372036854775807 > 0 };")
    now = structs.replace(NOW, duration=5)
    assert judge.statements(ANN, target(), facts(CARDS), now) == Allow(("reading",), shadow="error in `odd`")
    assert judge.statements(ANN, target(), facts(CARDS), NOW) == Allow(("reading",))


def test_a_rule_that_errs_once_people_agreed_is_no_reason_to_deny_now(tmp_path: Path) -> None:
    """Whether a request would be granted is looked at for the sake of the shadow alone."""
    erring = (
        '@id("odd") forbid (principal, action == Action::"read", resource)'
        ' when { context.approvals.contains("dba") && context.duration * 9223372036854775807 > 0 };'
    )
    judge = judge_of(tmp_path, READING, ASKING, erring)
    now = structs.replace(NOW, duration=5)
    assert judge.statements(ANN, target(), facts(CARDS), now) == Allow(("reading",), shadow="deny by `judge`")


def test_opening_a_session_has_a_shadow_too(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("open") permit (principal, action == Action::"connect", resource);',
        '@id("not-agents") @mode("shadow") forbid (principal, action == Action::"connect", resource)'
        ' when { principal.kind == "agent" };',
    )
    assert judge.opening(BOT, target(), NOW) == Allow(("open",), shadow="deny by `not-agents` for `bot`")
    assert judge.opening(ANN, target(), NOW) == Allow(("open",))


def test_a_rule_in_shadow_hides_and_reveals_nothing(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("raw") @mode("shadow") permit (principal, action, resource);',
        '@id("view") @mode("shadow") permit (principal, action in [Action::"session.view", Action::"read"], resource);',
    )
    assert judge.hidden(ANN, target(email="email")) == {EMAIL: "email"}
    assert isinstance(judge.may_view_session(ANN, target(), Owner("ann")), Deny)


def test_what_lies_behind_and_columns_have_a_shadow_too(tmp_path: Path) -> None:
    (tmp_path / "rules.cedar").write_text(
        READING + NO_CARDS + '@id("no-pan") @mode("shadow")'
        ' forbid (principal, action == Action::"read", resource in DataClass::"pan");'
    )
    case = (
        "- {name: behind, as: {user: a}, on: {target: prod-db, views: {public.paid: [public.cards]}}, sql: table paid,"
        " expect: {decision: allow, shadow: 'deny by `no-cards`'}}\n"
        "- {name: column, as: {user: a}, on: {target: prod-db, tables: {public.p: [id, pan]},"
        " classify: {public.p.pan: pan}}, sql: select id from p where pan = '1',"
        " expect: {decision: allow, shadow: 'deny by `no-pan`'}}\n"
        "- {name: neither, as: {user: a}, on: {target: prod-db, tables: {public.p: [id, pan]},"
        " classify: {public.p.pan: pan}}, sql: select id from p,"
        " expect: {decision: allow, shadow: 'deny by `no-pan`'}}\n"
    )
    (tmp_path / "cases.yaml").write_text(case)
    outcome = trial.run(load(tmp_path))
    assert [failure.message for failure in outcome.failures] == [
        "neither: expected shadow `deny by `no-pan``, came out ``"
    ]
    assert outcome.unreached == ()


@pytest.mark.parametrize(
    ("annotation", "scope", "message"),
    [
        ('@mode("shadwo")', "action", "`@mode(\"shadwo\")` is not known; it is `enforce` or `shadow`"),
        ("@mode", "action", "`@mode(\"\")` is not known"),
        ('@mode("shadow")', 'action == Action::"reveal"', "is recorded of sessions and statements only"),
    ],
)  # fmt: skip
def test_a_mode_that_could_not_be_kept_is_a_problem(tmp_path: Path, annotation: str, scope: str, message: str) -> None:
    with pytest.raises(BadPolicies) as caught:
        judge_of(tmp_path, f'@id("x")\n{annotation}\nforbid (principal, {scope}, resource);')
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].line == 2
