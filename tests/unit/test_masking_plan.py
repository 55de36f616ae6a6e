"""From the facts of real statements to a plan: what is masked, what is refused, what is left alone."""

from __future__ import annotations

import pytest

from hoopx_broker.masking.plan import OPEN, Hidden, Origin, Plan, hide, plan
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import Unreadable
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.targets import ColumnName
from tests.unit.wire_stage import CUSTOMERS, EMAIL, ORDERS, TEXT

CHILD, VIEW, SAMESAME = 16_401, 16_600, 16_700
CATALOG = Catalog(
    {
        CUSTOMERS: Relation(CUSTOMERS, "public", "customers", "p"),
        CHILD: Relation(CHILD, "public", "customers_2026", "r"),
        ORDERS: Relation(ORDERS, "public", "orders", "r"),
        VIEW: Relation(VIEW, "public", "contacts", "v"),
        SAMESAME: Relation(SAMESAME, "other", "customers", "r"),
    },
    classified={EMAIL: ((CUSTOMERS, 3), (CHILD, 4))},
    views={VIEW: frozenset({EMAIL})},
)
HIDDEN = hide({EMAIL: "email"}, CATALOG)


def planned(text: str, hidden: Hidden | None = HIDDEN) -> Plan | Deny:
    facts = read(text.encode())
    assert not isinstance(facts, Unreadable), facts.reason
    return plan(facts, hidden)


def masks(table: int, attribute: int, *, derived: bool = False) -> bool:
    return Plan(HIDDEN, derived).masks([Origin(table, attribute, TEXT, 0)]) is not None


def test_with_nothing_to_hide_every_plan_is_open() -> None:
    assert hide({}, CATALOG) is None
    assert planned("select email from customers", None) is OPEN
    assert OPEN.masks([Origin(CUSTOMERS, 3, TEXT, 0)]) is None


@pytest.mark.parametrize(
    ("table", "attribute", "hidden"),
    [
        (CUSTOMERS, 3, True),
        (CUSTOMERS, 2, False),
        (CUSTOMERS, 0, True),
        (CUSTOMERS, -1, False),
        (CHILD, 4, True),
        (CHILD, 3, False),
        (CHILD, 0, True),
        (ORDERS, 3, False),
        (ORDERS, 0, False),
        (VIEW, 1, True),
        (VIEW, 9, True),
        (99_999, 1, True),
        (0, 0, False),
    ],
)
def test_a_column_is_known_by_its_table_and_number(table: int, attribute: int, hidden: bool) -> None:
    assert masks(table, attribute) is hidden


def test_what_has_no_origin_is_hidden_where_the_plan_says_so() -> None:
    assert masks(0, 0, derived=True)


@pytest.mark.parametrize(
    "text",
    [
        "select upper(email) from customers",
        "select c::text from customers c",
        "select email from customers union select item from orders",
        "select a from contacts union select item from orders",
        "select upper(email) from customers_2026",
        "execute p",
        "fetch all from c",
        "select 1; select upper(email) from customers",
    ],
)
def test_a_hidden_column_that_flows_hides_what_has_no_origin(text: str) -> None:
    assert planned(text) == Plan(HIDDEN, derived=True, quiet=True)


@pytest.mark.parametrize(
    "text",
    [
        "select email from public.orders",
        "select count(*) from orders",
        "select upper(email) from other.customers",
        "insert into orders select * from orders",
        "select set_config('a.b', 'c', false)",
        "listen x",
        "begin",
        "create table t as select item from orders",
        "copy orders to stdout",
        "alter table orders rename to o",
        "",
    ],
)
def test_what_does_not_touch_hidden_columns_is_left_alone(text: str) -> None:
    assert planned(text) == Plan(HIDDEN)


