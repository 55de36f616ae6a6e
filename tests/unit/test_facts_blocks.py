"""What is inside of a DO block counts like anything else, and what nobody can read counts as anything."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import StatementFacts


def facts(block: str) -> StatementFacts:
    found = read(f"DO $$ {block} $$".encode())
    assert isinstance(found, tuple), found
    (statement,) = found
    assert statement.kind == "do"
    assert "do-block" in statement.dangerous
    return statement


def uses(statement: StatementFacts) -> set[str]:
    return {f"{use.action} {use.name}" for use in statement.tables}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("BEGIN DELETE FROM orders WHERE id = 1; END", {"delete orders", "read orders"}),
        ("BEGIN DROP TABLE orders; END", {"ddl orders"}),
        ("DECLARE n int := (SELECT count(*) FROM orders); BEGIN END", {"read orders"}),
        ("DECLARE n int; BEGIN n := (SELECT max(id) FROM orders); END", {"read orders"}),
        ("DECLARE n int; BEGIN SELECT id INTO n FROM orders; END", {"read orders"}),
        ("BEGIN IF EXISTS (SELECT FROM orders) THEN TRUNCATE payments; END IF; END",
         {"read orders", "truncate payments"}),
        ("DECLARE r record; BEGIN FOR r IN SELECT * FROM orders LOOP INSERT INTO log VALUES (r.id); END LOOP; END",
         {"read orders", "insert log"}),
        ("BEGIN PERFORM 1 FROM orders; EXCEPTION WHEN others THEN INSERT INTO log VALUES (1); END",
         {"read orders", "insert log"}),
        ("DECLARE c CURSOR FOR SELECT * FROM orders; BEGIN OPEN c; END", {"read orders"}),
        ("DECLARE c refcursor; BEGIN OPEN c FOR SELECT * FROM orders; END", {"read orders"}),
        ("BEGIN RAISE NOTICE '%', (SELECT count(*) FROM orders); END", {"read orders"}),
        ("BEGIN PERFORM '$hoopx$' FROM orders; END", {"read orders"}),
    ],
)  # fmt: skip
def test_the_tables_of_a_block_are_found(block: str, expected: set[str]) -> None:
    statement = facts(block)
    assert uses(statement) == expected
    assert "dynamic-sql" not in statement.dangerous


def test_a_write_without_bounds_is_one_inside_a_block_too() -> None:
    assert not facts("BEGIN UPDATE orders SET item = ''; END").has_where
    assert facts("BEGIN UPDATE orders SET item = '' WHERE id = 1; END").has_where


def test_what_a_block_calls_is_called() -> None:
    statement = facts("DECLARE n int; BEGIN n := touch(1) + pay(2); CALL settle(); PERFORM pg_read_file('x'); END")
    assert {"touch", "pay", "settle", "pg_read_file"} <= {function.name for function in statement.functions}
    assert "server-file" in statement.dangerous


def test_settings_of_a_block_are_found() -> None:
    statement = facts("BEGIN SET ROLE other; PERFORM set_config('search_path', 'x', false); END")
    assert {"role", "search_path"} <= set(statement.settings)
    assert "role" in statement.dangerous


@pytest.mark.parametrize(
    "block",
    [
        "BEGIN EXECUTE 'drop table orders'; END",
        "DECLARE r record; BEGIN FOR r IN EXECUTE 'select 1' LOOP END LOOP; END",
        "DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE 'select 1'; END",
        "BEGIN nonsense END",
        "",
    ],
)
def test_what_is_made_up_while_it_runs_may_be_anything(block: str) -> None:
    statement = facts(block)
    assert "dynamic-sql" in statement.dangerous
    assert {"call", "ddl"} <= statement.actions
    assert None in statement.paths


@pytest.mark.parametrize("text", ["DO LANGUAGE plpython3u 'x'", "DO 'begin' LANGUAGE plperl"])
def test_another_language_may_do_anything(text: str) -> None:
    found = read(text.encode())
    assert isinstance(found, tuple)
    assert "dynamic-sql" in found[0].dangerous


def test_a_block_that_only_computes_is_a_call_and_no_more() -> None:
    statement = facts("DECLARE n int := 1; BEGIN n := n + 1; END")
    assert statement.tables == ()
    assert "ddl" not in statement.actions
    assert "call" in statement.actions
