"""What policy says of seeing a class raw: who may, who would have to agree, and what stays hidden all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy import engine
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.policy.shipped import directory
from hoopx_broker.seams.judge import Consent
from hoopx_broker.terms.masks import Detector, Masks
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import ColumnName
from tests.unit.policy_stage import ANN, BOT, DAN, EMAIL, NOW, SSN, judge_of, shipped, target

ASKING = {"env": "prod", "unmask": "approval"}
SHOP = target(labels=ASKING, email="email", ssn="national-id")
PRIVACY = Consent(frozenset({"privacy"}))


def test_the_classes_are_hidden_until_the_group_agreed_and_then_those_that_were_asked() -> None:
    judge = shipped()
    assert judge.hidden(ANN, SHOP) == {EMAIL: "email", SSN: "national-id"}
    assert judge.hidden(ANN, SHOP, PRIVACY) == {}
    assert judge.hidden(ANN, SHOP) == {EMAIL: "email", SSN: "national-id"}, "one answer is not kept for the other"
    assert judge.hidden(ANN, SHOP, Consent(frozenset({"dba"}))) == {EMAIL: "email", SSN: "national-id"}
    ruling = judge.unmasking(ANN, SHOP, ["email"], NOW)
    assert isinstance(ruling, Ask)
    assert (ruling.approvers, ruling.rules) == ({"privacy": 1}, ("raw-values-need-approval",))


def test_reason_and_ticket_are_those_of_the_request_alone(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("t") permit (principal, action == Action::"reveal", resource)'
        ' when { context.ticket == "OPS-1" && context.reason != "" && context.approvals.contains("dba") };',
    )
    dba = frozenset({"dba"})
    assert judge.hidden(ANN, SHOP, Consent(dba, "why", "OPS-1")) == {}
    for wrong in [(dba, "why", "OPS-2"), (dba, "", "OPS-1"), (frozenset[str](), "why", "OPS-1")]:
        assert judge.hidden(ANN, SHOP, Consent(*wrong)) == SHOP.classify
    assert judge.hidden(ANN, SHOP, Consent(dba, "why", "OPS-1")) == {}


def test_agents_are_not_asked_for_and_an_approval_shows_them_nothing() -> None:
    agent = structs.replace(BOT, groups=("developers",))
    ruling = shipped().unmasking(agent, SHOP, ["email"], NOW)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "agents-see-no-raw-values"
    assert shipped().hidden(agent, SHOP, PRIVACY) == SHOP.classify


def test_what_one_rule_forbids_for_good_is_not_asked_for_because_of_another(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("all") permit (principal, action == Action::"reveal", resource);',
        '@id("ask") @approvers("privacy") forbid (principal, action == Action::"reveal", resource)'
        ' unless { context.approvals.contains("privacy") };',
        '@id("never") forbid (principal, action == Action::"reveal", resource)'
        ' when { resource is Column && resource.name == "ssn" };',
    )
    assert isinstance(judge.unmasking(ANN, SHOP, ["email"], NOW), Ask)
    ruling = judge.unmasking(ANN, SHOP, ["email", "national-id"], NOW)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "never"
    assert judge.hidden(ANN, SHOP, PRIVACY) == {SSN: "national-id"}


def test_groups_of_several_rules_are_all_asked(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("all") permit (principal, action == Action::"reveal", resource);',
        '@id("a") @approvers("privacy") forbid (principal, action == Action::"reveal", resource in DataClass::"email")'
        ' unless { context.approvals.contains("privacy") };',
        '@id("b") @approvers("works-council") @quorum("2") forbid (principal, action == Action::"reveal",'
        ' resource in DataClass::"national-id") unless { context.approvals.contains("works-council") };',
    )
    ruling = judge.unmasking(ANN, SHOP, ["email", "national-id"], NOW)
    assert isinstance(ruling, Ask)
    assert ruling.approvers == {"privacy": 1, "works-council": 2}


def test_who_sees_a_class_anyway_is_allowed_and_told_what_else_is_hidden(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path, '@id("mail") permit (principal, action == Action::"reveal", resource in DataClass::"email");'
    )
    assert judge.unmasking(ANN, SHOP, ["email"], NOW) == Allow(("mail",), {SSN: "national-id"})
    assert isinstance(judge.unmasking(ANN, SHOP, ["email", "national-id"], NOW), Deny)


def test_no_class_at_all_is_no_yes() -> None:
    assert isinstance(shipped().unmasking(DAN, SHOP, [], NOW), Deny)


# Classes as such: what detectors find is in no classified column.


def test_a_class_is_hidden_wherever_it_is_found_unless_policy_reveals_it() -> None:
    judge, found = shipped(), ["email", "card-number"]
    assert judge.hidden_classes(ANN, SHOP, found) == {"email", "card-number"}
    assert judge.hidden_classes(ANN, SHOP, found, PRIVACY) == frozenset()
    assert judge.hidden_classes(DAN, SHOP, found) == frozenset()
    assert judge.hidden_classes(ANN, target(), found, PRIVACY) == {"email", "card-number"}, "the label is the target's"
    assert judge.hidden_classes(ANN, SHOP, []) == frozenset()


def test_a_detected_class_is_asked_about_as_such_beside_its_columns(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("column") permit (principal, action == Action::"reveal", resource == '
        'Column::"prod-db/public.customers.email");',
    )
    assert isinstance(judge.unmasking(ANN, SHOP, ["email"], NOW), Allow)
    detecting = structs.replace(SHOP, masks=Masks(detectors=(Detector("email"),)))
    assert isinstance(judge.unmasking(ANN, detecting, ["email"], NOW), Deny)


def test_an_engine_that_breaks_hides_every_class_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    judge = CedarJudge(load(directory()))
    monkeypatch.setattr(engine, "is_authorized_batch", broken)
    assert judge.hidden(DAN, SHOP, PRIVACY) == SHOP.classify
    assert judge.hidden_classes(DAN, SHOP, ["email"], PRIVACY) == {"email"}
    ruling = judge.unmasking(ANN, SHOP, ["email"], NOW)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"


def test_a_class_with_an_odd_name_is_only_itself() -> None:
    odd = structs.replace(SHOP, classify={ColumnName("public", "t", "c"): 'x" in DataClass::"email'})
    who = Principal("eve", "human", ("sales",))
    assert shipped().hidden(who, odd) == odd.classify
    assert isinstance(shipped().unmasking(ANN, odd, ['x" in DataClass::"email'], NOW), Ask)


def test_a_rule_that_speaks_of_time_is_refused_for_reveal(tmp_path: Path) -> None:
    rule = '@id("late") permit (principal, action == Action::"reveal", resource) when { context.hour > 8 };'
    with pytest.raises(BadPolicies, match="hour"):
        judge_of(tmp_path, rule)
