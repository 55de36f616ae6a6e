"""From the facts of real statements to a plan: what is masked, what is refused, what is left alone."""

from __future__ import annotations

import pytest

from hoopx_broker.masking.hidden import UNSURE, WHOLE, Hidden, Origin, hide
from hoopx_broker.masking.plan import OPEN, Plan, doubting, plan
from hoopx_broker.masking.shapes import whole
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.names import resolve
from hoopx_broker.terms.catalog import Attribute, Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, StatementFacts, Unreadable
from hoopx_broker.terms.lineage import ANYTHING, Flow
from hoopx_broker.terms.masks import Masks, Shape
from hoopx_broker.terms.rulings import Deny
from tests.unit.wire_stage import CUSTOMERS, EMAIL, ORDERS, TEXT

CHILD, VIEW, OPAQUE, SAMESAME = 16_401, 16_600, 16_601, 16_700
PLAIN = Flow(frozenset({EMAIL}), is_plain=True)
INTEGER = 23


def laid_out(*names: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name, number, TEXT) for number, name in enumerate(names, 1))


LAYOUT = {
    CUSTOMERS: laid_out("id", "name", "email", "phone"),
    CHILD: laid_out("id", "name", "phone", "email"),
    ORDERS: laid_out("id", "item", "email"),
    VIEW: laid_out("contact", "name", "shouted"),
    OPAQUE: laid_out("a"),
    SAMESAME: laid_out("id", "email"),
}
RELATIONS = (
    Relation(CUSTOMERS, "public", "customers", "p"),
    Relation(CHILD, "public", "customers_2026", "r"),
    Relation(ORDERS, "public", "orders", "r"),
    Relation(VIEW, "public", "contacts", "v"),
    Relation(OPAQUE, "public", "opaque", "v"),
    Relation(SAMESAME, "other", "customers", "r"),
    Relation(1_259, "pg_catalog", "pg_class", "r"),
    Relation(12_100, "pg_catalog", "pg_stats", "v"),
    *(
        Relation(1_000 + n, "pg_catalog", f"pg_{name}", "r")
        for n, name in enumerate(("description", "attribute", "seclabel"))
    ),
)
CATALOG = Catalog(
    {relation.oid: relation for relation in RELATIONS},
    {
        name: tuple(relation for relation in RELATIONS if relation.name == name)
        for name in {relation.name for relation in RELATIONS}
    },
    classified={EMAIL: ((CUSTOMERS, 3), (CHILD, 4))},
    functions={"own_function": (FunctionName("public", "own_function", "stable"),)},
    server={"set_config": "volatile", "pg_notify": "volatile", "pg_sleep": "volatile"},
    columns={oid: tuple(attribute.name for attribute in attributes) for oid, attributes in LAYOUT.items()},
    flows={
        CUSTOMERS: {"email": PLAIN},
        CHILD: {"email": PLAIN},
        VIEW: {"contact": PLAIN, "shouted": PLAIN.derived},
        OPAQUE: {"a": ANYTHING},
    },
    layout=LAYOUT,
)
HIDDEN = hide({EMAIL: "email"}, CATALOG)


def facts(text: str) -> tuple[StatementFacts, ...]:
    found = read(text.encode())
    assert not isinstance(found, Unreadable), found.reason
    return resolve(found, CATALOG)


def planned(text: str, hidden: Hidden | None = HIDDEN, meant: str = "") -> Plan | Deny:
    return plan(facts(text), hidden, facts(meant) if meant else ())


def hidings(text: str, *origins: Origin) -> list[bool]:
    """Which columns of an answer are hidden: without `origins`, of one whose columns have none."""
    found = planned(text)
    assert isinstance(found, Plan)
    width = len(origins) or (1 if found.columns is None else len(found.columns))
    masks = found.masks(origins or [Origin(0, 0, TEXT, 0)] * width) or [None] * width
    return [mask is not None for mask in masks]


