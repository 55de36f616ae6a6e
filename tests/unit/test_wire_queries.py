"""Statements through the engine, played as dialogues: what is judged, what goes on, what the client sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hoopx_broker.masking.plan import OPEN
from hoopx_broker.terms import entries
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Passage, Side
from hoopx_broker.wire.postgres.frames import message
from tests.unit.wire_stage import (
    DERIVED,
    PLAIN,
    REFUSED,
    Stage,
    allow,
    bind,
    bound,
    but,
    called,
    close,
    closed,
    column,
    columns,
    copy_in,
    deny,
    describe,
    done,
    error,
    everything,
    execute,
    flush,
    no_data,
    parse,
    parsed,
    query,
    ready,
    refusal,
    refused,
    row,
    suspended,
    sync,
)

# Simple queries.


def test_a_statement_waits_for_its_ruling_and_then_goes_on_unchanged() -> None:
    stage = Stage.ready()
    stage.client_says(query("select 1"))
    assert [asked.text for asked in stage.asked] == [b"select 1"]
    assert stage.asked[0].executes
    assert stage.backend_heard == b""
    stage.judge_says(allow())
    assert stage.backend_heard == query("select 1")
    answer = columns(column("one")) + row("1") + done("SELECT 1") + ready()
    stage.backend_says(answer)
    assert stage.client_heard == answer
    assert [type(note) for note in stage.notes] == [
        entries.Statement,
        entries.Columns,
        entries.Rows,
        entries.Finished,
    ]


def test_a_denied_statement_never_reaches_the_backend() -> None:
    stage = Stage.ready()
    stage.client_says(query("drop table users"))
    stage.judge_says(deny("no drops"))
    assert stage.backend_heard == refused(simple=True)
    stage.backend_says(error("syntax error", "42601"), ready())
    assert stage.client_heard == refusal("no drops") + ready()
    assert stage.notes == [entries.Statement("t_1", 1, "drop table users", "deny", ("no-ddl",), "no drops")]


def test_the_connection_lives_on_after_a_denial() -> None:
    stage = Stage.ready(but(b"drop"))
    stage.client_says(query("drop table users"), query("select 1"))
    assert stage.backend_heard == refused(simple=True) + query("select 1")
    stage.backend_says(error(), ready(), done("SELECT 0"), ready())
    assert stage.client_heard == refusal() + ready() + done("SELECT 0") + ready()


def test_what_follows_a_held_statement_waits_in_order() -> None:
    stage = Stage.ready()
    stage.client_says(query("a"), query("b"))
    assert len(stage.asked) == 1
    stage.judge_says(allow())
    assert [asked.text for asked in stage.asked] == [b"b"]
    assert stage.backend_heard == query("a")


def test_a_ruling_that_comes_after_the_client_left_sends_nothing() -> None:
    stage = Stage.ready()
    stage.client_says(query("delete from users"), message(ord("X"), b""))
    stage.perform(stage.engine.end("the session is over"))
    stage.forget()
    stage.perform(stage.engine.on_ruling(allow()))
    assert stage.backend_heard == b""


def test_a_message_taken_before_the_ruling_breaks_the_stream() -> None:
    stage = Stage.ready()
    stage.client_says(query("a"))
    stage.asked.clear()
    with pytest.raises(BrokenPeer):
        stage.client_says(query("b"))


def test_several_statements_in_one_message_are_one_question_and_one_answer() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("select 1; select 2"))
    answer = columns(column("a")) + row("1") + done("SELECT 1")
    answer += columns(column("b"), column("c")) + row("2", None) + done("SELECT 1")
    stage.backend_says(answer, ready())
    assert stage.client_heard == answer + ready()
    assert len(stage.noted(entries.Columns)) == 2


def test_an_empty_query_is_answered() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query(""))
    stage.backend_says(message(ord("I"), b""), ready())
    assert stage.client_heard == message(ord("I"), b"") + ready()


def test_a_server_that_takes_the_stand_in_of_a_refusal_breaks_the_stream() -> None:
    stage = Stage.ready(but(b"drop"))
    stage.client_says(query("drop table users"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(done("DROP TABLE"))


def test_one_ready_too_many_does_not_shift_the_answers() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("a"), query("b"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(ready(), ready())


@pytest.mark.parametrize("answer", [row("1"), done("SELECT 1"), ready(), error(), parsed(), copy_in(), suspended()])
def test_an_answer_to_nothing_breaks_the_stream(answer: bytes) -> None:
    stage = Stage.ready()
    with pytest.raises(BrokenPeer):
        stage.backend_says(answer)


# Function calls by number.


def test_a_call_by_number_is_judged_as_the_select_that_it_amounts_to() -> None:
    stage = Stage.ready()
    said = called(957, b"1", None)
    stage.client_says(said)
    assert stage.backend_heard == b""
    assert [asked.text for asked in stage.asked] == [b'SELECT "pg_catalog"."lo_""creat"($1, $2)']
    assert stage.asked[0].parameters == (b"1", None)
    stage.judge_says(allow())
    assert stage.backend_heard == said
    answer = message(ord("V"), b"\0\0\0\x0242") + ready()
    stage.backend_says(answer)
    assert stage.client_heard == answer
    (rows,) = stage.noted(entries.Rows)
    assert isinstance(rows, entries.Rows)
    assert rows.data == row("42")
    (ran,) = stage.noted(entries.Executed)
    assert isinstance(ran, entries.Executed)
    assert ran.parameters == (b"1", None)


def test_a_denied_call_by_number_never_reaches_the_backend() -> None:
    stage = Stage.ready(lambda asked: Deny("no large objects", "no-server-reach"))
    stage.client_says(called(957, b"1"))
    assert stage.backend_heard == refused(simple=True)
    stage.backend_says(error(), ready())
    assert b"no-server-reach" in stage.client_heard


def test_a_call_of_no_function_is_refused_without_asking() -> None:
    stage = Stage.ready()
    stage.client_says(called(1, b"1"))
    assert stage.asked == []
    assert stage.backend_heard == refused(simple=True)


def test_a_value_that_may_be_hidden_does_not_come_back_from_a_call() -> None:
    stage = Stage.ready(everything(DERIVED))
    stage.client_says(called(957))
    stage.backend_says(message(ord("V"), b"\0\0\0\x06canary"), ready())
    assert stage.client_heard == message(ord("V"), b"\xff\xff\xff\xff") + ready()
    assert "canary" not in repr(stage.notes)


def test_an_error_of_a_call_is_followed_by_ready() -> None:
    stage = Stage.ready(everything())
    stage.client_says(called(957), query("select 1"))
    stage.backend_says(error(), ready(), columns(column("a")), row("1"), done("SELECT 1"), ready())
    assert stage.client_heard.endswith(row("1") + done("SELECT 1") + ready())


@pytest.mark.parametrize(
    "answer",
    [
        message(ord("V"), b"\0\0\0\x021"),
        message(ord("V"), b"\0\0\0\x0112"),
        message(ord("V"), b"\0\0\0\x011") * 2,
        done("SELECT 1"),
        ready(),
    ],
)
def test_what_is_no_answer_to_a_call_breaks_the_stream(answer: bytes) -> None:
    stage = Stage.ready(everything())
    stage.client_says(called(957))
    with pytest.raises(BrokenPeer):
        stage.backend_says(answer)


@pytest.mark.parametrize("body", [b"", b"\0\0\0\1", b"\0\0\0\1\0\0\0\1\0\0\0\x09x\0\0", b"\0\0\0\1\0\0\0\0\0\0more"])
def test_a_malformed_call_breaks_the_stream(body: bytes) -> None:
    stage = Stage.ready(everything())
    with pytest.raises(BrokenPeer):
        stage.client_says(message(ord("F"), body))


# Extended queries.


def test_a_prepared_statement_is_judged_when_it_is_prepared_and_each_time_it_runs() -> None:
    stage = Stage.ready()
    stage.client_says(parse("select $1", "s"), bind("s", "", b"1"), execute(), sync())
    assert [(asked.text, asked.executes) for asked in stage.asked] == [(b"select $1", False)]
    stage.judge_says(allow())
    assert [(asked.text, asked.executes) for asked in stage.asked] == [(b"select $1", True)]
    stage.judge_says(allow())
    assert stage.backend_heard == parse("select $1", "s") + bind("s", "", b"1") + execute() + sync()
    answer = parsed() + bound() + row("1") + done("SELECT 1") + ready()
    stage.backend_says(answer)
    assert stage.client_heard == answer
    ran = stage.noted(entries.Executed)
    assert isinstance(ran[0], entries.Executed)
    assert (ran[0].statement, ran[0].parameters) == (1, (b"1",))


def test_what_rules_in_shadow_would_have_done_is_in_every_entry_that_a_ruling_makes() -> None:
    told = "deny by `x`"
    stage = Stage.ready(lambda asked: Passage(Allow(("reads",), shadow=told), OPEN))
    stage.client_says(query("select 1"))
    stage.backend_says(done("SELECT 0") + ready())
    stage.client_says(parse("select $1", "s"), bind("s", "", b"7"), execute(), sync())
    shadows = [note.shadow for note in stage.notes if isinstance(note, entries.Statement | entries.Executed)]
    assert shadows == [told, told, told]


def test_what_rules_in_shadow_would_have_done_is_beside_a_refusal_too() -> None:
    stage = Stage.ready(lambda asked: Deny("no drops", "no-ddl", shadow="allow by `x`"))
    stage.client_says(query("drop table users"))
    (noted,) = stage.noted(entries.Statement)
    assert isinstance(noted, entries.Statement)
    assert noted.shadow == "allow by `x`"


def test_a_denied_parse_stands_in_the_pipeline_where_it_stood() -> None:
    stage = Stage.ready(but(b"drop"))
    first = parse("select 1") + bind() + execute()
    stage.client_says(first, parse("drop table t", "d"), bind("d"), execute(), sync(), query("select 2"))
    heard = stage.backend_heard
    assert heard == first + refused("d", simple=False) + bind("d") + execute() + sync() + query("select 2")
    before, after = parsed() + bound() + done("SELECT 1"), ready("T") + done("SELECT 2") + ready()
    stage.backend_says(before, error("syntax error"), after)
    assert stage.client_heard == before + refusal() + after


def test_a_denied_execute_leaves_the_statement_prepared() -> None:
    rulings: Iterator[Passage | Deny] = iter([allow(), deny("later", "not-now"), allow()])
    stage = Stage.ready(lambda asked: next(rulings))
    stage.client_says(parse("select 1", "s"), bind("s"), execute(), sync())
    stand_in = parse(REFUSED.decode(), REFUSED.decode())
    assert stage.backend_heard == parse("select 1", "s") + bind("s") + stand_in + sync()
    stage.backend_says(parsed(), bound(), error(), ready())
    assert stage.client_heard == parsed() + bound() + refusal("later", "not-now") + ready()
    stage.client_says(bind("s"), execute(), sync())
    assert stage.backend_heard == bind("s") + execute() + sync()


def test_after_an_error_the_server_skips_to_the_sync_and_so_do_we() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a"), bind(), execute(), parse("b"), bind(), execute(), query("c"), sync(), query("d"))
    stage.backend_says(parsed(), error(), ready(), done("SELECT 0"), ready())
    assert stage.client_heard == parsed() + error() + ready() + done("SELECT 0") + ready()


def test_what_is_sent_after_an_error_and_before_the_sync_gets_no_answer() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a", "s"), flush())
    stage.backend_says(error())
    stage.client_says(parse("b", "s"), bind("s"), query("c"), sync(), query("d"))
    stage.backend_says(ready(), done("D"), ready())
    assert stage.client_heard == error() + ready() + done("D") + ready()


def test_a_failing_parse_keeps_the_meaning_of_the_name() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("first", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.client_says(parse("second", "s"), sync())
    stage.backend_says(error("exists already"), ready())
    stage.forget()
    stage.judge_by_hand()
    stage.client_says(bind("s"), execute())
    assert stage.asked[0].text == b"first"


def test_two_failing_parses_in_two_pipelines_keep_the_meaning_of_the_name() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("first", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.client_says(parse("second", "s"), sync(), parse("third", "s"), sync())
    stage.backend_says(error(), ready(), error(), ready())
    stage.judge_by_hand()
    stage.client_says(bind("s"), execute())
    assert stage.asked[0].text == b"first"


def test_a_name_whose_definition_may_have_failed_in_an_earlier_pipeline_waits_for_the_answer() -> None:
    """Else `first`, which needs an approval to run, would run under the ruling of `second`."""
    stage = Stage.ready(everything())
    stage.client_says(parse("first", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.forget()
    stage.client_says(parse("broken"), parse("second", "s"), sync(), bind("s"), execute(), sync())
    assert stage.backend_heard == parse("broken") + parse("second", "s") + sync()
    stage.judge_by_hand()
    stage.backend_says(error(), ready())
    assert stage.asked[0].text == b"first"


def test_a_name_closed_in_an_earlier_pipeline_waits_for_the_answer() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("first", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.forget()
    stage.client_says(parse("broken"), close("s"), sync(), bind("s"), execute(), sync())
    assert stage.backend_heard == parse("broken") + close("s") + sync()
    stage.judge_by_hand()
    stage.backend_says(error(), ready())
    assert stage.asked[0].text == b"first"


def test_within_one_pipeline_nothing_waits() -> None:
    stage = Stage.ready(everything())
    pipeline = parse("a", "s") + bind("s") + execute() + close("s") + parse("b", "s") + bind("s") + execute() + sync()
    stage.client_says(pipeline)
    assert stage.backend_heard == pipeline


def test_a_frame_that_must_wait_is_not_taken() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a", "s"), sync(), bind("s"))
    (waiting,) = stage.waiting
    with pytest.raises(BrokenPeer):
        stage.engine.on_frame(Side.CLIENT, waiting)


def test_a_name_longer_than_the_server_keeps_is_refused() -> None:
    """The server knows names by their first 63 bytes: one defined as x…xA could be run, unjudged, as x…xB."""
    stage = Stage.ready(everything())
    with pytest.raises(BrokenPeer):
        stage.client_says(bind("x" * 64))


def test_sql_that_names_a_known_statement_puts_it_in_doubt_but_not_beyond_judgement() -> None:
    """The PREPARE may fail because the name is taken: then the name still means what needs an approval to run."""
    stage = Stage.ready(everything())
    stage.client_says(parse("needs approval", "s"), sync())
    stage.backend_says(parsed(), ready())
    stage.rule = lambda asked: allow(PLAIN, "s")
    stage.client_says(query("prepare s as select 1"))
    stage.backend_says(error(), ready())
    stage.judge_by_hand()
    stage.client_says(bind("s"), execute())
    assert stage.asked[0].text == b"needs approval"


def test_a_portal_does_not_outlive_its_transaction() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a"), bind("", "p"), sync())
    stage.backend_says(parsed(), bound(), ready("I"))
    assert stage.engine._names._portals.find(b"p") == (None, False)


def test_a_portal_lives_while_the_transaction_does() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a"), bind("", "p"), sync())
    stage.backend_says(parsed(), bound(), ready("T"))
    stage.judge_by_hand()
    stage.client_says(execute("p"))
    assert stage.asked[0].text == b"a"


def test_a_portal_is_suspended_and_resumed() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("a"), bind(), describe(), execute(limit=1), execute(limit=1), sync())
    answer = parsed() + bound() + columns(column("a")) + row("1") + suspended() + row("2") + done("SELECT 1") + ready()
    stage.backend_says(answer)
    assert stage.client_heard == answer
    assert [note.rows for note in stage.noted(entries.Finished) if isinstance(note, entries.Finished)] == [1, 1]


def test_closing_and_describing_pass() -> None:
    stage = Stage.ready(everything())
    said = parse("a", "s") + describe("s", "S") + close("s") + close("p", "P") + sync()
    stage.client_says(said)
    assert stage.backend_heard == said
    answer = parsed() + message(ord("t"), b"\0\0") + no_data() + closed() + closed() + ready()
    stage.backend_says(answer)
    assert stage.client_heard == answer
