"""Laws of acting on behalf of somebody: never more than the human, never more than the agent."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from hoopx_broker.conditions.together import together
from hoopx_broker.policy.alone import Alone
from hoopx_broker.policy.delegated import halves
from hoopx_broker.policy.inquiry import Inquiry
from hoopx_broker.policy.load import load
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.policy.shipped import directory
from hoopx_broker.seams.judge import Circumstances, Consent, IdentityAction
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import Target
from tests.laws.depth import examples
from tests.unit.policy_stage import NOW, facts, judge_of, shipped, target

GROUPS = ["developers", "support", "dba", "security", "auditors", "agents", "privacy"]
_GROUPS = st.lists(st.sampled_from(GROUPS), unique=True, max_size=3).map(tuple)
_WHO = st.builds(
    Principal,
    user=st.sampled_from(["bot", "claude"]),
    kind=st.sampled_from(["agent", "job"]),
    groups=_GROUPS,
    on_behalf_of=st.sampled_from(["ann", "eve"]),
    their_groups=_GROUPS,
)
_LABELS = st.fixed_dictionaries(
    {},
    optional={
        "env": st.sampled_from(["prod", "dev"]),
        "writes": st.just("approval"),
        "agents": st.just("approval"),
        "approval": st.just("required"),
        "unmask": st.just("approval"),
        "access": st.just("controlled"),
    },
)
_WHERE = st.builds(lambda labels: target("prod-db", labels, email="email", ssn="national-id"), _LABELS)
_SQL = st.sampled_from(
    [
        "select * from customers",
        "select id from customers order by email",
        "select * from analytics_daily",
        "delete from orders where id = 1",
        "update customers set name = 'x' where email = 'y'",
        "insert into orders values (1)",
        "drop table orders",
        "begin",
        "set work_mem to 1",
        "grant select on orders to x",
        "select f(1)",
        "copy orders to stdout",
        "select 1; insert into orders values (1)",
    ]
)
_CIRCUMSTANCES = st.builds(
    lambda approvals: structs.replace(NOW, approvals=approvals), st.frozensets(st.sampled_from(GROUPS), max_size=2)
)
_FORBIDS = st.builds(
    '@id("more") forbid (principal{}, action in Action::"{}", resource){};'.format,
    st.sampled_from(["", ' in Group::"dba"', ' == User::"ann"', ' == User::"bot"']),
    st.sampled_from(["query", "write", "read", "connect", "reveal"]),
    st.sampled_from(["", ' when { principal.kind == "agent" }', " when { principal has on_behalf_of }"]),
)
_BUILDING = settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_QUIET = settings(max_examples=examples(50), deadline=None)

_STRICTNESS: dict[type, int] = {Allow: 0, Ask: 1, Deny: 2}


def _is_no_more(one: Ruling, than: Ruling) -> bool:
    """Never milder; and what is allowed hides all that the other hides, what is asked asks all that the other asks."""
    if _STRICTNESS[type(one)] != _STRICTNESS[type(than)]:
        return _STRICTNESS[type(one)] > _STRICTNESS[type(than)]
    if isinstance(one, Allow) and isinstance(than, Allow):
        return than.masks.keys() <= one.masks.keys()
    if isinstance(one, Ask) and isinstance(than, Ask):
        demands_all = together([one.conditions, than.conditions]) == one.conditions
        return demands_all and all(one.approvers.get(group, 0) >= people for group, people in than.approvers.items())
    return True


@pytest.fixture(scope="module")
def shipped_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(directory().glob("*.cedar")))


@_QUIET
@given(_WHO, _WHERE, _SQL, _CIRCUMSTANCES)
def test_an_agent_may_no_more_than_its_human_and_no_more_than_itself(
    who: Principal, where: Target, sql: str, now: Circumstances
) -> None:
    asked = resolved(facts(sql), classified=where.classify)
    of_both = shipped().statements(who, where, asked, now)
    for one in halves(who):
        assert _is_no_more(of_both, _alone().statements(one, where, asked, now))
        assert _is_no_more(shipped().opening(who, where, now), _alone().opening(one, where, now))
        assert _is_no_more(shipped().extending(who, where, now), _alone().extending(one, where, now))


@_QUIET
@given(_WHO, _WHERE, st.frozensets(st.sampled_from(GROUPS), max_size=3), st.sampled_from(["email", "national-id"]))
def test_an_agent_sees_no_more_than_its_human_and_no_more_than_itself(
    who: Principal, where: Target, approvals: frozenset[str], data_class: str
) -> None:
    consent = Consent(approvals)
    for one in halves(who):
        assert _alone().hidden(one, where, consent).keys() <= shipped().hidden(who, where, consent).keys()
        classes = {data_class}
        alone = _alone().hidden_classes(one, where, classes, consent)
        assert alone <= shipped().hidden_classes(who, where, classes, consent)
        assert _is_no_more(shipped().unmasking(who, where, classes, NOW), _alone().unmasking(one, where, classes, NOW))


@_QUIET
@given(
    _WHO,
    _WHERE,
    st.builds(
        Owner, user=st.sampled_from(["ann", "eve", "bot", "claude"]), on_behalf_of=st.sampled_from([None, "ann", "eve"])
    ),
)
def test_an_agent_looks_at_and_ends_no_more_sessions_than_its_human(
    who: Principal, where: Target, owner: Owner
) -> None:
    _, human = halves(who)
    if isinstance(shipped().may_view_session(who, where, owner), Allow):
        assert isinstance(shipped().may_view_session(human, where, owner), Allow)
    if isinstance(shipped().may_kill_session(who, where, owner), Allow):
        assert isinstance(shipped().may_kill_session(human, where, owner), Allow)
    if isinstance(shipped().may_revoke_lease(who, where, owner), Allow):
        assert isinstance(shipped().may_revoke_lease(human, where, owner), Allow)


@_QUIET
@given(_WHO, st.sampled_from(["ann", "eve", "bot", "zoe"]), st.sampled_from(["identity.revoke", "identity.restore"]))
def test_an_agent_shuts_out_and_lets_in_nobody(who: Principal, user: str, action: IdentityAction) -> None:
    who = structs.replace(who, kind="agent")
    assert isinstance(shipped().may_change_identity(action, who, user), Deny)


@_BUILDING
@given(_WHO, _WHERE, _SQL, _FORBIDS)
def test_one_more_forbid_never_allows_an_agent_more(
    tmp_path: Path, shipped_text: str, who: Principal, where: Target, sql: str, forbid: str
) -> None:
    stricter, asked = judge_of(tmp_path, shipped_text, forbid), resolved(facts(sql), classified=where.classify)
    if isinstance(stricter.statements(who, where, asked, NOW), Allow):
        assert isinstance(shipped().statements(who, where, asked, NOW), Allow)
    if isinstance(stricter.opening(who, where, NOW), Allow):
        assert isinstance(shipped().opening(who, where, NOW), Allow)
    assert shipped().hidden(who, where).keys() <= stricter.hidden(who, where).keys()


@_QUIET
@given(_WHO, _WHERE, _SQL, _CIRCUMSTANCES)
def test_whatever_people_agree_to_an_agent_only_changes_rows(
    who: Principal, where: Target, sql: str, now: Circumstances
) -> None:
    """By the shipped rules: no structure, no privileges, no unknown functions, and no raw values."""
    who = structs.replace(who, kind="agent")
    asked = resolved(facts(sql), classified=where.classify)
    actions = {action for one in asked for action in one.actions}
    ruling = shipped().statements(who, where, asked, structs.replace(now, approvals=frozenset(GROUPS)))
    if actions & {"ddl", "admin", "call", "truncate"}:
        assert isinstance(ruling, Deny)
    if isinstance(ruling, Allow):
        assert ruling.masks.keys() == where.classify.keys()
        if actions & {"insert", "update", "delete", "lock"}:
            assert where.labels.get("agents") == "approval"


@cache
def _alone() -> Alone:
    """Judges a half by itself; of an agent, rules may still see for whom it acts."""
    policies = load(directory())
    return Alone(policies, Inquiry(policies))
