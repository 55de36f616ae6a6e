"""An agent on behalf of a human may do what policy allows to both, and is told which of the two may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import UNSET, structs

from hoopx_broker.policy.explain import explain, explain_opening
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.policy.told import render
from hoopx_broker.seams.judge import Consent
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from tests.unit.policy_stage import EMAIL, NOW, SSN, facts, judge_of, ruled, target

BOT = Principal("bot", "agent", ("agents",), on_behalf_of="eve", their_groups=("sales",))
EVE = Principal("eve", "human", ("sales",))
ALONE = Principal("bot", "agent", ("agents",))

ALL = '@id("all") permit (principal, action, resource);'
READ_ALL = ALL.replace("action,", 'action == Action::"read",')
AGENTS_READ = '@id("agents-read") permit (principal in Group::"agents", action == Action::"read", resource);'
SALES_ALL = '@id("sales-all") permit (principal in Group::"sales", action, resource);'
SALES_READ = '@id("sales-read") permit (principal in Group::"sales", action == Action::"read", resource);'
READ, WRITE = "select * from orders", "update orders set x = 1 where id = 1"


def test_what_policy_permits_to_both_is_allowed_by_the_rules_of_both(tmp_path: Path) -> None:
    assert ruled(judge_of(tmp_path, AGENTS_READ, SALES_READ), READ, BOT) == Allow(("agents-read", "sales-read"))


def test_a_permit_of_the_human_is_none_of_the_agent(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, AGENTS_READ, SALES_ALL)
    assert isinstance(ruled(judge, WRITE, EVE), Allow)
    found = ruled(judge, WRITE, BOT)
    assert isinstance(found, Deny)
    assert (found.rule, found.reason) == (
        "default",
        "`bot` may not: no rule permits `update` on `public.orders` at `prod-db`",
    )


def test_a_permit_of_the_agent_is_none_of_the_human(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, AGENTS_READ)
    assert isinstance(ruled(judge, READ, ALONE), Allow)
    found = ruled(judge, READ, BOT)
    assert isinstance(found, Deny)
    assert found.reason == "`eve` may not: no rule permits `read` on `public.orders` at `prod-db`"


def test_a_forbid_of_the_human_holds_for_her_agent_and_names_her(tmp_path: Path) -> None:
    annotations = '@id("not-eve") @message("eve is on leave") @hint("come back")'
    forbid = f'{annotations} forbid (principal == User::"eve", action, resource);'
    found = ruled(judge_of(tmp_path, ALL, forbid), READ, BOT)
    assert found == Deny("`eve` may not: eve is on leave", "not-eve", "come back")


def test_a_rule_about_who_vouches_for_the_human_holds_for_her_agent(tmp_path: Path) -> None:
    """The token of an agent is the broker's own issuer's, whoever vouched for its human."""
    when = 'principal.issuer == "https://partner.example"'
    forbid = f'@id("no-partners") forbid (principal, action, resource) when {{ {when} }};'
    judge = judge_of(tmp_path / "forbid", ALL, forbid)
    for_partner = structs.replace(BOT, issuer="https://broker/oidc", their_issuer="https://partner.example")
    assert isinstance(ruled(judge, READ, for_partner), Deny)
    assert isinstance(ruled(judge, READ, structs.replace(for_partner, their_issuer="https://ours.example")), Allow)
    permit = '@id("local") permit (principal, action, resource) when { principal.issuer == "https://broker/oidc" };'
    assert isinstance(ruled(judge_of(tmp_path / "permit", permit), READ, for_partner), Deny)


def test_a_forbid_of_the_agent_is_told_as_everybodys(tmp_path: Path) -> None:
    annotations = '@id("no-agents") @message("no agents here")'
    forbid = f'{annotations} forbid (principal, action, resource) when {{principal.kind == "agent"}};'
    judge = judge_of(tmp_path, ALL, forbid)
    assert ruled(judge, READ, BOT) == Deny("no agents here", "no-agents")
    assert isinstance(ruled(judge, READ, EVE), Allow)


def test_groups_of_the_human_are_not_groups_of_the_agent(tmp_path: Path) -> None:
    """A rule that looks at two groups at once finds them in one principal, or not at all."""
    when = 'principal in Group::"agents" && principal in Group::"sales"'
    both = f'@id("both") permit (principal, action, resource) when {{ {when} }};'
    assert isinstance(ruled(judge_of(tmp_path, both), READ, BOT), Deny)


def test_a_human_whose_groups_nobody_told_has_none(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, AGENTS_READ, SALES_READ)
    assert isinstance(ruled(judge, READ, structs.replace(BOT, their_groups=UNSET)), Deny)


def _asking(rule: str, group: str, who: str, quorum: int = 1) -> str:
    return (
        f'@id("{rule}") @message("{group} agrees first") @approvers("{group}") @quorum("{quorum}")'
        f' forbid (principal{who}, action == Action::"update", resource)'
        f' unless {{ context.approvals.contains("{group}") }};'
    )


def test_approvers_of_both_are_asked_and_each_word_counts_for_both(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        ALL,
        _asking("agents-ask", "dba", ' in Group::"agents"', 2),
        _asking("sales-ask", "privacy", ' in Group::"sales"'),
        _asking("all-ask", "dba", ""),
    )
    assert ruled(judge, WRITE, BOT) == Ask(
        "dba agrees first; privacy agrees first", ("agents-ask", "all-ask", "sales-ask"), {"dba": 2, "privacy": 1}
    )
    agreed = structs.replace(NOW, approvals=frozenset({"dba", "privacy"}))
    assert isinstance(judge.statements(BOT, target(), facts(WRITE), agreed), Allow)
    half = structs.replace(NOW, approvals=frozenset({"dba"}))
    assert isinstance(judge.statements(BOT, target(), facts(WRITE), half), Ask)


def test_nobody_is_asked_for_what_the_human_may_not_do_at_all(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        AGENTS_READ,
        SALES_READ,
        _asking("ask", "dba", ' in Group::"agents"'),
        ALL.replace("(principal,", '(principal in Group::"agents",'),
    )
    assert isinstance(ruled(judge, WRITE, ALONE), Ask)
    assert isinstance(ruled(judge, WRITE, BOT), Deny)


def test_nobody_is_asked_for_what_their_word_would_forbid_to_the_other(tmp_path: Path) -> None:
    contrary = (
        '@id("contrary") forbid (principal in Group::"sales", action == Action::"update", resource)'
        ' when { context.approvals.contains("dba") };'
    )
    judge = judge_of(tmp_path, ALL, _asking("ask", "dba", ' in Group::"agents"'), contrary)
    found = ruled(judge, WRITE, BOT)
    assert isinstance(found, Deny)
    assert found.rule == "contrary"


def _eyes(group: str, data_class: str) -> str:
    scope = f'principal in Group::"{group}", action == Action::"reveal", resource in DataClass::"{data_class}"'
    return f'@id("{group}-see") permit ({scope});'


_EYES = [_eyes("agents", "email"), _eyes("sales", "national-id")]


def test_what_is_hidden_from_either_is_hidden(tmp_path: Path) -> None:
    judge, where = (
        judge_of(tmp_path, READ_ALL, *_EYES),
        target(email="email", ssn="national-id"),
    )
    assert judge.hidden(ALONE, where) == {SSN: "national-id"}
    assert judge.hidden(EVE, where) == {EMAIL: "email"}
    assert judge.hidden(BOT, where) == {EMAIL: "email", SSN: "national-id"}
    assert judge.hidden_classes(BOT, where, ["email", "national-id"]) == {"email", "national-id"}
    found = ruled(judge, "select * from customers", BOT, where)
    assert isinstance(found, Allow)
    assert found.masks == {EMAIL: "email", SSN: "national-id"}


def test_an_approval_shows_only_what_it_would_show_to_both(tmp_path: Path) -> None:
    scope = '(principal{}, action == Action::"reveal", resource)'
    unmask = f'@id("asked") permit {scope} when {{{{ context.approvals.contains("p") }}}};'
    consent, where = Consent(frozenset({"p"})), target(email="email")
    for number, (who, shown) in enumerate([(' in Group::"agents"', False), (' in Group::"sales"', False), ("", True)]):
        judge = judge_of(tmp_path / str(number), READ_ALL, unmask.format(who))
        assert (judge.hidden(BOT, where, consent) == {}) == shown


def test_probing_what_is_hidden_from_the_human_only_is_forbidden_to_the_agent(tmp_path: Path) -> None:
    reading = ALL.replace("action,", 'action in [Action::"read", Action::"reveal"],')
    blind = '@id("blind") forbid (principal == User::"eve", action == Action::"reveal", resource);'
    probing = '@id("no-probing") forbid (principal in Group::"agents", action == Action::"probe", resource);'
    judge, where = judge_of(tmp_path, reading, blind, probing), target(email="email")
    hidden = judge.hidden(BOT, where)
    assert hidden == {EMAIL: "email"}
    asked = resolved(facts("select id from customers order by email"), classified=where.classify)
    assert isinstance(judge.statements(BOT, where, asked, NOW), Deny)
    assert isinstance(judge.statements(ALONE, where, asked, NOW), Allow)


def test_unmasking_is_asked_for_both(tmp_path: Path) -> None:
    reveal = '@id("see") permit (principal, action == Action::"reveal", resource);'
    ask = (
        '@id("ask") @approvers("privacy") forbid (principal == User::"eve", action == Action::"reveal", resource)'
        ' unless { context.approvals.contains("privacy") };'
    )
    judge = judge_of(tmp_path / "ask", reveal, ask)
    found = judge.unmasking(BOT, target(email="email"), ["email"], NOW)
    assert isinstance(found, Ask)
    assert found.approvers == {"privacy": 1}
    never = '@id("never") forbid (principal, action == Action::"reveal", resource) when { principal.kind == "agent" };'
    assert isinstance(
        judge_of(tmp_path / "never", reveal, ask, never).unmasking(BOT, target(email="email"), ["email"], NOW), Deny
    )


def test_opening_a_session_is_judged_for_both(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, SALES_ALL)
    assert isinstance(judge.opening(EVE, target(), NOW), Allow)
    found = judge.opening(BOT, target(), NOW)
    assert found == Deny(
        "`bot` may not: no rule permits `connect` on `prod-db`",
        "default",
        "`hoopx show prod-db` lists what you may do there",
    )


_VIEW = '@id("own") permit (principal, action == Action::"session.view", resource) when { context.own };'
_ABOUT = 'action in [Action::"session.view", Action::"session.kill"]'
_AUDIT = f'@id("audit") permit (principal in Group::"sales", {_ABOUT}, resource);'
_ANNS_AGENT, _EVES_AGENT = Owner("bot", "ann"), Owner("bot", "eve")


@pytest.mark.parametrize(
    ("who", "owner", "may"),
    [
        (BOT, _EVES_AGENT, True),
        (BOT, _ANNS_AGENT, False),  # the same agent for another human
        (BOT, Owner("bot"), False),
        (BOT, Owner("eve"), False),  # less than its human
        (BOT, Owner("other-bot", "eve"), False),
        (ALONE, Owner("bot"), True),
        (ALONE, _EVES_AGENT, False),
        (EVE, Owner("eve"), True),
        (EVE, _EVES_AGENT, True),
        (EVE, _ANNS_AGENT, False),
    ],
)
def test_ones_own_sessions(tmp_path: Path, who: Principal, owner: Owner, may: bool) -> None:
    assert isinstance(judge_of(tmp_path, _VIEW).may_view_session(who, target(), owner), Allow) == may


def test_an_agent_of_an_auditor_audits_nobody(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, _VIEW, _AUDIT)
    assert isinstance(judge.may_view_session(EVE, target(), Owner("zoe")), Allow)
    assert isinstance(judge.may_view_session(BOT, target(), Owner("zoe")), Deny)
    assert isinstance(judge.may_kill_session(BOT, target(), _EVES_AGENT), Deny)


def _shadow(rule: str, who: str) -> str:
    return f'@id("{rule}") @mode("shadow") forbid (principal{who}, action == Action::"read", resource);'


def test_a_rule_in_shadow_is_told_of_the_one_it_would_hold_for(tmp_path: Path) -> None:
    judge = judge_of(tmp_path / "human", ALL, _shadow("x", ' == User::"eve"'))
    assert ruled(judge, READ, BOT) == Allow(("all",), shadow="deny by `x` for `eve`")
    both = judge_of(tmp_path / "both", ALL, _shadow("x", ""))
    assert ruled(both, READ, BOT) == Allow(("all",), shadow="deny by `x`")


def test_a_rule_in_shadow_that_changes_nothing_for_both_together_is_not_told(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, SALES_ALL, _shadow("x", ' == User::"eve"'))
    found = ruled(judge, READ, BOT)
    assert isinstance(found, Deny)
    assert found.shadow == ""


def test_an_explanation_says_of_whom_each_question_was_asked(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, AGENTS_READ, SALES_ALL)
    text = render(explain(judge, BOT, target(), WRITE, NOW))
    assert "    bot: update on public.orders: nothing permits it" in text.splitlines()
    assert "    eve: update on public.orders: permitted by sales-all" in text.splitlines()
    opening = explain_opening(judge, BOT, target(), NOW)
    assert [(one.who, one.allowed) for one in opening.opening] == [("bot", False), ("eve", True)]
    assert {one.who for one in explain_opening(judge, EVE, target(), NOW).opening} == {""}


def test_a_rule_that_errs_for_the_human_alone_is_a_denial(tmp_path: Path) -> None:
    errs = (
        '@id("errs") forbid (principal == User::"eve", action == Action::"read", resource)'
        " when { context.duration * 9223372036854775807 > 0 };"
    )
    judge: CedarJudge = judge_of(tmp_path, ALL, errs)
    now = structs.replace(NOW, duration=5)
    assert isinstance(judge.statements(ALONE, target(), facts(READ), now), Allow)
    found = judge.statements(BOT, target(), facts(READ), now)
    assert isinstance(found, Deny)
    assert found.rule == "judge"
