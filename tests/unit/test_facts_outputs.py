"""Which names each output column is made of, where that is plain to see."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read


def outputs(sql: str) -> list[set[str] | None] | None:
    facts = read(sql.encode())
    assert isinstance(facts, tuple)
    found = facts[-1].outputs
    return None if found is None else [None if names is None else set(names) for names in found]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1, current_user, now()", [set(), set(), {"now"}]),
        ("select count(*), count(email) from customers", [{"count"}, {"count", "email"}]),
        ("select upper(c.name), c.email || 'x' from customers c", [{"upper", "name"}, {"email"}]),
        ("select o.total * 2 from orders o join customers c on c.id = o.customer and c.email = 'x'", [{"total"}]),
        ("select case when email = 'x' then 1 end from customers", [{"email"}]),
        ("select count(*) filter (where email = 'x') from customers", [{"count", "email"}]),
        ("select row_number() over (order by email) from customers", [{"row_number", "email"}]),
        ("select array[name, $1] from customers", [{"name"}]),
        ("select (t.pair).left_half from t", [{"pair", "left_half"}]),
    ],
)
def test_an_expression_is_made_of_the_names_in_it(sql: str, expected: list[set[str]]) -> None:
    assert outputs(sql) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "c",
        "c::text",
        "c.to_json",
        "c.record_out",
        "public.customers.row_to_json",
        "row_to_json(c)",
        "(c).email",
        "email(c)",
        "row(c.*)",
        "(c).*::text",
        "(select email from customers limit 1)",
        "exists (select 1 from customers where email = 'x')",
        "array(select email from customers)",
    ],
)
def test_a_column_that_a_row_or_a_subquery_may_flow_into_is_not_plain(expression: str) -> None:
    assert outputs(f"select 1, {expression} from customers c") == [set(), None]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from customers",
        "select c.*, 1 from customers c",
        "select 1, (c).* from customers c",
        "select 1 union select email from customers",
        "with x as (select email as e from customers) select e from x",
        "select e from (select email as e from customers) x",
        "select x from unnest(array[1]) x",
        "select a from customers as c (a, b)",
        "select email from customers a full join customers b using (email)",
        "select id from customers natural join orders",
        "select j.email from (customers a join orders b on true) as j",
        "select id into stolen from customers",
        "table customers",
        "values (1)",
        "explain select id from customers",
        "prepare p as select id from customers",
        "declare c cursor for select id from customers",
        "insert into t values (1) returning email",
        "update t set a = 1 returning email",
    ],
)
def test_where_columns_cannot_be_told_apart_nothing_is_said(sql: str) -> None:
    assert outputs(sql) is None
