"""Cases for policies: what comes out otherwise, what is no case, and which rules no case reached."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from hoopx_broker.policy import trial
from hoopx_broker.policy.cases import On, With
from hoopx_broker.policy.explain import explain, explain_extending, explain_opening
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
        "`connect: true`, `extend: true`, `sql: …`, `view: OWNER`, `kill: OWNER`, `view_lease: OWNER`, "
        "`revoke_lease: OWNER`, `hold: OWNER`, `gc: true`, `revoke: USER`, `restore: USER`, `view_log: true`, "
        "`reveal: [CLASS]`"
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


ASKS = """
@id("all") permit (principal, action, resource);
@id("ask") @approvers("dba") @reason("required") @ticket("OPS-[0-9]+") @max_duration("1h30m") @estimate("rows")
@ask_window("Mon-Fri 09:00-17:00 Europe/Berlin; Sat 09:00-12:00 Europe/Berlin") @break_glass("on-call")
forbid (principal, action in [Action::"connect", Action::"extend", Action::"read"], resource)
unless { context.approvals.contains("dba") };
"""
WHOLE = (
    "{reason: required, ticket: 'OPS-[0-9]+', %s,"
    " ask_window: Sat 09:00-12:00 Europe/Berlin; Mon-Fri 09:00-17:00 Europe/Berlin}"
)
GLASS = "break_glass: on-call, review: {dba: 1}"


def test_a_case_may_say_what_a_request_must_fulfil_where_it_means_something(tmp_path: Path) -> None:
    (tmp_path / "rules.cedar").write_text(ASKS, encoding="utf-8")
    case = "- name: %s\n  as: {user: a}\n  on: {target: t}\n  %s\n"
    demanded = "  expect: {decision: ask, conditions: %s}\n"
    (tmp_path / "cases.yaml").write_text(
        case % ("connect", "connect: true") + demanded % (WHOLE % f"max_duration: 90m, {GLASS}")
        + case % ("extend", "extend: true") + demanded % (WHOLE % "max_duration: 1h30m")
        + case % ("read", "sql: table x") + demanded % (WHOLE % f"estimate: rows, {GLASS}")
        + case % ("less", "extend: true") + demanded % "{reason: required}"
        + case % ("none", "extend: true") + demanded % "{}"
        + case % ("agreed", "extend: true") + "  with: {approvals: [dba], duration: 60}\n  expect: {decision: allow}\n",
        encoding="utf-8",
    )  # fmt: skip
    outcome = trial.run(load(tmp_path))
    whole = (
        "a reason; a ticket like `OPS-[0-9]+`; at most 1h30m; asked Mon-Fri 09:00-17:00 Europe/Berlin; "
        "Sat 09:00-12:00 Europe/Berlin"
    )
    assert [failure.message for failure in outcome.failures] == [
        f"less: expected conditions a reason, came out {whole}",
        f"none: expected conditions none, came out {whole}",
    ]
    assert outcome.cases == 6


def test_conditions_that_no_rule_could_have_are_no_case(tmp_path: Path) -> None:
    (tmp_path / "rules.cedar").write_text(ASKS, encoding="utf-8")
    case = "- {name: a, as: {user: a}, on: {target: t}, connect: true, expect: {decision: %s, conditions: {%s}}}\n"
    (tmp_path / "cases.yaml").write_text(
        case % ("ask", "max_duration: long")
        + case % ("ask", "ask_window: [Mon 9-5 UTC]")
        + case % ("deny", "reason: required")
        + case % ("ask", "reason: perhaps")
        + case % ("ask", "tickets: x"),
        encoding="utf-8",
    )
    told = [(failure.line, failure.message) for failure in trial.run(load(tmp_path)).failures]
    assert [line for line, _ in told] == [1, 2, 3, 4, 5]
    for (_, message), part in zip(
        told, ["length of time", "is no window", "what people are asked", "perhaps", "tickets"], strict=True
    ):
        assert part in message


def test_an_explanation_of_an_ask_tells_conditions_and_closed_windows(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, ASKS)
    night = structs.replace(NOW, now=NOW.now + 4 * 86400 + 8 * 3600)  # a Friday, nine in the evening in Berlin
    told = render(explain_opening(judge, ANN, target(), night)).splitlines()
    assert told[-6].startswith("ruling: ask 1 of dba because of ask")
    assert told[-5:] == [
        "  condition: a reason",
        "  condition: a ticket like `OPS-[0-9]+`",
        "  condition: at most 1h30m",
        "  condition: asked Mon-Fri 09:00-17:00 Europe/Berlin; Sat 09:00-12:00 Europe/Berlin"
        " (closed until 2026-01-10 09:00 CET)",
        "  condition: or at once by whoever is in `on-call`, reviewed by 1 of `dba`",
    ]
    by_day = render(explain_extending(judge, ANN, target(), NOW))
    assert "extend on prod-db: forbidden by ask" in by_day
    assert "closed" not in by_day
