"""What the names of a statement may mean, by the catalog."""

from __future__ import annotations

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.session.names import resolve
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, StatementFacts, TableUse

ORDERS, OLD_ORDERS = Relation(1, "public", "orders", "r"), Relation(2, "archive", "orders", "r")
CATALOG = Catalog(
    relations={1: ORDERS, 2: OLD_ORDERS},
    by_name={"orders": (ORDERS, OLD_ORDERS)},
    functions={"lower": ("public",), "whole_row": ("app", "public"), "add": ("public",)},
    attributes=frozenset({"lower", "whole_row"}),
)


def resolved(sql: str) -> StatementFacts:
    facts = read(sql.encode())
    assert isinstance(facts, tuple)
    (statement,) = resolve(facts, CATALOG)
    return statement


def test_a_bare_name_means_every_relation_of_that_name() -> None:
    assert resolved("select * from orders").tables == (
        TableUse("archive", "orders", "read"),
        TableUse("public", "orders", "read"),
    )


def test_a_name_with_a_schema_means_itself() -> None:
    assert resolved("select * from archive.orders").tables == (TableUse("archive", "orders", "read"),)


def test_an_unknown_name_is_taken_to_be_in_public() -> None:
    assert resolved("select * from elsewhere").tables == (TableUse("public", "elsewhere", "read"),)


def test_a_function_that_shadows_one_of_postgresql_must_be_permitted() -> None:
    statement = resolved("select lower(item) from orders")
    assert FunctionName("public", "lower") in statement.functions
    assert "call" in statement.actions


def test_a_function_that_a_dot_may_call_must_be_permitted_in_every_schema() -> None:
    statement = resolved("select o.whole_row from orders o")
    assert {FunctionName("app", "whole_row"), FunctionName("public", "whole_row")} <= set(statement.functions)
    assert "call" in statement.actions


def test_a_column_that_no_function_has_the_name_of_calls_nothing() -> None:
    assert "call" not in resolved("select o.item, o.add from orders o").actions
