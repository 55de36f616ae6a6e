"""A statement written again says the same, and nothing but what it says."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.canonical import canonical
from hoopx_broker.session.reader import StatementReader
from tests.unit.court_scene import with_reader

# What was sent, and what approvers read beside it.
SAME = {
    "comments hide nothing": ("DELETE/* only id = 1 */FROM t--WHERE id = 1\n", "DELETE FROM t"),
    "far to the right": ("DELETE FROM t" + " " * 5_000 + "WHERE true OR id = 1", "DELETE FROM t WHERE true OR id = 1"),
    "nested comments": ("/* /* */ DELETE FROM t */ SELECT 1", "SELECT 1"),
    "one in another encoding of letters": ("SELECT U&'\\0041', E'\\x41', 'a'\n'b'", "SELECT 'A', 'A', 'ab'"),
    "quoted names": ('DELETE FROM "t" WHERE "T" = 1', 'DELETE FROM t WHERE "T" = 1'),
    "several": ("BEGIN; DELETE FROM t; ; COMMIT", "BEGIN;\nDELETE FROM t;\nCOMMIT"),
    "parameters": ("DELETE FROM t WHERE id=$1 /*x*/", "DELETE FROM t WHERE id = $1"),
    "what binds stronger": ("SELECT 1 WHERE a OR b AND NOT c", "SELECT 1 WHERE a OR (b AND NOT c)"),
    "a block stays as it is": ("DO $x$ begin /*!*/ end $x$", "DO $$ begin /*!*/ end $$"),
}


@pytest.mark.parametrize("sent", SAME)
def test_it_is_written_as_its_grammar_reads_it(sent: str) -> None:
    text, written = SAME[sent]
    assert canonical(text.encode()) == written
    assert canonical(written.encode()) == written


@pytest.mark.parametrize("text", ["", "-- only a comment", "no SQL", "SELECT '\0'", "SELECT (1).touch"])
def test_what_cannot_be_written_so_that_it_reads_the_same_is_not_written(text: str) -> None:
    assert canonical(text.encode()) == ""


def test_the_child_writes_and_reads_in_turn_and_survives_what_kills_it() -> None:
    async def act(reader: StatementReader) -> None:
        assert await reader.rewrite(b"select 1 -- x") == "SELECT 1"
        assert await reader.rewrite(b"SELECT " + b"(" * 400_000) == ""
        assert len(await reader.read(b"select 1; select 2")) == 2  # type: ignore[arg-type]
        assert await reader.rewrite("select 'é'".encode()) == "SELECT 'é'"

    with_reader(act)
