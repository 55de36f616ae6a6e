"""Rules about columns: who may look at one, in the answer or in a WHERE, and who may write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.scenery import catalog, resolved
from hoopx_broker.terms.facts import ColumnUse, StatementFacts
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target
from tests.unit.policy_stage import ANN, NOW, facts, judge_of, shipped, target

EVERYTHING = '@id("everything") permit (principal, action in Action::"query", resource);'
NO_SSN = (
    '@id("no-ssn") forbid (principal, action == Action::"read", resource in DataClass::"national-id")'
    ' unless { principal in Group::"hr" };'
)
HR = Principal("hal", "human", ("hr",))
KNOWN = catalog(
    {"public.customers": ("id", "name", "ssn"), "public.orders": ("id", "customer")},
    {"public.people": ("public.customers.ssn",)},
    {},
)
SHOP = target(ssn="national-id")


def ruled(judge: CedarJudge, sql: str, who: Principal = ANN, where: Target = SHOP) -> Ruling:
    return judge.statements(who, where, resolved(facts(sql), KNOWN), NOW)


@pytest.fixture
def no_ssn(tmp_path: Path) -> CedarJudge:
    return judge_of(tmp_path, EVERYTHING, NO_SSN)


@pytest.mark.parametrize(
    "sql",
    [
        "select name from customers where ssn = '000-12-3456'",
        "select * from customers",
        "select c from customers c",
        "select count(*) from customers group by ssn",
        "select name from customers order by ssn",
        "select o.id from orders o join customers c on c.ssn = o.customer::text",
        "update customers set name = 'x' where ssn = '000-12-3456'",
        "delete from customers where id = 1 returning ssn",
        "insert into orders select 1, ssn from customers",
        "explain select ssn from customers",
        "prepare p as select ssn from customers",
        "with c as (select * from customers) select 1 from c",
        "copy customers to stdout",
        "copy customers (ssn) to stdout",
        "select * from people",
        "table customers",
    ],
)
def test_a_class_that_nobody_may_read_cannot_be_asked_about_in_any_way(no_ssn: CedarJudge, sql: str) -> None:
    ruling = ruled(no_ssn, sql)
    assert isinstance(ruling, Deny)
    assert ruling.rule == "no-ssn"
    assert "`public.customers.ssn`" in ruling.reason


@pytest.mark.parametrize(
    "sql",
    [
        "select name from customers",
        "select count(*) from customers",
        "select c.name from customers c where c.id = 7",
        "select o.* from orders o join customers c on c.id = o.customer",
        "update customers set name = 'x' where id = 1",
        "update customers set ssn = 'x' where id = 1",
        "insert into customers (id, ssn) values (1, 'x')",
        "select ssn from orders_of_old",
        "copy customers (id, name) to stdout",
        "delete from customers where id = 1",
    ],
)
def test_the_other_columns_of_its_table_are_read_and_written_as_ever(no_ssn: CedarJudge, sql: str) -> None:
    assert isinstance(ruled(no_ssn, sql), Allow)


def test_whom_the_rule_excepts_reads_it(no_ssn: CedarJudge) -> None:
    assert isinstance(ruled(no_ssn, "select * from customers where ssn = '1'", HR), Allow)


def test_a_column_needs_no_permit(tmp_path: Path) -> None:
    only_the_table = '@id("t") permit (principal, action, resource == Table::"prod-db/public.customers");'
    judge = judge_of(tmp_path, only_the_table.replace("action,", 'action == Action::"read",'), NO_SSN)
    assert ruled(judge, "select name from customers") == Allow(
        ("t",), {ColumnName("public", "customers", "ssn"): "national-id"}
    )


def test_writing_a_column_is_forbidden_by_its_action(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        '@id("keep") forbid (principal, action in [Action::"insert", Action::"update"],'
        ' resource == Column::"prod-db/public.customers.id");',
    )
    assert isinstance(ruled(judge, "update customers set name = 'x' where id = 1"), Allow)
    assert isinstance(ruled(judge, "update customers set id = 2 where id = 1"), Deny)
    assert isinstance(ruled(judge, "insert into customers (id) values (1)"), Deny)
    assert isinstance(ruled(judge, "insert into customers (name) values ('x')"), Allow)
    assert isinstance(ruled(judge, "insert into customers values (1)"), Deny)
    assert isinstance(ruled(judge, "select id from customers"), Allow)


def test_columns_can_be_told_apart_by_all_that_they_have(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        '@id("by-name") forbid (principal, action == Action::"read", resource is Column)'
        ' when { resource.name like "s*" && resource.table == "customers" && resource.schema == "public"'
        ' && resource.target == "prod-db" && resource.class == "" };',
    )
    plain = target()
    assert isinstance(ruled(judge, "select ssn from customers", where=plain), Deny)
    assert isinstance(ruled(judge, "select name from customers", where=plain), Allow)
    assert isinstance(ruled(judge, "select ssn from customers"), Allow)  # classified: its class is another


def test_all_columns_of_a_table_can_be_forbidden_but_some(tmp_path: Path) -> None:
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        '@id("some") forbid (principal, action == Action::"read",'
        ' resource is Column in Table::"prod-db/public.customers")'
        ' unless { ["id", "name"].contains(resource.name) };',
    )
    assert isinstance(ruled(judge, "select id, name from customers"), Allow)
    assert isinstance(ruled(judge, "select * from orders"), Allow)
    assert isinstance(ruled(judge, "select id from customers where ssn = '1'"), Deny)


def _unknown() -> tuple[StatementFacts, ...]:
    """A `*` that was left, because the catalog does not know the table."""
    (one,) = resolved(facts("select count(*) from customers"), KNOWN)
    return (structs.replace(one, columns=(ColumnUse("public", "customers", "*", "read"),)),)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ('resource in DataClass::"national-id"', Deny),
        ('resource in DataClass::"email"', Allow),
        ('resource == Column::"prod-db/public.customers.name"', Deny),
        ('resource == Column::"prod-db/public.customers.\\"odd.name\\""', Deny),
        ('resource == Column::"prod-db/public.customers2.name"', Allow),
        ('resource is Column) unless { ["id"].contains(resource.name) }', Deny),
        ('resource is Column) when { resource.name == "zebra" }', Allow),
    ],
)
def test_columns_that_nobody_knows_are_all_that_are_classified_or_named(
    tmp_path: Path, rule: str, verdict: type[Ruling]
) -> None:
    closed = rule if ")" in rule else f"{rule})"
    judge = judge_of(tmp_path, EVERYTHING, f'@id("x") forbid (principal, action == Action::"read", {closed};')
    assert isinstance(judge.statements(ANN, SHOP, _unknown(), NOW), verdict)


def test_a_column_behind_a_view_may_be_an_exception(tmp_path: Path) -> None:
    lenient = NO_SSN.replace('{ principal in Group::"hr" }', '{ context.through.contains("public.people") }')
    judge = judge_of(tmp_path, EVERYTHING, lenient)
    assert isinstance(ruled(judge, "select * from people"), Allow)
    assert isinstance(ruled(judge, "select ssn from customers"), Deny)


def test_people_can_be_asked_about_a_column(tmp_path: Path) -> None:
    asking = (
        '@id("ask") @approvers("privacy")'
        ' forbid (principal, action == Action::"read", resource in DataClass::"national-id")'
        ' unless { context.approvals.contains("privacy") };'
    )
    ruling = ruled(judge_of(tmp_path, EVERYTHING, asking), "select ssn from customers")
    assert isinstance(ruling, Ask)
    assert ruling.approvers == {"privacy": 1}


@pytest.mark.parametrize(
    ("rule", "asks", "asks_all"),
    [
        ("forbid (principal, action in Action::\"query\", resource) unless { context.has_where };", False, False),
        ('forbid (principal, action == Action::"read", resource in Schema::"t/payments");', False, False),
        ('forbid (principal, action == Action::"read", resource) when { resource.target == "t" };', False, False),
        ('permit (principal, action == Action::"read", resource is Column);', False, False),
        ('permit (principal, action == Action::"reveal", resource in DataClass::"email");', False, False),
        ('forbid (principal, action == Action::"read", resource in DataClass::"email");', True, False),
        ('forbid (principal, action == Action::"read", resource is Column in DataClass::"email");', True, False),
        ('forbid (principal, action == Action::"read", resource == Column::"t/a.b.c");', True, False),
        ('forbid (principal, action == Action::"read", resource is Column);', True, True),
        ('forbid (principal, action == Action::"read", resource) when { resource is Column };', True, True),
        ('forbid (principal, action == Action::"read", resource)'
         ' when { resource has class && resource.class == "email" };', True, True),
        ('forbid (principal, action == Action::"read", resource) when { resource in DataClass::"email" };', True, True),
        ('forbid (principal, action == Action::"read", resource)'
         ' when { resource == Column::"t/a.b.c" };', True, True),
        ('forbid (principal, action == Action::"reveal", resource in DataClass::"email");', False, False),
        ('forbid (principal, action in [Action::"reveal", Action::"write"], resource in DataClass::"a");', True, False),
        ('forbid (principal, action, resource) when { resource has table && resource.table == "t" };', True, True),
    ],
)  # fmt: skip
def test_columns_are_asked_about_only_where_a_rule_tells_them_apart(
    tmp_path: Path, rule: str, asks: bool, asks_all: bool
) -> None:
    judge_of(tmp_path, EVERYTHING, f'@id("x") {rule}')
    policies = load(tmp_path)
    assert (policies.asks_columns, policies.asks_unclassified) == (asks, asks_all)


def test_a_rule_that_says_nothing_of_columns_means_none(tmp_path: Path) -> None:
    """`resource.name` is a table's here; that another rule asks about columns must not change it."""
    judge = judge_of(
        tmp_path,
        EVERYTHING,
        NO_SSN,
        '@id("only-customers") forbid (principal, action == Action::"read", resource)'
        ' unless { resource.name == "customers" };',
    )
    assert isinstance(ruled(judge, "select name from customers"), Allow)


def test_the_shipped_rules_cost_no_question_about_columns() -> None:
    answers = shipped().inquiry.statements(ANN, SHOP, resolved(facts("select * from customers"), KNOWN), NOW)
    assert [answer.question.resource.type for answer in answers] == ["Table"]
