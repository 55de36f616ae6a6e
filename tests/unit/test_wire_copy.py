"""COPY through the engine, in both protocols, with data early and late."""

from __future__ import annotations

import pytest

from hoopx_broker.terms import entries
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.frames import message
from tests.unit.wire_stage import (
    Stage,
    bind,
    bound,
    copy_data,
    copy_done,
    copy_in,
    done,
    error,
    everything,
    execute,
    parse,
    parsed,
    query,
    ready,
    sync,
)


@pytest.mark.parametrize("early", [False, True], ids=["after the server asked", "before the server asked"])
def test_copy_in_by_a_simple_query(early: bool) -> None:
    stage = Stage.ready(everything())
    data = copy_data(b"1\n") + copy_data(b"2\n") + copy_done()
    stage.client_says(query("copy t from stdin"), data if early else b"")
    stage.backend_says(copy_in())
    stage.client_says(b"" if early else data)
    assert stage.backend_heard == query("copy t from stdin") + data
    stage.backend_says(done("COPY 2"), ready())
    assert stage.client_heard == copy_in() + done("COPY 2") + ready()
    stage.client_says(parse("a"), sync())
    stage.backend_says(parsed(), ready())
    assert stage.client_heard == parsed() + ready()
    data_notes = [note.data for note in stage.notes if isinstance(note, entries.CopyData)]
    assert b"".join(data_notes) == copy_data(b"1\n") + copy_data(b"2\n")


def test_copy_in_by_an_extended_query_swallows_the_sync_that_came_along() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("copy t from stdin"), bind(), execute(), sync())
    stage.backend_says(parsed(), bound(), copy_in())
    stage.client_says(copy_data(b"1\n"), copy_done(), sync())
    stage.backend_says(done("COPY 1"), ready())
    stage.client_says(query("select 1"))
    stage.backend_says(done("SELECT 1"), ready())
    assert stage.client_heard == parsed() + bound() + copy_in() + done("COPY 1") + ready() + done("SELECT 1") + ready()


def test_copy_data_that_comes_after_the_copy_failed_is_ignored_as_the_server_does() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("copy t from stdin"))
    stage.backend_says(copy_in())
    stage.client_says(copy_data(b"bad\n"))
    stage.backend_says(error(), ready())
    stage.client_says(copy_data(b"more\n"), copy_done(), query("select 1"))
    stage.backend_says(done("SELECT 1"), ready())
    assert stage.client_heard == copy_in() + error() + ready() + done("SELECT 1") + ready()


def test_a_failed_copy_in_by_an_extended_query_ends_at_the_second_sync() -> None:
    stage = Stage.ready(everything())
    stage.client_says(parse("copy t from stdin"), bind(), execute(), sync())
    stage.backend_says(parsed(), bound(), copy_in())
    stage.client_says(copy_data(b"bad\n"))
    stage.backend_says(error())
    stage.client_says(copy_done(), sync(), query("a"))
    stage.backend_says(ready(), done("A"), ready())
    assert stage.client_heard == parsed() + bound() + copy_in() + error() + ready() + done("A") + ready()


def test_a_query_that_the_server_may_swallow_as_data_breaks_the_stream() -> None:
    """Servers before 14 read it, report an error for the COPY, and never answer it: later answers would shift."""
    stage = Stage.ready(everything())
    stage.client_says(query("copy t from stdin"), query("a"), query("b"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(copy_in())


def test_a_statement_in_the_middle_of_a_copy_breaks_the_stream() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("copy t from stdin"))
    stage.backend_says(copy_in())
    with pytest.raises(BrokenPeer):
        stage.client_says(query("drop table t"))
    assert stage.backend_heard == query("copy t from stdin")


def test_a_copy_that_fails_before_it_reads_cannot_shift_the_answers() -> None:
    """COPY into a view: the server says CopyInResponse, fails, and answers the Sync that was sent along."""
    stage = Stage.ready(everything())
    stage.client_says(parse("copy v from stdin"), bind(), execute(), sync(), copy_done(), sync())
    stage.client_says(query("a"), query("b"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(parsed(), bound(), copy_in(), error(), ready(), ready())


def test_two_copies_in_one_query() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("copy a from stdin; copy b from stdin"))
    stage.backend_says(copy_in())
    stage.client_says(copy_data(b"1\n"), copy_done())
    stage.backend_says(done("COPY 1"), copy_in())
    stage.client_says(copy_data(b"2\n"), copy_done())
    stage.backend_says(done("COPY 1"), ready())
    assert stage.client_heard == copy_in() + done("COPY 1") + copy_in() + done("COPY 1") + ready()


def test_copy_out_passes_and_is_noted() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("copy t to stdout"))
    begins, data = message(ord("H"), b"\0\0\1\0\0"), copy_data(b"1\n") + copy_data(b"2\n")
    ends = copy_done() + done("COPY 2") + ready()
    stage.backend_says(begins, data, ends)
    assert stage.client_heard == begins + data + ends
    assert b"".join(note.data for note in stage.notes if isinstance(note, entries.CopyData)) == data


def test_copy_both_is_no_answer_to_anything() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("a"))
    with pytest.raises(BrokenPeer):
        stage.backend_says(message(ord("W"), b"\0\0\1\0\0"))
