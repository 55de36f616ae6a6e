"""Whoever looks for a session finds it by what was done in it, watches it live, and sees nobody else's."""

from __future__ import annotations

import json
import signal

import pytest

from tests.journeys.stage import Stage
from tests.peers.clients import lingering

TARGET = "shop-prod"


@pytest.fixture
def done(stage: Stage) -> str:
    """A session of Ann's with a word that nobody else says, and a denial."""
    known = {session["id"] for session in stage.listed("sessions", "ls")}
    stage.psql(TARGET, "SELECT 'Marmalade', id FROM public.customers", "DROP TABLE orders")
    [new] = [session for session in stage.listed("sessions", "ls") if session["id"] not in known]
    return str(new["id"])


def test_a_session_is_found_by_what_was_done_in_it(stage: Stage, done: str) -> None:
    rule, words = ["--rule", "no-ddl-in-prod", "--denied"], ["--since", "1h", "--text", "MARMALADE id"]
    for filters in (["--text", "marmalade"], rule, words):
        assert done in [each["id"] for each in stage.listed("sessions", "ls", *filters)], filters
    for filters in (["--text", "marmalade", "--user", "bob"], ["--text", "nobody_said"], ["--until", "2020-01-01"]):
        assert stage.listed("sessions", "ls", *filters) == [], filters


def test_the_last_entries_of_a_recording_are_its_tail(stage: Stage, done: str) -> None:
    seen = stage.hoopx("sessions", "tail", done, "-n", "2").fine().out
    assert "sealed by the broker" in seen
    assert "Marmalade" not in seen
    lines = stage.hoopx("sessions", "tail", done, "-n", "3", "-o", "json").fine().out.splitlines()
    assert [json.loads(line)["type"] for line in lines][-2:] == ["ended", "seal"]
    followed = stage.hoopx("sessions", "tail", done, "-f", "-n", "1000").fine().out
    assert "Marmalade" in followed


def test_nobody_tails_a_session_that_they_may_not_see(stage: Stage, done: str) -> None:
    outcome = stage.hoopx("sessions", "tail", done, "-f", who="bob")
    assert outcome.code == 2
    assert "there is no session" in outcome.err


def test_a_statement_is_seen_while_its_session_is_open_and_watching_ends_alone(stage: Stage) -> None:
    known = {session["id"] for session in stage.listed("sessions", "ls")}
    client = stage.begin("exec", TARGET, "--", *lingering("SELECT 'Live' || 'Marmalade'"))
    try:
        client.says("LiveMarmalade")
        [new] = [session for session in stage.listed("sessions", "ls") if session["id"] not in known]
        watching = stage.begin("sessions", "tail", str(new["id"]), "-f", "-n", "1000")
        try:
            watching.says("'Live' [|][|] 'Marmalade'")
            assert watching.end(signal.SIGINT).code == 130
        finally:
            watching.close()
        assert str(new["id"]) in [session["id"] for session in stage.listed("sessions", "ls", "--state", "open")]
        told = stage.hoopx("sessions", "show", str(new["id"])).fine().out
        assert "not yet" in told
        assert "LiveMarmalade" not in told
    finally:
        client.close()