def masks(table: int, attribute: int, *, doubt: bool = False) -> bool:
    return Plan(HIDDEN, None, doubt).masks([Origin(table, attribute, TEXT, 0)]) is not None


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
        (VIEW, 2, False),
        (VIEW, 3, True),
        (OPAQUE, 1, True),
        (99_999, 1, True),
        (0, 0, False),
    ],
)
def test_a_column_is_known_by_its_table_and_number(table: int, attribute: int, hidden: bool) -> None:
    assert masks(table, attribute) is hidden


def test_what_has_no_origin_is_hidden_where_the_plan_says_so() -> None:
    assert masks(0, 0, doubt=True)


@pytest.mark.parametrize(
    "text",
    [
        "select upper(email) from customers",
        "select c::text from customers c",
        "select email from customers union select item from orders",
        "select contact from contacts union select item from orders",
        "select shouted || '' from contacts",
        "select a || '' from opaque",
        "select upper(email) from customers_2026",
        "select own_function(id::text) from orders",
        "select y || '' from made_since",
        "execute p",
        "fetch all from c",
        "select 1; select upper(email) from customers",
    ],
)
def test_what_a_hidden_column_flows_into_is_hidden_without_an_origin(text: str) -> None:
    found = planned(text)
    assert isinstance(found, Plan)
    assert hidings(text, Origin(0, 0, TEXT, 0)) == [True]
    assert found.quiet


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
    found = planned(text)
    assert isinstance(found, Plan)
    assert not any(hidings(text))
    assert not found.quiet


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
        "copy (select id from customers) to stdout",
        "explain select email from customers",
        "create table c (like customers)",
        "drop table customers",
        "create index on customers (email)",
    ],
)
def test_what_only_touches_hidden_columns_is_quiet(text: str) -> None:
    found = planned(text)
    assert isinstance(found, Plan)
    assert found.quiet


@pytest.mark.parametrize(
    "text",
    [
        "copy (select c.*, p.* from customers c, pg_class p) to stdout",
        "copy customers to stdout with (encoding 'latin1')",
        "copy opaque to stdout; select 1",
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
        "comment on column customers.email is null",
        "security label on column customers.email is null",
        "create schema s create view v as select email from customers",
        "insert into orders (item) select own_function('x')",
        "create view v as select contact from contacts",
        "update pg_description set description = ''",
        "delete from pg_catalog.pg_description",
        "update pg_attribute set attname = 'e' where attname = 'email'",
        "with gone as (delete from pg_seclabel returning 1) select 1",
        "prepare p as insert into orders (item) select email from customers",
        "explain analyze insert into orders (item) select email from customers",
        "update customers set email = name || email",
        "update customers_2026 set phone = email",
        "update only public.customers set email = upper(phone), phone = 'x' || email",
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


@pytest.mark.parametrize(
    "text",
    [
        "update public.customers set email = lower(email)",
        "update public.customers set phone = '1' where email = 'x'",
        "insert into public.customers (email) select email from public.customers_2026",
        "comment on column customers.phone is 'home'",
        "comment on table customers is 'people'",
    ],
)
def test_a_value_may_stay_where_it_is_hidden(text: str) -> None:
    assert isinstance(planned(text), Plan), planned(text)


def test_a_name_without_a_schema_may_be_any_of_that_name() -> None:
    assert hidings("select upper(email) from customers") == [True]
    assert hidings("select upper(email) from other.customers") == [False]


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        ("select count(*), count(email) from customers", [False, True]),
        ("select current_user, email || '', 1, upper(name) from customers", [False, True, False, False]),
        ("select upper(name), (select email from customers limit 1) from customers", [False, True]),
        ("select upper(c.name), lower(c.email) from public.customers c, orders o", [False, True]),
        ("select upper(name) || email from customers", [True]),
        ("select contact || '', upper(name) from contacts", [True, False]),
        ("select count(*), own_function(name) from customers where email is not null", [False, True]),
        ("select upper(name), customers::text from customers", [False, True]),
        ("explain select name from customers", [False]),
        ("explain select name from customers where email = 'x'", [True]),
        ("select shouted, a from contacts, opaque", [True, True]),
    ],
)
def test_a_derived_column_is_hidden_only_if_something_hidden_flows_into_it(sql: str, hidden: list[bool]) -> None:
    assert hidings(sql) == hidden


