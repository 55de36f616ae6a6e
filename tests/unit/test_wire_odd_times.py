"""What may come at any time: notices, settings, fatal errors, ends."""

from __future__ import annotations

import pytest

from hoopx_broker.terms import entries
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres.engine import Phase
from hoopx_broker.wire.postgres.frames import message
from tests.unit.wire_stage import (
    REFUSED,
    Stage,
    but,
    column,
    columns,
    done,
    error,
    everything,
    notice,
    query,
    ready,
    row,
    startup,
    status,
)


def test_notices_notifications_and_settings_pass_at_any_time() -> None:
    stage = Stage.ready(everything())
    told = notice("hello") + message(ord("A"), b"\0\0\0\1chan\0payload\0") + status("TimeZone", "UTC")
    stage.backend_says(told)
    stage.client_says(query("a"))
    stage.backend_says(columns(column("a")), told, row("1"), told, done("SELECT 1"), told, ready(), told)
    heard = stage.client_heard
    assert heard.count(told) == 5


def test_without_conforming_strings_nothing_is_judged() -> None:
    stage = Stage.ready(everything())
    stage.backend_says(status("standard_conforming_strings", "off"))
    stage.client_says(query(r"select '\'"))
    assert stage.backend_heard == query(REFUSED.decode())
    stage.backend_says(error(), ready(), status("standard_conforming_strings", "on"))
    stage.client_says(query("select 1"))
    assert stage.backend_heard == query("select 1")


def test_in_another_encoding_only_ascii_is_judged() -> None:
    stage = Stage.ready(everything())
    stage.backend_says(status("client_encoding", "LATIN1"))
    stage.client_says(query("select 1"), query("select 'é'"))
    assert stage.backend_heard == query("select 1")  # which may change the encoding back, as any statement now may
    stage.backend_says(done("SELECT 1"), ready())
    assert stage.backend_heard == query(REFUSED.decode())


@pytest.mark.parametrize("encoding", ["SJIS", "GBK", "BIG5", "UHC", "WIN932", "JOHAB", "GB18030", "EUC_JP", "x", ""])
def test_an_encoding_that_can_hide_ascii_breaks_the_stream(encoding: str) -> None:
    stage = Stage.ready(everything())
    with pytest.raises(BrokenPeer):
        stage.backend_says(status("client_encoding", encoding))


def test_a_fatal_error_ends_the_stream() -> None:
    stage = Stage.ready(everything())
    stage.backend_says(error("too idle", "57P05", "FATAL"))
    assert stage.client_heard == error("too idle", "57P05", "FATAL")
    assert stage.is_closed
    assert stage.engine.phase is Phase.CLOSED


def test_a_fatal_error_is_not_taken_for_the_refusal_that_waits() -> None:
    stage = Stage.ready(but(b"drop"))
    stage.client_says(query("drop table t"))
    stage.backend_says(error("shutting down", "57P01", "FATAL"))
    assert stage.client_heard == error("shutting down", "57P01", "FATAL")


def test_when_the_server_dies_the_client_is_told() -> None:
    stage = Stage.ready(everything())
    stage.client_says(query("a"))
    stage.perform(stage.engine.on_end(Side.BACKEND))
    assert b"08006" in stage.client_heard
    assert stage.is_closed


def test_when_the_client_leaves_the_server_is_told() -> None:
    stage = Stage.ready(everything())
    stage.client_says(message(ord("X"), b""))
    assert stage.backend_heard == message(ord("X"), b"")
    assert stage.is_closed


def test_the_end_of_the_session_is_said_to_both() -> None:
    stage = Stage.ready(everything())
    stage.perform(stage.engine.end("the session is over"))
    assert b"57P01" in stage.client_heard
    assert stage.backend_heard == message(ord("X"), b"")
    assert isinstance(stage.notes[-1], entries.StreamClosed)
    stage.backend_says(row("1"))
    stage.client_says(query("a"))
    assert stage.client_heard == stage.backend_heard == b""


def test_what_hoopx_tells_in_passing_is_a_notice() -> None:
    stage = Stage.ready()
    stage.client_says(query("a"))
    stage.perform(stage.engine.tell("waiting for approval", "see the link"))
    heard = stage.client_heard
    assert heard[:1] == b"N"
    assert b"waiting for approval" in heard
    assert stage.noted(entries.Notice)


def test_nothing_is_told_before_the_login() -> None:
    stage = Stage()
    stage.perform(stage.engine.tell("hello"))
    assert stage.client_heard == b""


@pytest.mark.parametrize("said", [startup(user="me"), message(ord("p"), b"password\0"), b"Y\0\0\0\4"])
def test_the_client_cannot_speak_out_of_turn(said: bytes) -> None:
    stage = Stage.ready(everything())
    with pytest.raises(BrokenPeer):
        stage.client_says(said)
