"""What lies behind the relations that a statement names: it needs no permit, and rules may still refuse it."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.terms.facts import StatementFacts, TableUse
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from tests.unit.policy_stage import ANN, BOT, NOW, facts, judge_of, shipped, target

ONLY_THE_VIEW = '@id("view") permit (principal, action, resource == Table::"prod-db/public.analytics_cards");'
NOT_PAYMENTS = (
    '@id("no-payments") forbid (principal, action == Action::"read", resource in Schema::"prod-db/payments");'
)


def through_a_view(*behind: TableUse) -> tuple[StatementFacts, ...]:
    """A read of the view `analytics_cards`, with what lies behind it."""
    (read,) = facts("select * from public.analytics_cards")
    return (structs.replace(read, tables=(*read.tables, *behind)),)


CARDS = TableUse("payments", "cards", "read", ("public.analytics_cards",))


def ruled(judge: CedarJudge, *behind: TableUse, who: Principal = ANN) -> Ruling:
    return judge.statements(who, target(), through_a_view(*behind), NOW)


def test_what_lies_behind_a_permitted_view_needs_no_permit_of_its_own(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, ONLY_THE_VIEW)
    assert ruled(judge, CARDS) == Allow(("view",))
    by_its_name = judge.statements(ANN, target(), facts("select * from payments.cards"), NOW)
    assert isinstance(by_its_name, Deny)


def test_a_forbid_reaches_behind_a_view_and_says_what_was_named(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, ONLY_THE_VIEW, NOT_PAYMENTS)
    assert isinstance(ruled(judge), Allow)
    ruling = ruled(judge, CARDS)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "no-payments"
    assert ruling.reason == "rule `no-payments` forbids `read` on `payments.cards`, behind `public.analytics_cards`"


def test_a_forbid_may_make_an_exception_for_what_is_reached_by_a_view(tmp_path: Path) -> None:
    lenient = NOT_PAYMENTS.replace(";", ' unless { context.through.contains("public.analytics_cards") };')
    judge = judge_of(tmp_path, ONLY_THE_VIEW, lenient)
    assert isinstance(ruled(judge, CARDS), Allow)
    assert isinstance(ruled(judge, structs.replace(CARDS, through=("public.other",))), Deny)


def test_what_lies_behind_can_wait_for_people(tmp_path: Path) -> None:
    asking = (
        '@id("ask") @approvers("payments") forbid (principal, action, resource in Schema::"prod-db/payments")'
        ' unless { context.approvals.contains("payments") };'
    )
    judge = judge_of(tmp_path, ONLY_THE_VIEW, asking.replace("action,", 'action == Action::"read",'))
    asked = ruled(judge, CARDS)
    assert isinstance(asked, Ask)
    assert asked.approvers == {"payments": 1}
    granted = structs.replace(NOW, approvals=frozenset({"payments"}))
    assert isinstance(judge.statements(ANN, target(), through_a_view(CARDS), granted), Allow)


def test_a_table_named_and_reached_is_asked_for_both_ways(tmp_path: Path) -> None:
    judge = judge_of(tmp_path, ONLY_THE_VIEW)
    ruling = ruled(judge, CARDS, structs.replace(CARDS, through=()))
    assert isinstance(ruling, Deny)
    assert ruling.rule == "default"


def test_agents_read_views_made_for_them_but_not_the_tables_behind_by_their_names() -> None:
    assert isinstance(ruled(shipped(), CARDS, who=BOT), Allow)
    assert isinstance(ruled(shipped(), structs.replace(CARDS, through=()), who=BOT), Deny)
    assert isinstance(ruled(shipped(), structs.replace(CARDS, action="update"), who=BOT), Deny)


def test_a_permit_that_errs_matters_only_where_a_permit_is_needed(tmp_path: Path) -> None:
    erring = (
        '@id("erring") permit (principal, action == Action::"read", resource is Table)'
        " when { !context.through.isEmpty() && context.duration * 9223372036854775807 > 0 };"
    )
    judge = judge_of(tmp_path, ONLY_THE_VIEW, erring)
    now = structs.replace(NOW, duration=5)
    assert isinstance(judge.statements(ANN, target(), through_a_view(CARDS), now), Allow)
    forbid = judge_of(tmp_path / "forbid", ONLY_THE_VIEW, erring.replace("permit", "forbid"))
    ruling = forbid.statements(ANN, target(), through_a_view(CARDS), now)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "judge"
