"""Judging: deny by default, forbid wins, people may lift what names them, and whatever stumbles is a no."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy import engine
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory
from hoopx_broker.seams.judge import Circumstances, Judge
from hoopx_broker.terms.facts import FunctionName, StatementFacts, TableUse
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import ColumnName
from tests.unit.policy_stage import ANN, BOT, DAN, EMAIL, NOON, NOW, SSN, facts, judge_of, ruled, shipped, target

A_THOUSAND = tuple(FunctionName("s", f"f{n}") for n in range(1_000))
EVERYTHING = '@id("everything") permit (principal, action, resource);'


def test_it_is_the_judge_that_the_session_room_asks_for() -> None:
    judge: Judge = shipped()
    assert judge.version.startswith("sha256:")
    assert len(judge.version) == len("sha256:") + 12


def test_nothing_permitted_is_denied_and_says_what_was_asked(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, '@id("reading") permit (principal, action == Action::"read", resource);')
    ruling = ruled(judge, "delete from s.orders where id = 4711")
    assert ruling == Deny(
        "no rule permits `delete` on `s.orders` at `prod-db`",
        "default",
        "`hoopx show prod-db` lists what you may do there",
    )


def test_every_table_of_a_statement_must_be_permitted(tmp_path: Path) -> None:
    only = '@id("orders") permit (principal, action, resource == Table::"prod-db/public.orders");'
    judge = judge_of(tmp_path, only)
    assert ruled(judge, "select * from orders") == Allow(("orders",))
    assert isinstance(ruled(judge, "select * from orders, customers"), Deny)
    assert isinstance(ruled(judge, "select * from orders; select * from customers"), Deny)
    assert isinstance(ruled(judge, "select * from other.orders"), Deny)


def test_no_statement_at_all_is_allowed(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, '@id("nothing") permit (principal in Group::"x", action, resource);')
    assert ruled(judge, "-- nothing") == Allow()


def test_a_hard_forbid_is_named_before_one_that_people_can_lift(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        '@id("a-soft") @approvers("dba") forbid (principal, action == Action::"read", resource)'
        ' unless { context.approvals.contains("dba") };',
        '@id("z-hard") @message("never") @hint("ask nobody") forbid (principal, action == Action::"read", resource);',
    )
    assert ruled(judge, "select 1") == Deny("never", "z-hard", "ask nobody")


def test_a_forbid_that_names_approvers_asks_them(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        '@id("two-dba") @approvers("dba") @quorum("2") @message("two of dba") '
        'forbid (principal, action in Action::"write", resource) unless { context.approvals.contains("dba") };',
        '@id("security-too") @approvers("dba, security") forbid (principal, action == Action::"delete", resource)'
        ' unless { context.approvals.containsAll(["dba", "security"]) };',
    )
    asked = ruled(judge, "delete from t where id = 1")
    assert isinstance(asked, Ask)
    assert asked.rules == ("security-too", "two-dba")
    assert asked.approvers == {"dba": 2, "security": 1}
    assert "two of dba" in asked.reason
    granted = structs.replace(NOW, approvals=frozenset({"dba", "security"}))
    assert isinstance(judge.statements(ANN, target(), facts("delete from t where id = 1"), granted), Allow)
    partly = structs.replace(NOW, approvals=frozenset({"dba"}))
    asked_again = judge.statements(ANN, target(), facts("delete from t where id = 1"), partly)
    assert isinstance(asked_again, Ask)
    assert asked_again.rules == ("security-too",)


def test_nobody_is_asked_for_what_would_be_denied_all_the_same(tmp_path: Path) -> None:
    """Approval lifts the forbid, but nothing permits: asking people would waste their time."""
    rule = (
        '@id("ask") @approvers("dba") forbid (principal, action, resource) unless {context.approvals.contains("dba")};'
    )
    judge = judge_of(tmp_path, rule.replace("action,", 'action == Action::"connect",'))
    assert judge.opening(ANN, target(), NOW) == Deny(
        "no rule permits `connect` on `prod-db`", "default", "`hoopx show prod-db` lists what you may do there"
    )


def test_one_question_without_approvers_makes_it_a_denial(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("read") permit (principal, action == Action::"read", resource);',
        '@id("ask") @approvers("dba") forbid (principal, action == Action::"read", resource)'
        ' unless { context.approvals.contains("dba") };',
    )
    assert isinstance(ruled(judge, "select * from t"), Ask)
    assert isinstance(ruled(judge, "select * from t; truncate t"), Deny)


def test_a_rule_that_errs_is_a_denial_and_not_skipped(tmp_path: Path) -> None:
    """Cedar skips it, which for this forbid would be a yes."""
    overflow = (
        '@id("overflow") forbid (principal, action == Action::"connect", resource)'
        " when { context.duration * 9223372036854775807 > 0 };"
    )
    judge = judge_of(tmp_path, EVERYTHING, overflow)
    assert isinstance(judge.opening(ANN, target(), Circumstances(NOON, duration=-5)), Deny)
    ruling = judge.opening(ANN, target(), Circumstances(NOON, duration=5))
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"


@pytest.mark.parametrize("action", ["read", "write", "query", "lock", "call", "copy", "admin", "set", "session", "ddl"])
def test_a_forbid_on_an_action_or_its_group_reaches_its_statements(tmp_path: Path, action: str) -> None:
    """The engine knows groups of actions only from the schema: without it every such forbid would be dead letters."""
    sql = {
        "read": "select 1",
        "write": "insert into t values (1)",
        "query": "begin",
        "lock": "lock t",
        "call": "call p()",
        "copy": "copy t to stdout",
        "admin": "checkpoint",
        "set": "set x.y to 1",
        "session": "show all",
        "ddl": "create schema s",
    }[action]
    judge = judge_of(tmp_path, EVERYTHING, f'@id("no") forbid (principal, action in Action::"{action}", resource);')
    ruling = ruled(judge, sql)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "no"


@pytest.mark.parametrize(
    "place",
    ['Environment::"prod"', 'Target::"prod-db"', 'Database::"prod-db/app"', 'Schema::"prod-db/s"'],
)
def test_a_table_is_inside_its_schema_database_target_and_environment(tmp_path: Path, place: str) -> None:
    judge = judge_of(
        tmp_path, EVERYTHING, f'@id("no") forbid (principal, action, resource) when {{ resource in {place} }};'
    )
    assert isinstance(ruled(judge, "select * from s.t"), Deny)
    elsewhere = target("dev-db", {"env": "dev"})
    assert isinstance(ruled(judge, "select * from s.t", where=elsewhere), Allow)


def test_names_with_dots_are_not_taken_for_others(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, '@id("one") permit (principal, action, resource == Table::"prod-db/public.orders");')
    for sneaky in ['"public.orders"', 'public."orders/x"', '"prod-db/public".orders', '""".""public".orders']:
        assert isinstance(ruled(judge, f"select * from {sneaky}"), Deny)


