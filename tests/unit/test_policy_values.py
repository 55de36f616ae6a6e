"""What rules know of functions, and of the values that a prepared statement would run with."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy import trial
from hoopx_broker.policy.inquiry import MAX_PARAMETERS
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.terms.facts import FunctionName, Volatility
from hoopx_broker.terms.rulings import Allow, Deny, Ruling
from tests.unit.policy_stage import ANN, NOW, facts, judge_of, target

EVERYTHING = '@id("everything") permit (principal, action in Action::"query", resource);'
OWN_ONLY = (
    '@id("own-tenant") forbid (principal, action == Action::"read", resource == Table::"prod-db/public.rows")'
    " unless { context.parameters.pending }"
    ' unless { context.parameters.hasTag("1") && context.parameters.getTag("1") == "7" };'
)
COMPUTES = (
    '@id("computes") permit (principal, action == Action::"call", resource is Function)'
    ' when { resource.volatility == "immutable" };'
)


def calling(judge: CedarJudge, *functions: FunctionName) -> Ruling:
    (one,) = facts("select public.f(1)")
    assert "call" in one.actions
    return judge.statements(ANN, target(), [structs.replace(one, functions=functions)], NOW)


@pytest.mark.parametrize(
    ("declared", "verdict"),
    [("immutable", Allow), ("stable", Deny), ("volatile", Deny), ("unknown", Deny)],
)
def test_a_rule_sees_what_a_function_is_declared_to_be(
    tmp_path: Path, declared: Volatility, verdict: type[Ruling]
) -> None:
    judge = judge_of(tmp_path, COMPUTES, '@id("read") permit (principal, action == Action::"read", resource);')
    assert isinstance(calling(judge, FunctionName("public", "f", declared)), verdict)


def test_of_several_functions_of_one_name_the_least_harmless_counts(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, COMPUTES, '@id("read") permit (principal, action == Action::"read", resource);')
    first, second = FunctionName("public", "f", "immutable"), FunctionName("public", "f", "volatile")
    assert isinstance(calling(judge, first, second), Deny)
    assert isinstance(calling(judge, second, first), Deny)
    assert isinstance(calling(judge, FunctionName(None, "f", "unknown"), first), Deny)
    assert isinstance(calling(judge, first, FunctionName("other", "f", "immutable")), Allow)


def reading(judge: CedarJudge, *values: str | None) -> Ruling:
    now = structs.replace(NOW, parameters=values)
    return judge.statements(ANN, target(), facts("select * from rows where tenant = $1"), now)


def test_a_rule_sees_the_values_of_a_prepared_statement(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EVERYTHING, OWN_ONLY)
    assert judge.asks_parameters
    assert isinstance(reading(judge, "7"), Allow)
    assert isinstance(reading(judge, "7", None), Allow)
    assert isinstance(reading(judge, "8"), Deny)
    assert isinstance(reading(judge, "8", "7"), Deny)


def test_null_is_no_value(tmp_path: Path) -> None:
    assert isinstance(reading(judge_of(tmp_path, EVERYTHING, OWN_ONLY), None), Deny)


def test_while_a_statement_is_prepared_it_has_no_values_yet(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EVERYTHING, OWN_ONLY)
    preparing = structs.replace(NOW, pending=True)
    assert isinstance(judge.statements(ANN, target(), facts("select * from rows where tenant = $1"), preparing), Allow)


def test_values_in_a_text_are_none_that_a_rule_sees(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EVERYTHING, OWN_ONLY)
    assert isinstance(judge.statements(ANN, target(), facts("select * from rows where tenant = '7'"), NOW), Deny)
    lenient = OWN_ONLY.replace("context.parameters.pending", "context.parameters.count == 0")
    counted = judge_of(tmp_path / "counted", EVERYTHING, lenient)
    assert isinstance(counted.statements(ANN, target(), facts("select * from rows where tenant = '8'"), NOW), Allow)
    assert isinstance(reading(counted, "8"), Deny)


@pytest.mark.parametrize("value", ["", '"', "\\", "\x00", "é\u2028", "7 ", "x" * 10_000])
def test_any_value_can_be_judged(tmp_path: Path, value: str) -> None:
    judge = judge_of(tmp_path, EVERYTHING, OWN_ONLY)
    ruling = reading(judge, value)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "own-tenant"
    exact = judge_of(tmp_path / "exact", EVERYTHING, OWN_ONLY.replace('== "7"', '!= "7"'))
    assert isinstance(reading(exact, value), Allow)


def test_values_that_are_too_large_to_look_at_are_denied(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, EVERYTHING, OWN_ONLY)
    ruling = reading(judge, "7", "x" * MAX_PARAMETERS)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"
    assert isinstance(reading(judge_of(tmp_path / "plain", EVERYTHING), "7", "x" * MAX_PARAMETERS), Allow)


def test_rules_that_look_at_no_value_ask_for_none(tmp_path: Path) -> None:
    assert not judge_of(tmp_path, EVERYTHING, COMPUTES).asks_parameters


def test_a_value_must_be_asked_for_before_it_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(BadPolicies, match="tag"):
        judge_of(tmp_path, OWN_ONLY.replace('context.parameters.hasTag("1") &&', ""))


def test_cases_have_values_too(tmp_path: Path) -> None:
    (tmp_path / "rules.cedar").write_text(EVERYTHING + OWN_ONLY)
    case = "- {name: n, as: {user: a}, on: {target: prod-db}, sql: 'select 1 from rows where t = $1',"
    (tmp_path / "cases.yaml").write_text(
        f"{case} with: {{parameters: ['7']}}, expect: {{decision: allow}}}}\n"
        f"{case} with: {{parameters: ['8']}}, expect: {{decision: deny, by: [own-tenant]}}}}\n"
        f"{case} with: {{parameters: [null]}}, expect: {{decision: deny}}}}\n"
    )
    outcome = trial.run(load(tmp_path))
    assert (outcome.cases, outcome.failures) == (3, ())