def test_an_answer_of_another_width_than_its_statement_is_hidden_whole() -> None:
    assert all(hidings("select count(*), count(email) from customers", *[Origin(0, 0, TEXT, 0)] * 3))
    assert all(hidings("select upper(name) from customers", *[Origin(0, 0, TEXT, 0)] * 2))


def test_what_lineage_and_the_server_disagree_about_is_hidden() -> None:
    """The server names the origin of plain columns only; what it names and what flows must be the same."""
    name, email, item = (Origin(*place, TEXT, 0) for place in ((CUSTOMERS, 2), (CUSTOMERS, 3), (ORDERS, 2)))
    assert hidings("select public.customers.name, email from public.customers", name, email) == [False, True]
    assert hidings("select name from public.customers", email) == [True]
    assert hidings("select email from public.customers", item) == [True]
    assert hidings("select upper(name) from public.customers", item) == [False]


def test_a_relation_that_the_catalog_does_not_know_is_the_sessions_own_or_hidden() -> None:
    new = Origin(99_999, 1, TEXT, 0)
    assert hidings("select item from orders", new) == [True]
    assert hidings("select item from pg_temp.mine", new) == [False]
    assert hidings("select email from pg_temp.mine, public.customers", new) == [True]


def test_where_lineage_cannot_be_decided_the_server_says_which_columns_are_plain() -> None:
    name, email, none = Origin(CUSTOMERS, 2, TEXT, 0), Origin(CUSTOMERS, 3, TEXT, 0), Origin(0, 0, TEXT, 0)
    assert hidings("select * from public.customers, pg_class", name, email, none) == [False, True, True]
    assert hidings("select own_function(name), name from public.customers", none, name) == [True, False]
    assert hidings("execute p", name, email, none) == [False, True, True]


def test_what_a_name_stands_for_is_what_it_runs() -> None:
    once = planned("fetch all from k", meant="declare k cursor for select upper(name), upper(email) from customers")
    assert isinstance(once, Plan)
    assert once.columns == (None, WHOLE)
    assert planned("execute p", meant="select 1; select 2") == doubting(HIDDEN)


SHAPED = hide({EMAIL: "email"}, CATALOG, Masks({"email": Shape("fixed", "somebody")}))


@pytest.mark.parametrize(
    ("sql", "origin", "seen"),
    [
        ("select email from public.customers", Origin(CUSTOMERS, 3, TEXT, 0), b"somebody"),
        ("select e from (select email as e from public.customers) q", Origin(CUSTOMERS, 3, TEXT, 0), b"somebody"),
        ("select email from public.customers union select item from orders", Origin(0, 0, TEXT, 0), b"somebody"),
        ("select contact from contacts", Origin(VIEW, 1, TEXT, 0), b"somebody"),
        ("select shouted from contacts", Origin(VIEW, 3, TEXT, 0), b"*****"),
        ("select lower(email) from public.customers", Origin(0, 0, TEXT, 0), b"*****"),
        ("select length(email) from public.customers", Origin(0, 0, INTEGER, 0), b"0"),
        ("fetch all from k", Origin(CUSTOMERS, 3, TEXT, 0), b"somebody"),
    ],
)
def test_a_copy_has_the_shape_of_its_class_and_what_is_derived_is_hidden_whole(
    sql: str, origin: Origin, seen: bytes
) -> None:
    found = planned(sql, SHAPED)
    assert isinstance(found, Plan)
    (mask,) = found.masks([origin]) or (None,)
    assert mask is not None
    assert mask.value == seen
    assert mask.nulls is (seen != b"somebody")


def test_a_copy_to_the_client_is_masked_by_lineage_and_the_types_of_the_catalog() -> None:
    found = planned(
        "copy (select id, email, upper(email) as loud from public.customers) to stdout (format csv)", SHAPED
    )
    assert isinstance(found, Plan)
    assert found.copy is not None
    plain, derived = found.copy_masks()[1:]
    assert found.copy_masks()[0] is None
    assert plain is not None
    assert plain.value == b"somebody"
    assert derived == whole(0, 0)


def test_doubts_have_words_of_their_own() -> None:
    assert UNSURE != WHOLE
    assert doubting(None) is OPEN
