"""What a session's statements do to the meaning of names: where it may look for them, and what it made for itself."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.session.bearings import MAX_PATHS, Compass
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName

OPEN, CLOSED = Relation(1, "public", "staff", "r"), Relation(2, "hr", "staff", "r")
CATALOG = Catalog(
    {1: OPEN, 2: CLOSED},
    {"staff": (OPEN, CLOSED)},
    functions={
        "touch": (FunctionName("public", "touch", "volatile"),),
        "twice": (FunctionName("public", "twice", "immutable"),),
    },
)
START = ("$user", "public")


def after(*statements: str, path: str | None = '"$user", public') -> Compass:
    compass = Compass(path, "hoopx_1")
    for statement in statements:
        facts = read(statement.encode())
        assert isinstance(facts, tuple), facts
        compass.follow(compass.read(facts, CATALOG))
    return compass


def test_a_session_begins_with_the_path_of_its_login() -> None:
    assert after().bearings.paths == (START,)
    assert after(path="").bearings.paths == ((),)
    assert after(path=None).bearings.paths is None


@pytest.mark.parametrize(
    ("statement", "learnt"),
    [
        ("SET search_path TO archive", ("archive",)),
        ("SET search_path = a, \"B c\", 'd'", ("a", "B c", "d")),
        ("SET LOCAL search_path TO ''", ("",)),
        ("SET SCHEMA 'archive'", ("archive",)),
        ("SELECT set_config('search_path', 'Archive, \"X\"', false)", ("archive", "X")),
        ("SELECT 1; SET search_path TO archive", ("archive",)),
        ("DO $$ BEGIN SET search_path TO archive; END $$", ("archive",)),
        ("PREPARE p AS SELECT set_config('search_path', 'archive', false)", ("archive",)),
        ("SELECT set_config(name, 'archive', false) FROM pg_settings WHERE name = 'search_path'", ("archive",)),
    ],
)
def test_a_path_that_is_set_may_hold_from_then_on(statement: str, learnt: tuple[str, ...]) -> None:
    paths = after(statement).bearings.paths
    assert paths is not None
    assert paths[0] == START  # a rollback brings it back
    assert learnt in paths


@pytest.mark.parametrize("statement", ["SELECT 1", "RESET search_path", "SET search_path TO DEFAULT", "DISCARD ALL",
                                       "SELECT twice(2)", "SELECT now()",
                                       'SET search_path TO "$user", public'])  # fmt: skip
def test_what_sets_no_other_path_teaches_nothing(statement: str) -> None:
    compass = after(statement)
    assert compass.bearings.paths == (START,)
    assert compass.turns == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT touch(1)",
        "CALL touch(1)",
        "SELECT set_config('search_path', $1, false)",
        "SELECT set_config($1, 'archive', false)",
        "SELECT set_config('search_path', 'a b', false)",
        "UPDATE pg_settings SET setting = 'archive' WHERE name = 'search_path'",
        "SET ROLE other",
        "SET SESSION AUTHORIZATION other",
    ],
)
def test_after_what_nobody_can_follow_a_name_means_everything_of_that_name(statement: str) -> None:
    compass = after(statement)
    assert compass.bearings.paths is None
    assert compass.turns == 1


def test_a_temporary_table_is_remembered_however_it_was_made() -> None:
    made = after(
        "CREATE TEMP TABLE a (x int)",
        "CREATE TEMPORARY VIEW b AS SELECT 1",
        "SELECT 1 INTO TEMP c",
        "CREATE TEMP TABLE d AS SELECT 1",
        "CREATE TABLE pg_temp.e (x int)",
        "CREATE TEMP SEQUENCE f",
        "CREATE TABLE g (x int)",
    )
    assert made.bearings.temporary == {"a", "b", "c", "d", "e", "f"}


def test_more_paths_than_anybody_needs_are_no_longer_followed() -> None:
    many = [f"SET search_path TO s{n}" for n in range(MAX_PATHS)]
    assert after(*many[:-1]).bearings.paths is not None
    assert after(*many).bearings.paths is None


@pytest.mark.parametrize(
    "message",
    [
        "SET search_path TO hr; SELECT * FROM staff",
        "BEGIN; SET LOCAL search_path TO hr; DELETE FROM staff WHERE id = 1; COMMIT",
        "SELECT set_config('search_path', 'hr', false); SELECT * FROM staff",
        "SELECT touch(1); SELECT * FROM staff",
        "DO $$ BEGIN SET search_path TO hr; PERFORM 1 FROM staff; END $$",
        "DO $$ BEGIN PERFORM touch(1); PERFORM 1 FROM staff; END $$",
        "SET ROLE hr; SELECT * FROM staff",
    ],
)
def test_a_path_holds_for_what_comes_behind_it_in_the_same_message(message: str) -> None:
    facts = read(message.encode())
    assert isinstance(facts, tuple)
    assert "hr" in {use.schema for each in Compass("public").read(facts, CATALOG) for use in each.tables}


@pytest.mark.parametrize("message", ["SELECT * FROM staff; SET search_path TO hr", "SELECT twice(1) FROM staff"])
def test_what_comes_before_keeps_its_meaning(message: str) -> None:
    facts = read(message.encode())
    assert isinstance(facts, tuple)
    assert {use.schema for each in Compass("public").read(facts, CATALOG) for use in each.tables} == {"public"}


def test_what_was_only_read_and_perhaps_denied_teaches_nothing() -> None:
    compass, facts = Compass("public"), read(b"SET search_path TO hr")
    assert isinstance(facts, tuple)
    compass.read(facts, CATALOG)
    assert compass.bearings.paths == (("public",),)
    assert compass.turns == 0