@pytest.mark.parametrize("name", ['a"b', "a.b", "a/b", "\n", "é", "a'; --", "a\\b", " ", "::", "\u202e"])
def test_any_name_the_server_takes_can_be_judged(name: str) -> None:
    quoted = name.replace('"', '""')
    ruling = ruled(shipped(), f'select * from "{quoted}"."{quoted}"')
    assert isinstance(ruling, Allow)


def test_functions_are_asked_for_by_name_and_only_those_not_known(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("read") permit (principal, action == Action::"read", resource);',
        '@id("ok") permit (principal, action == Action::"call", resource == Function::"prod-db/public.allowed");',
    )
    assert isinstance(ruled(judge, "select lower('x'), allowed(1), public.allowed(2)"), Allow)
    ruling = ruled(judge, "select allowed(1), s.allowed(2)")
    assert isinstance(ruling, Deny)
    assert "`s.allowed`" in ruling.reason


@pytest.mark.parametrize(
    "odd",
    [
        StatementFacts("x", frozenset(), frozenset(), ""),
        StatementFacts("x", frozenset({"x"}), frozenset({"insert"}), ""),
        StatementFacts("x", frozenset({"x"}), frozenset({"fly"}), ""),
        StatementFacts("x", frozenset({"x"}), frozenset({"read"}), "", tables=(TableUse("\ud800", "t", "read"),)),
        StatementFacts("x", frozenset(), frozenset({"call"}), "", functions=A_THOUSAND * 3),
    ],
)  # fmt: skip
def test_facts_that_make_no_sense_are_denied_by_the_judge(tmp_path: Path, odd: StatementFacts) -> None:
    ruling = judge_of(tmp_path, EVERYTHING).statements(DAN, target(), [odd], NOW)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"


