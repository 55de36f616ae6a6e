"""Masked answers through the engine: no value of a hidden column leaves, by rows, errors, notices or the recording."""

from __future__ import annotations

import pytest

from hoopx_broker.terms import entries
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.wire_stage import (
    CUSTOMERS,
    DERIVED,
    EMAIL_COLUMN,
    INTEGER,
    NAME_COLUMN,
    PLAIN,
    QUIET,
    Stage,
    allow,
    bind,
    bound,
    column,
    columns,
    describe,
    done,
    error,
    everything,
    execute,
    no_data,
    notice,
    parse,
    parsed,
    query,
    ready,
    row,
    suspended,
    sync,
)

SECRET = "ann@example.com"
STARS = "*****"


def leaked(stage: Stage) -> bool:
    return SECRET.encode() in stage.client_heard or SECRET in repr(stage.notes)


def test_a_hidden_column_is_hidden_and_its_neighbours_are_not() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select name, email from customers"))
    shape = columns(NAME_COLUMN, EMAIL_COLUMN)
    stage.backend_says(shape, row("Ann", SECRET), row("Bob", None), done("SELECT 2"), ready())
    assert stage.client_heard == shape + row("Ann", STARS) + row("Bob", None) + done("SELECT 2") + ready()
    (told,) = [note for note in stage.notes if isinstance(note, entries.Columns)]
    assert told.masked == (1,)
    (rows,) = [note for note in stage.notes if isinstance(note, entries.Rows)]
    assert rows.data == row("Ann", STARS) + row("Bob", None)


@pytest.mark.parametrize(
    ("kind", "wire_format", "mask"),
    [
        (25, 0, b"*****"),
        (25, 1, b"*****"),
        (1043, 1, b"*****"),
        (18, 1, b"*"),
        (114, 1, b'"*****"'),
        (3802, 0, b'"*****"'),
        (3802, 1, b'\x01"*****"'),
        (INTEGER, 0, b"0"),
        (INTEGER, 1, bytes(4)),
        (1009, 0, b"{}"),
        (17, 1, b"*****"),
        (2950, 1, bytes(16)),
        (99_999, 0, None),
        (99_999, 1, None),
    ],
)
def test_a_mask_is_valid_for_its_type_and_format(kind: int, wire_format: int, mask: bytes | None) -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select email from customers"))
    stage.backend_says(columns(column("email", CUSTOMERS, 3, kind, wire_format)))
    stage.forget()
    stage.backend_says(row(SECRET))
    assert stage.client_heard == row(mask)


def test_an_expression_is_hidden_where_a_hidden_column_flows() -> None:
    stage = Stage.ready(everything(DERIVED))
    stage.client_says(query("select upper(email) from customers"))
    stage.backend_says(columns(column("upper")), row(SECRET))
    assert not leaked(stage)


def test_a_whole_row_of_a_table_with_hidden_columns_is_hidden() -> None:
    """`SELECT c FROM customers c`: the server gives the table and the attribute number 0."""
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select c from customers c"))
    stage.backend_says(columns(column("c", CUSTOMERS, 0, 99_999)), row(f"(1,Ann,{SECRET})"))
    assert not leaked(stage)


def test_a_table_that_the_catalog_does_not_know_is_hidden_whole() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select a from newer"))
    stage.backend_says(columns(column("a", 99_999, 1)), row(SECRET))
    assert not leaked(stage)


def test_each_result_of_a_message_has_its_own_masks() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select name from customers; select email from customers"))
    stage.backend_says(columns(NAME_COLUMN), row("Ann"), done("SELECT 1"))
    stage.backend_says(columns(EMAIL_COLUMN), row(SECRET), done("SELECT 1"), ready())
    heard = stage.client_heard
    assert row("Ann") in heard
    assert row(STARS) in heard


def test_rows_before_any_description_break_the_stream() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select email from customers"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(row(SECRET))