@pytest.mark.parametrize(
    "text",
    [
        "select id from customers",
        "select count(*) from customers where email like 'a%'",
        "select * from customers",
        "delete from customers where email = 'x'",
        "insert into customers (email) values ('x') returning id",
        "update customers set phone = '1' where id = 1",
        "copy customers from stdin",
        "explain select email from customers",
        "create table c (like customers)",
        "drop table customers",
        "create index on customers (email)",
    ],
)
def test_what_only_touches_hidden_columns_is_quiet(text: str) -> None:
    assert planned(text) == Plan(HIDDEN, quiet=True)


@pytest.mark.parametrize(
    "text",
    [
        "copy customers to stdout",
        "copy (select id from customers) to stdout",
        "insert into orders (item) select email from customers",
        "insert into orders (item) select * from customers",
        "insert into orders table customers",
        "update customers set phone = email",
        "update orders set item = (select max(email) from customers)",
        "update orders o set item = c.email from customers c",
        "with x as (select email from customers) insert into orders (item) select email from x",
        "with x as (delete from customers returning *) insert into orders select * from x",
        "merge into orders o using customers c on o.id = c.id when matched then update set item = c.email",
        "create table t as select * from customers",
        "create table t as select email from customers",
        "create table t as table customers",
        "create materialized view m as select * from customers",
        "select * into t from customers",
        "create view v as select * from customers",
        "create rule r as on insert to orders do also select * from customers",
        "create function f() returns text begin atomic select email from customers; end",
        "alter table customers rename email to e",
        "alter table customers rename to c",
        "alter table customers set schema other",
        "alter table customers alter phone type text using email",
        "alter table customers_2026 inherit parent",
        "alter table contacts rename to c",
        "select set_config('a.b', email, false) from customers",
        "select 1 from customers where set_config('a.b', email, false) = ''",
        "select pg_notify('a', email) from customers",
        "select 1 from customers where pg_notify('a', email) is null",
        "select * from pg_stats",
        "select * from pg_catalog.pg_statistic",
        "select lo_from_bytea(0, email::bytea) from customers",
        "select 1; copy customers to stdout",
    ],
)
def test_what_would_carry_hidden_columns_past_the_masks_is_refused(text: str) -> None:
    refused = planned(text)
    assert isinstance(refused, Deny)
    assert refused.rule == "mask"


def test_a_name_without_a_schema_may_be_any_of_that_name() -> None:
    column = ColumnName("hr", "staff", "salary")
    catalog = Catalog({1: Relation(1, "hr", "staff", "r")}, classified={column: ((1, 2),)})
    assert planned("select upper(salary) from staff", hide({column: "pay"}, catalog)) != OPEN
    flows = planned("select upper(salary) from staff", hide({column: "pay"}, catalog))
    assert isinstance(flows, Plan)
    assert flows.derived


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        ("select count(*), count(email) from customers", [False, True]),
        ("select current_user, email || '', 1, upper(name) from customers", [False, True, False, False]),
        ("select upper(name), (select email from customers limit 1) from customers", [False, True]),
        ("select upper(c.name), lower(c.email) from customers c, orders o", [False, True]),
        ("select upper(name) || email from customers", [True]),
        ("select contact || '', upper(name) from contacts", [True, True]),
        ("select count(*), own_function(name) from customers where email is not null", [True, True]),
        ("select upper(name), customers::text from customers", [False, True]),
    ],
)
def test_a_derived_column_is_hidden_only_if_something_hidden_flows_into_it(sql: str, hidden: list[bool]) -> None:
    plan = planned(sql)
    assert isinstance(plan, Plan)
    masks = plan.masks([Origin(0, 0, TEXT, 0)] * len(hidden)) or [None] * len(hidden)
    assert [mask is not None for mask in masks] == hidden


def test_an_answer_of_another_width_than_its_statement_is_hidden_whole() -> None:
    plan = planned("select count(*), count(email) from customers")
    assert isinstance(plan, Plan)
    assert all(plan.masks([Origin(0, 0, TEXT, 0)] * 3) or [None])