def test_a_time_beyond_the_calendar_is_denied_by_the_judge() -> None:
    ruling = shipped().opening(ANN, target(), Circumstances(10**18))
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"


def test_an_engine_that_breaks_denies_and_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine, "is_authorized_batch", broken)
    where, judge = target(email="email"), CedarJudge(load(directory()))
    assert isinstance(judge.opening(ANN, where, NOW), Deny)
    assert isinstance(ruled(judge, "select 1"), Deny)
    assert isinstance(judge.may_view_session(ANN, where, Owner("ann")), Deny)
    assert judge.hidden(DAN, where) == {EMAIL: "email"}


def test_classified_columns_are_hidden_from_all_who_may_not_reveal_them() -> None:
    where = target(email="email", ssn="national-id")
    assert shipped().hidden(ANN, where) == {EMAIL: "email", SSN: "national-id"}
    assert shipped().hidden(DAN, where) == {}
    assert shipped().hidden(BOT, where) == {EMAIL: "email", SSN: "national-id"}
    ruling = ruled(shipped(), "select 1", where=where)
    assert isinstance(ruling, Allow)
    assert ruling.masks == {EMAIL: "email", SSN: "national-id"}


def test_a_class_or_a_table_can_be_revealed(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("mail") permit (principal, action == Action::"reveal", resource in DataClass::"email");',
        '@id("own") permit (principal, action == Action::"reveal", resource in Table::"prod-db/public.own");',
    )
    own = ColumnName("public", "own", "ssn")
    where = structs.replace(target(), classify={EMAIL: "email", SSN: "national-id", own: "national-id"})
    assert judge.hidden(ANN, where) == {SSN: "national-id"}


def test_recordings_are_for_their_owner_and_for_auditors() -> None:
    where = target()
    assert isinstance(shipped().may_view_session(ANN, where, Owner("ann")), Allow)
    assert isinstance(shipped().may_view_session(ANN, where, Owner("bob")), Deny)
    assert isinstance(shipped().may_view_session(Principal("amy", "human", ("auditors",)), where, Owner("bob")), Allow)


def test_owners_and_dbas_end_sessions_but_those_who_only_watch_do_not() -> None:
    where = target()
    assert isinstance(shipped().may_kill_session(ANN, where, Owner("ann")), Allow)
    assert isinstance(shipped().may_kill_session(ANN, where, Owner("bob")), Deny)
    assert isinstance(shipped().may_kill_session(Principal("amy", "human", ("auditors",)), where, Owner("bob")), Deny)
    assert isinstance(shipped().may_kill_session(Principal("dora", "human", ("dba",)), where, Owner("bob")), Allow)


def test_rules_may_look_at_time_reason_ticket_and_duration(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("office") permit (principal, action == Action::"connect", resource) when {'
        " context.hour >= 8 && context.hour < 18 && context.weekday <= 5 && context.duration <= 3600 &&"
        ' context.ticket like "OPS-*" && context.reason != "" && context.now > datetime("2026-01-01") };',
    )
    good = Circumstances(NOON, reason="repair", ticket="OPS-7", duration=3_600)
    assert isinstance(judge.opening(ANN, target(), good), Allow)
    for bad in [
        structs.replace(good, now=NOON + 8 * 3_600),
        structs.replace(good, now=NOON - 86_400),
        structs.replace(good, ticket="x"),
        structs.replace(good, reason=""),
        structs.replace(good, duration=3_601),
    ]:
        assert isinstance(judge.opening(ANN, target(), bad), Deny)


def test_rules_may_look_at_who_somebody_acts_for(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        '@id("agents-of-ann") permit (principal, action == Action::"connect", resource)'
        ' when { principal has on_behalf_of && principal.on_behalf_of == "ann" };',
        '@id("ann-herself") permit (principal == User::"ann", action == Action::"connect", resource);',
    )
    assert isinstance(judge.opening(BOT, target(), NOW), Allow)
    assert isinstance(judge.opening(Principal("bot", "agent", ("agents",)), target(), NOW), Deny)


def test_no_ruling_repeats_a_value_of_the_statement() -> None:
    for sql in ["delete from t where pin = 'hunter2' or true", "update t set pin = 'hunter2'", "select f('hunter2')"]:
        assert "hunter2" not in repr(ruled(shipped(), sql))