@pytest.mark.parametrize("cells", [(), ("a",), ("a", "b", "c")])
def test_rows_of_another_width_break_the_stream(cells: tuple[str, ...]) -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(query("select name, email from customers"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(columns(NAME_COLUMN, EMAIL_COLUMN), row(*cells))


# The extended protocol: the description may have come before, in another format, or not at all.


def test_a_portal_that_the_client_does_not_describe_is_described_by_us_in_secret() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(parse("select email"), bind(), execute(), sync())
    assert stage.backend_heard == parse("select email") + bind() + describe() + execute() + sync()
    stage.backend_says(parsed(), bound(), columns(EMAIL_COLUMN), row(SECRET), done("SELECT 1"), ready())
    assert stage.client_heard == parsed() + bound() + row(STARS) + done("SELECT 1") + ready()


def test_a_portal_that_the_client_describes_is_not_described_again() -> None:
    stage = Stage.ready(everything(PLAIN))
    said = parse("select email") + bind() + describe() + execute() + sync()
    stage.client_says(said)
    assert stage.backend_heard == said
    stage.backend_says(parsed(), bound(), columns(EMAIL_COLUMN), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


def test_a_description_of_the_statement_is_not_enough() -> None:
    """It does not say in which format the cells will come."""
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(parse("select email", "s"), describe("s", "S"), bind("s"), execute(), sync())
    assert stage.backend_heard.count(describe()) == 1


def test_where_nothing_is_hidden_nothing_is_described_in_secret() -> None:
    stage = Stage.ready(everything())
    said = parse("select email") + bind() + execute() + sync()
    stage.client_says(said)
    assert stage.backend_heard == said


def test_the_secret_description_of_a_statement_without_rows_is_swallowed() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(parse("delete from orders"), bind(), execute(), sync())
    stage.backend_says(parsed(), bound(), no_data(), done("DELETE 0"), ready())
    assert stage.client_heard == parsed() + bound() + done("DELETE 0") + ready()


def test_a_portal_resumed_later_is_still_masked() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(parse("select email"), bind("", "p"), execute("p", 1), sync())
    stage.backend_says(parsed(), bound(), columns(EMAIL_COLUMN), row(SECRET), suspended(), ready("T"))
    stage.client_says(execute("p", 1), sync())
    stage.backend_says(row(SECRET), done("SELECT 1"), ready("T"))
    assert not leaked(stage)


def test_a_describe_that_the_server_skipped_does_not_count() -> None:
    """In a transaction with a savepoint the portal lives on; its rows come without a description then."""
    stage = Stage.ready(everything(PLAIN))
    stage.client_says(parse("select email"), bind("", "p"), sync())
    stage.backend_says(parsed(), bound(), ready("T"))
    stage.client_says(parse("broken"), describe("p"), sync())
    stage.backend_says(error(), ready("E"))
    stage.client_says(query("rollback to s"))
    stage.backend_says(done("ROLLBACK"), ready("T"))
    stage.forget()
    stage.client_says(execute("p"), sync())
    assert stage.backend_heard == describe("p") + execute("p") + sync()


def test_the_plan_in_force_is_that_of_the_run_not_of_the_preparation() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("select email", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.rule = everything(PLAIN)
    stage.client_says(bind("s"), execute(), sync())
    stage.backend_says(bound(), columns(EMAIL_COLUMN), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


# Names that SQL made, or made anew.


def test_a_name_that_only_sql_knows_is_masked_as_anything() -> None:
    stage = Stage.ready(everything(PLAIN))
    stage.engine.doubt = DERIVED
    stage.client_says(bind("made_by_sql"), execute(), sync())
    stage.backend_says(bound(), columns(column("upper")), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


def by_text(asked: Judge) -> Passage | Deny:
    return allow(PLAIN, "s") if b"prepare" in asked.text or b"declare" in asked.text else allow(PLAIN)


def test_a_name_that_sql_defined_anew_is_masked_as_anything() -> None:
    stage = Stage.ready(by_text)
    stage.engine.doubt = DERIVED
    stage.client_says(parse("select name from orders", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.client_says(query("deallocate s; prepare s as select upper(email) from customers"))
    stage.client_says(bind("s"), execute(), sync())
    stage.backend_says(done("DEALLOCATE"), done("PREPARE"), ready())
    stage.backend_says(bound(), columns(column("upper")), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


def test_a_failed_parse_does_not_lift_the_doubt_about_its_name() -> None:
    stage = Stage.ready(by_text)
    stage.engine.doubt = DERIVED
    stage.client_says(parse("select name from orders", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.client_says(parse("select 1", "s"), sync())
    stage.client_says(query("deallocate s; prepare s as select upper(email) from customers"))
    stage.backend_says(error(), ready(), done("DEALLOCATE"), done("PREPARE"), ready())
    stage.client_says(bind("s"), execute(), sync())
    stage.backend_says(bound(), columns(column("upper")), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


def test_a_portal_that_sql_defined_anew_is_described_anew() -> None:
    stage = Stage.ready(by_text)
    stage.engine.doubt = DERIVED
    stage.client_says(parse("select name"), bind("", "s"), describe("s"), sync())
    stage.backend_says(parsed(), bound(), columns(NAME_COLUMN), ready("T"))
    stage.client_says(query("declare s cursor for select upper(email) from customers"))
    stage.backend_says(done("DECLARE CURSOR"), ready("T"))
    stage.forget()
    stage.client_says(execute("s"), sync())
    assert stage.backend_heard == describe("s") + execute("s") + sync()
    stage.backend_says(columns(column("upper")), row(SECRET), done("SELECT 1"), ready("T"))
    assert not leaked(stage)


def test_a_parse_unanswered_when_its_name_is_used_does_not_lend_its_plan() -> None:
    """The name is taken by SQL, so the Parse will fail; without waiting its open plan would mask too little."""
    stage = Stage.ready(everything(PLAIN))
    stage.engine.doubt = DERIVED
    stage.client_says(parse("select 1", "made_by_sql"), sync(), bind("made_by_sql"), execute(), sync())
    stage.backend_says(error("exists already"), ready())
    stage.backend_says(bound(), columns(column("upper")), row(SECRET), done("SELECT 1"), ready())
    assert not leaked(stage)


# What the server says beside rows.


def test_errors_and_notices_of_a_quiet_statement_are_withheld() -> None:
    stage = Stage.ready(everything(QUIET))
    stage.client_says(query("select email::int from customers"))
    stage.backend_says(notice(SECRET), error(f"invalid input: {SECRET}", "22P02"), ready())
    heard = stage.client_heard
    assert SECRET.encode() not in heard
    assert b"22P02" in heard
    assert SECRET not in repr(stage.notes)


def test_what_a_commit_says_of_a_quiet_statement_is_withheld() -> None:
    rulings = {b"insert": allow(QUIET), b"commit": allow(PLAIN), b"select": allow(PLAIN)}
    stage = Stage.ready(lambda asked: rulings[asked.text])
    stage.client_says(query("insert"))
    stage.backend_says(done("INSERT 0 1"), ready("T"))
    stage.client_says(query("commit"))
    stage.backend_says(notice(SECRET), error(f"Key (email)=({SECRET}) already exists", "23505"), ready("I"))
    assert not leaked(stage)
    stage.client_says(query("select"))
    stage.backend_says(error("division by zero"), ready("I"))
    assert b"division by zero" in stage.client_heard


def test_what_the_end_of_a_pipeline_says_of_a_quiet_statement_is_withheld() -> None:
    stage = Stage.ready(everything(QUIET))
    stage.client_says(parse("insert"), bind(), execute())
    stage.backend_says(parsed(), bound(), no_data(), done("INSERT 0 1"))
    stage.client_says(sync())
    stage.backend_says(error(f"Key (email)=({SECRET}) already exists", "23505"), ready("I"))
    assert not leaked(stage)
