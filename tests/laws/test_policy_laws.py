"""Laws of judging: what one more rule can change, and what it never can."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.policy.shipped import directory
from hoopx_broker.terms.facts import TableUse
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.targets import Target
from tests.laws.depth import examples
from tests.unit.policy_stage import NOW, facts, judge_of, shipped, target

_WHO = st.builds(
    Principal,
    user=st.sampled_from(["ann", "bot", "zoë"]),
    kind=st.sampled_from(["human", "job", "agent"]),
    groups=st.lists(
        st.sampled_from(["developers", "support", "dba", "security", "auditors", "agents"]), unique=True, max_size=3
    ).map(tuple),
)
_WHERE = st.sampled_from([target(), target("dev-db", {"env": "dev"}), target("x", {}), target(email="email")])
_SQL = st.sampled_from(
    [
        "select * from orders",
        "select * from analytics_daily",
        "delete from orders where id = 1",
        "delete from orders",
        "drop table orders",
        "begin",
        "set role x",
        "set work_mem to 1",
        "copy orders to stdout",
        "select f(1)",
        "select pg_read_file('x')",
        "select 1; insert into orders values (1)",
        "explain analyze update orders set x = 1 where id = 1",
    ]
)
_FORBIDS = st.builds(
    '@id("more") forbid (principal{}, action in Action::"{}", resource){};'.format,
    st.sampled_from(["", ' in Group::"dba"', ' == User::"ann"']),
    st.sampled_from(["query", "write", "read", "set"]),
    st.sampled_from(["", " when { context.has_where }", ' when { resource in Environment::"prod" }']),
)
_ABOUT_COLUMNS = st.sampled_from(
    [
        '@id("more") forbid (principal, action == Action::"read", resource in DataClass::"email");',
        '@id("more") forbid (principal, action == Action::"read", resource is Column) unless { resource.name == "x"};',
        '@id("more") forbid (principal, action == Action::"update", resource == Column::"prod-db/public.orders.x");',
    ]
)
_ERRING = "context.duration * 9223372036854775807 > 0"
_RULES = st.builds(
    '@id("more") {} (principal{}, action in Action::"{}", resource){};'.format,
    st.sampled_from(["permit", "forbid"]),
    st.sampled_from(["", ' in Group::"dba"', ' == User::"ann"']),
    st.sampled_from(["query", "write", "read", "set"]),
    st.sampled_from(["", " when { context.has_where }", f" when {{ {_ERRING} }}"]),
)
_PERMITS = [
    '@id("p") permit (principal, action, resource);',
    '@id("p") permit (principal, action, resource is Database);',
    '@id("p") permit (principal, action == Action::"read", resource in Table::"prod-db/public.orders");',
    f'@id("p") permit (principal, action == Action::"read", resource) when {{ {_ERRING} }};',
]
_BUILDING = settings(
    max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_QUIET = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shipped_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(directory().glob("*.cedar")))


@_BUILDING
@given(_WHO, _WHERE.flatmap(lambda where: st.tuples(st.just(where), _SQL)), _FORBIDS | _ABOUT_COLUMNS)
def test_one_more_forbid_never_allows_more(
    tmp_path: Path, shipped_text: str, who: Principal, scene: tuple[Target, str], forbid: str
) -> None:
    where, sql = scene
    stricter, asked = judge_of(tmp_path, shipped_text, forbid), resolved(facts(sql))
    if isinstance(stricter.statements(who, where, asked, NOW), Allow):
        assert isinstance(shipped().statements(who, where, asked, NOW), Allow)


@_BUILDING
@given(_WHO, _WHERE, _SQL, _ABOUT_COLUMNS)
def test_a_column_never_needs_a_permit(
    tmp_path: Path, shipped_text: str, who: Principal, where: Target, sql: str, forbid: str
) -> None:
    """A rule about columns that forbids nobody anything asks about columns, and changes nothing by that."""
    judge = judge_of(tmp_path, shipped_text, forbid.replace("(principal,", '(principal in Group::"nobody",'))
    asked = resolved(facts(sql))
    assert judge.statements(who, where, asked, NOW) == shipped().statements(who, where, asked, NOW)


def _in_shadow(rule: str) -> str:
    return rule.replace('@id("more")', '@id("more") @mode("shadow")')


@_BUILDING
@given(_WHO, _WHERE, _SQL, _RULES)
def test_a_rule_in_shadow_changes_no_ruling_and_tells_what_it_would_change(
    tmp_path: Path, shipped_text: str, who: Principal, where: Target, sql: str, rule: str
) -> None:
    now = structs.replace(NOW, duration=5)
    today = shipped().statements(who, where, facts(sql), now)
    shadowed = judge_of(tmp_path / "shadow", shipped_text, _in_shadow(rule)).statements(who, where, facts(sql), now)
    enforced = judge_of(tmp_path / "enforced", shipped_text, rule).statements(who, where, facts(sql), now)
    assert structs.replace(shadowed, shadow="") == today
    assert bool(shadowed.shadow) >= (type(enforced) is not type(today))


@_BUILDING
@given(_WHO, _WHERE, _SQL, st.sampled_from(["permit", "forbid"]))
def test_a_rule_that_errs_denies_unless_it_is_in_shadow(
    tmp_path: Path, shipped_text: str, who: Principal, where: Target, sql: str, effect: str
) -> None:
    now = structs.replace(NOW, duration=5)
    rule = f'@id("more") {effect} (principal, action in Action::"query", resource) when {{ {_ERRING} }};'
    enforced = judge_of(tmp_path / "enforced", shipped_text, rule).statements(who, where, facts(sql), now)
    assert isinstance(enforced, Deny)
    assert enforced.rule == "judge"
    shadowed = judge_of(tmp_path / "shadow", shipped_text, _in_shadow(rule)).statements(who, where, facts(sql), now)
    assert shadowed.shadow == "error in `more`"
    assert structs.replace(shadowed, shadow="") == shipped().statements(who, where, facts(sql), now)


_BEHIND = st.builds(
    TableUse,
    schema=st.sampled_from([None, "public", "payments"]),
    name=st.sampled_from(["orders", "analytics_daily", "cards"]),
    action=st.sampled_from(["read", "insert", "update", "delete", "truncate", "lock"]),
    through=st.sampled_from([("public.v",), ("public.v", "public.w")]),
)


@_BUILDING
@given(_WHO, _WHERE, _SQL, st.lists(_BEHIND, max_size=3), st.sampled_from(_PERMITS))
def test_what_lies_behind_never_needs_a_permit(
    tmp_path: Path, who: Principal, where: Target, sql: str, behind: list[TableUse], permit: str
) -> None:
    """By rules that only permit, it changes nothing."""
    judge = judge_of(tmp_path, permit)
    plain = facts(sql)
    reaching = [structs.replace(one, tables=(*one.tables, *behind)) for one in plain]
    assert judge.statements(who, where, reaching, NOW) == judge.statements(who, where, plain, NOW)


@_QUIET
@given(_WHO, _WHERE, _SQL, st.lists(_BEHIND, max_size=3))
def test_what_lies_behind_never_allows_more(who: Principal, where: Target, sql: str, behind: list[TableUse]) -> None:
    plain = facts(sql)
    reaching = [structs.replace(one, tables=(*one.tables, *behind)) for one in plain]
    if isinstance(shipped().statements(who, where, reaching, NOW), Allow):
        assert isinstance(shipped().statements(who, where, plain, NOW), Allow)


@_QUIET
@given(_WHO, _WHERE, st.lists(_SQL, min_size=1, max_size=4))
def test_statements_together_are_allowed_only_if_each_is(who: Principal, where: Target, many: list[str]) -> None:
    together = shipped().statements(who, where, facts("; ".join(many)), NOW)
    alone = [shipped().statements(who, where, facts(sql), NOW) for sql in many]
    assert isinstance(together, Allow) == all(isinstance(ruling, Allow) for ruling in alone)


@_BUILDING
@given(_WHO, _WHERE, _SQL)
def test_the_same_question_has_the_same_answer(who: Principal, where: Target, sql: str) -> None:
    again = CedarJudge(load(directory()))
    assert shipped().statements(who, where, facts(sql), NOW) == again.statements(who, where, facts(sql), NOW)


@_QUIET
@given(_WHERE, _SQL)
def test_somebody_without_groups_may_do_nothing(where: Target, sql: str) -> None:
    nobody = Principal("nobody", "human")
    assert isinstance(shipped().statements(nobody, where, facts(sql), NOW), Deny)
    assert isinstance(shipped().opening(nobody, where, NOW), Deny)
