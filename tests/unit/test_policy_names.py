"""What the names of a statement may mean, by the catalog and the search paths."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.lookup import ANYWHERE, Bearings
from hoopx_broker.policy.names import resolve
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, StatementFacts, TableUse
from hoopx_broker.terms.targets import ColumnName

ORDERS, OLD_ORDERS = Relation(1, "public", "orders", "r"), Relation(2, "archive", "orders", "r")
CUSTOMERS, CONTACTS = Relation(3, "public", "customers", "r"), Relation(4, "public", "contacts", "v")
EVENTS, MAY, OLD_MAY = (
    Relation(5, "public", "events", "p"),
    Relation(6, "parts", "may", "p"),
    Relation(7, "x", "old", "r"),
)
PROFILES, SETTINGS = Relation(8, "public", "profiles", "v"), Relation(9, "pg_catalog", "pg_settings", "v")
EVERYTHING = (ORDERS, OLD_ORDERS, CUSTOMERS, CONTACTS, EVENTS, MAY, OLD_MAY, PROFILES, SETTINGS)
SSN = ColumnName("public", "customers", "ssn")
TOUCH, PAY = FunctionName("public", "touch", "volatile"), FunctionName("app", "pay", "volatile")
CATALOG = Catalog(
    relations={relation.oid: relation for relation in EVERYTHING},
    by_name={
        name: tuple(each for each in EVERYTHING if each.name == name) for name in {each.name for each in EVERYTHING}
    },
    classified={SSN: ((3, 3),)},
    views={4: frozenset({SSN}), 8: frozenset({SSN})},
    functions={
        "lower": (FunctionName("public", "lower", "stable"),),
        "whole_row": (FunctionName("app", "whole_row"), FunctionName("public", "whole_row")),
        "add": (FunctionName("public", "add"),),
        "touch": (TOUCH,),
        "status": (FunctionName("public", "status", "volatile"),),
    },
    server={"pg_terminate_backend": "volatile", "lower": "immutable"},
    attributes=frozenset({"lower", "whole_row", "status"}),
    columns={
        1: ("id", "customer_id", "item", "status"),
        2: ("id", "item"),
        3: ("id", "name", "ssn"),
        4: ("name", "ssn"),
        5: ("id", "at"),
        6: ("id", "at"),
        7: ("id", "at"),
        8: ("name",),
    },
    reads={4: (3,), 8: (4,), 9: (3,)},
    calls={8: (PAY, FunctionName("app", "tenant", "stable"))},
    children={5: (6,), 6: (7,)},
    parents={6: (5,), 7: (6,)},
    operators={"~~>": (TOUCH,)},
    types={"money_text": (PAY,)},
)
PUBLIC = Bearings((("$user", "public"),), "hoopx_1")


def resolved(sql: str, bearings: Bearings = ANYWHERE) -> StatementFacts:
    facts = read(sql.encode())
    assert isinstance(facts, tuple)
    (statement,) = resolve(facts, CATALOG, bearings)
    return statement


def tables(sql: str, bearings: Bearings = PUBLIC) -> set[str]:
    """`schema.name action`, with `< view` where the statement does not name it."""
    return {
        " < ".join([f"{use.schema}.{use.name} {use.action}", *use.through]) for use in resolved(sql, bearings).tables
    }


def columns(sql: str) -> set[str]:
    return {
        " < ".join([f"{use.table}.{use.column} {use.action}", *use.through]) for use in resolved(sql, PUBLIC).columns
    }


def called(sql: str, bearings: Bearings = PUBLIC) -> set[FunctionName]:
    statement = resolved(sql, bearings)
    return set(statement.functions) if "call" in statement.actions else set()


# Tables by path.


def test_a_bare_name_means_every_relation_of_that_name_where_the_path_is_not_known() -> None:
    assert tables("select * from orders", ANYWHERE) == {"archive.orders read", "public.orders read"}


def test_a_bare_name_means_the_first_of_that_name_on_the_path() -> None:
    assert tables("select * from orders") == {"public.orders read"}
    assert tables("select * from orders", Bearings((("archive", "public"),))) == {"archive.orders read"}


def test_a_bare_name_means_what_each_path_that_may_hold_finds_first() -> None:
    both = Bearings((("public",), ("archive", "public")))
    assert tables("select * from orders", both) == {"archive.orders read", "public.orders read"}


def test_the_schema_of_the_user_is_the_logins_own() -> None:
    assert tables("select * from orders", Bearings((("$user",),), "archive")) == {"archive.orders read"}


def test_the_servers_own_schema_comes_before_the_path() -> None:
    assert tables("select * from pg_settings") == {"pg_catalog.pg_settings read"}


def test_a_temporary_table_may_stand_before_another_of_its_name() -> None:
    bearings = Bearings((("public",),), temporary=frozenset({"orders", "draft"}))
    assert tables("select * from orders", bearings) == {"pg_temp.orders read", "public.orders read"}
    assert tables("select * from draft", bearings) == {"pg_temp.draft read"}


def test_a_name_with_a_schema_means_itself() -> None:
    assert tables("select * from archive.orders") == {"archive.orders read"}


def test_an_unknown_name_is_taken_to_be_in_public() -> None:
    assert tables("select * from elsewhere") == {"public.elsewhere read"}


# Tables behind others.


def test_a_view_reads_what_it_is_made_of_through_other_views_too() -> None:
    assert tables("select name from profiles") == {
        "public.profiles read",
        "public.contacts read < public.profiles",
        "public.customers read < public.profiles",
    }


def test_a_write_to_a_view_reaches_its_table() -> None:
    assert "public.customers update < public.contacts" in tables("update contacts set name = 'x' where name = 'y'")


def test_a_view_of_the_server_hides_nothing_that_a_rule_speaks_of() -> None:
    assert tables("select * from pg_settings") == {"pg_catalog.pg_settings read"}


def test_a_partition_is_its_table_and_a_table_its_partitions() -> None:
    assert tables("select * from parts.may") == {
        "parts.may read",
        "x.old read < parts.may",
        "public.events read < parts.may",
    }
    assert tables("select * from x.old") == {"x.old read", "parts.may read < x.old", "public.events read < x.old"}
    assert tables("delete from events where id = 1") >= {
        "parts.may delete < public.events",
        "x.old delete < public.events",
    }


def test_structure_is_changed_by_a_name_of_its_own_only() -> None:
    assert tables("drop view profiles") == {"public.profiles ddl"}


# Columns.


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select name from customers", {"customers.name read"}),
        ("select * from customers", {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("select count(*) from customers", set()),
        ("select count(*) from customers where ssn = '1'", {"customers.ssn read"}),
        ("select o.item from orders o join customers c on c.id = o.customer_id",
         {"orders.item read", "orders.customer_id read", "customers.id read"}),
        ("select item from orders o, customers c", {"orders.item read"}),
        ("select id from orders o, customers c", {"orders.id read", "customers.id read"}),
        ("select 1 from customers c where exists (select 1 from orders where customer_id = c.id and ssn is null)",
         {"orders.customer_id read", "customers.id read", "customers.ssn read"}),
        ("select item from orders where id in (select id from customers)",
         {"orders.item read", "orders.id read", "customers.id read"}),
        ("select s.ssn from (select name as ssn from customers) s", {"customers.name read"}),
        ("with c as (select name as ssn from customers) select ssn from c", {"customers.name read"}),
        ("select c from customers c", {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("select row_to_json(customers) from customers",
         {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("select (c).name from customers c", {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("select x from customers c(x, y, z)", {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("select name as ssn from customers order by ssn", {"customers.name read"}),
        ("select name from customers order by ssn", {"customers.name read", "customers.ssn read"}),
        ("select 1 from customers order by ssn collate \"C\"", {"customers.ssn read"}),
        ("select max(name) from customers group by ssn having count(id) > 1",
         {"customers.name read", "customers.ssn read", "customers.id read"}),
        ("select name from customers union select item from orders", {"customers.name read", "orders.item read"}),
        ("select public.customers.ssn from public.customers", {"customers.ssn read"}),
        ("table customers", {"customers.id read", "customers.name read", "customers.ssn read"}),
        ("copy customers (name) to stdout", {"customers.name read"}),
        ("copy customers from stdin", {"customers.id insert", "customers.name insert", "customers.ssn insert"}),
        ("insert into customers (name) values ('x')", {"customers.name insert"}),
        ("insert into customers values (1)", {"customers.id insert", "customers.name insert", "customers.ssn insert"}),
        ("insert into customers (id) values (1) on conflict (id) do update set name = excluded.ssn",
         {"customers.id insert", "customers.name update", "customers.ssn read"}),
        ("update customers set name = 'x' where id = 1 returning ssn",
         {"customers.name update", "customers.id read", "customers.ssn read"}),
        ("update customers set name = o.item from orders o where o.customer_id = customers.id",
         {"customers.name update", "orders.item read", "orders.customer_id read", "customers.id read"}),
        ("delete from customers c using orders o where o.item = c.ssn", {"orders.item read", "customers.ssn read"}),
        ("merge into customers c using orders o on c.id = o.id when matched then update set name = o.item",
         {"customers.id read", "orders.id read", "customers.name update", "orders.item read"}),
        ("explain select ssn from customers", {"customers.ssn read"}),
        ("prepare p as select ssn from customers", {"customers.ssn read"}),
        ("declare c cursor for select ssn from customers", {"customers.ssn read"}),
        ("select id from orders join customers using (id)", {"orders.id read", "customers.id read"}),
        ("select l.ssn from customers c, lateral (select c.ssn) l", {"customers.ssn read"}),
        ("select something from elsewhere", {"elsewhere.something read"}),
        ("select at from x.old", {"old.at read", "may.at read < x.old", "events.at read < x.old"}),
        ("select name from profiles", {"profiles.name read", "customers.ssn read < public.profiles"}),
    ],
)  # fmt: skip
def test_columns_are_told_by_what_the_query_calls_its_rows(sql: str, expected: set[str]) -> None:
    assert columns(sql) == expected


# Functions.


def test_a_function_that_shadows_one_of_postgresql_must_be_permitted() -> None:
    assert FunctionName("public", "lower", "stable") in called("select lower(item) from orders")
    assert called("select lower(item) from orders", Bearings((("archive",),))) == set()


def test_what_the_catalog_says_of_a_function_is_told() -> None:
    assert called("select touch(1)") == {TOUCH}
    assert called("select public.touch(1)") == {TOUCH}
    assert called("select pg_terminate_backend(1)") == {FunctionName("pg_catalog", "pg_terminate_backend", "volatile")}


def test_a_function_that_a_dot_may_call_must_be_permitted_in_every_schema() -> None:
    assert called("select o.whole_row from orders o", ANYWHERE) >= {
        FunctionName("app", "whole_row"),
        FunctionName("public", "whole_row"),
    }
    assert called("select (o).whole_row from orders o") == {FunctionName("public", "whole_row")}
    assert called("select s.whole_row from (select 1) s") == {FunctionName("public", "whole_row")}


def test_a_column_calls_nothing_though_a_function_has_its_name() -> None:
    assert called("select o.status, status from orders o") == set()
    assert called("select c.status from customers c") == {FunctionName("public", "status", "volatile")}


def test_a_column_that_no_function_of_one_argument_has_the_name_of_calls_nothing() -> None:
    assert called("select o.item, o.add from orders o") == set()


@pytest.mark.parametrize(
    "sql", ["select 1 ~~> 2", "select 1 where 1 ~~> any (array[2])", "select 1 order by 1 using ~~>"]
)
def test_an_operator_of_the_targets_own_is_a_call(sql: str) -> None:
    assert TOUCH in called(sql)


def test_a_cast_that_runs_a_function_is_a_call() -> None:
    assert called("select item::money_text from orders") == {PAY}
    assert called("select item::text from orders") == set()


def test_a_view_that_calls_what_may_write_is_a_call() -> None:
    assert called("select name from profiles") == {PAY}
    assert called("select name from contacts") == set()


def test_uses_keep_what_is_done() -> None:
    assert resolved("insert into archive.orders values (1)").tables == (TableUse("archive", "orders", "insert"),)
