"""Laws of judging: one more forbid never allows more, and the order of what is asked does not matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.targets import Target
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
_QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shipped_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(directory().glob("*.cedar")))


@_QUIET
@given(_WHO, _WHERE.flatmap(lambda where: st.tuples(st.just(where), _SQL)), _FORBIDS)
def test_one_more_forbid_never_allows_more(
    tmp_path: Path, shipped_text: str, who: Principal, scene: tuple[Target, str], forbid: str
) -> None:
    where, sql = scene
    stricter = judge_of(tmp_path, shipped_text, forbid)
    if isinstance(stricter.statements(who, where, facts(sql), NOW), Allow):
        assert isinstance(shipped().statements(who, where, facts(sql), NOW), Allow)


@_QUIET
@given(_WHO, _WHERE, st.lists(_SQL, min_size=1, max_size=4))
def test_statements_together_are_allowed_only_if_each_is(who: Principal, where: Target, many: list[str]) -> None:
    together = shipped().statements(who, where, facts("; ".join(many)), NOW)
    alone = [shipped().statements(who, where, facts(sql), NOW) for sql in many]
    assert isinstance(together, Allow) == all(isinstance(ruling, Allow) for ruling in alone)


@_QUIET
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
