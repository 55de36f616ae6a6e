"""Cases for policies: what comes out otherwise, what is no case, and which rules no case reached."""

from __future__ import annotations

from pathlib import Path

from hoopx_broker.policy import trial
from hoopx_broker.policy.cases import On, With
from hoopx_broker.policy.explain import explain
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory
from hoopx_broker.policy.told import render
from hoopx_broker.terms.rulings import Allow, Deny
from tests.unit.policy_stage import ANN, NOW, judge_of, shipped, target

RULES = """
@id("read") permit (principal in Group::"developers", action == Action::"read", resource);
@id("unreached") permit (principal in Group::"nobody", action == Action::"read", resource);
"""


def tried(where: Path, cases: str) -> trial.Trial:
    (where / "rules.cedar").write_text(RULES, encoding="utf-8")
    (where / "cases.yaml").write_text(cases, encoding="utf-8")
    return trial.run(load(where))


def test_the_shipped_policies_pass_their_cases_and_every_rule_is_reached() -> None:
    outcome = trial.run(load(directory()))
    assert outcome.failures == ()
    assert outcome.unreached == ()
    assert outcome.cases > 50


def test_a_case_that_comes_out_otherwise_is_told_with_its_line(tmp_path: Path) -> None:
    outcome = tried(
        tmp_path,
        "- {name: a, as: {user: a, groups: [developers]}, on: {target: t}, sql: table x, expect: {decision: allow}}\n"
        "- {name: wrong, as: {user: a, groups: [developers]}, on: {target: t}, sql: begin, expect: {decision: allow}}\n"
        "- name: by\n  as: {user: a, groups: [developers]}\n  on: {target: t}\n  sql: select 1\n"
        "  expect: {decision: allow, by: [unreached]}\n"
        "- name: masks\n  as: {user: a, groups: [developers]}\n"
        "  on: {target: t, classify: {public.c.email: email}}\n  sql: select 1\n"
        "  expect: {decision: allow, masks: []}\n",
    )
    assert outcome.cases == 4
    assert [(failure.line, failure.message) for failure in outcome.failures] == [
        (2, "wrong: expected allow, came out deny by default"),
        (3, "by: expected unreached to decide, it was read"),
        (8, "masks: expected [] hidden, came out ['public.c.email']"),
    ]
    assert outcome.unreached == ("unreached",)


def test_what_is_no_case_is_told_with_its_line(tmp_path: Path) -> None:
    outcome = tried(
        tmp_path,
        "- name: typo\n  as: {user: a}\n  on: {target: t}\n  sql: select 1\n  expect:\n    decision: maybe\n"
        "- name: both\n  as: {user: a}\n  on: {target: t}\n  sql: x\n  connect: true\n  expect: {decision: deny}\n"
        "- name: unknown\n  as: {user: a, gruops: [x]}\n  on: {target: t}\n  sql: x\n  expect: {decision: deny}\n"
        "- name: c\n  as: {user: a}\n  on: {target: t, classify: {email: x}}\n  sql: x\n  expect: {decision: deny}\n",
    )
    assert outcome.cases == 0
    told = [(failure.line, failure.message) for failure in outcome.failures]
    assert told[0][0] == 6
    assert "maybe" in told[0][1]
    ways = (
        "`connect: true`, `sql: …`, `view: OWNER`, `kill: OWNER`, `view_lease: OWNER`, `revoke_lease: OWNER`, "
        "`revoke: USER`, `restore: USER`, `reveal: [CLASS]`"
    )
    assert told[1] == (7, f"say exactly one of {ways}")
    assert told[2][0] == 14
    assert "gruops" in told[2][1]
    assert told[3] == (18, "`email` is not `schema.table.column`")


def test_a_file_that_is_no_list_or_no_yaml_is_told(tmp_path: Path) -> None:
    assert [failure.message for failure in tried(tmp_path, "a: b\n").failures] == ["not a list of cases"]
    assert tried(tmp_path, "- a\n- [\n").failures[0].message.startswith("not YAML")
    assert tried(tmp_path, "").failures[0].message == "not a list of cases"


def test_a_case_may_be_named_on_and_off() -> None:
    """YAML 1.1 would read the key `on` as true."""
    assert On("t").as_target().name == "t"
    assert With().circumstances().approvals == frozenset()


def test_an_explanation_names_facts_questions_and_rules() -> None:
    text = render(explain(shipped(), ANN, target(email="email"), "select f(1) from pg_class; delete from t", NOW))
    assert "read on pg_catalog.pg_class: permitted by developers-read" in text
    assert "call on public.f: nothing permits it" in text
    assert "delete on public.t: forbidden by no-unbounded-write" in text
    assert text.splitlines()[-1].startswith("ruling: deny by `no-unbounded-write`")


def test_an_explanation_of_an_allowed_statement_names_what_stays_hidden() -> None:
    explanation = explain(shipped(), ANN, target(email="email"), "select 1", NOW)
    assert isinstance(explanation.ruling, Allow)
    assert render(explanation).endswith("ruling: allow, hiding public.customers.email")


def test_an_explanation_of_what_cannot_be_read_says_so() -> None:
    explanation = explain(shipped(), ANN, target(), "selec", NOW)
    assert isinstance(explanation.ruling, Deny)
    assert explanation.ruling.rule == "parse"
    assert explanation.statements == ()


def test_an_explanation_of_an_ask_names_who_is_asked(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("all") permit (principal, action, resource);',
        '@id("ask") @approvers("dba") @quorum("2") forbid (principal, action == Action::"read", resource)'
        ' unless { context.approvals.contains("dba") };',
    )
    assert "ruling: ask 2 of dba because of ask" in render(explain(judge, ANN, target(), "select 1", NOW))
