"""A script is cut where psql cuts it, however it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.sql import statements
from hoopx_cli.sql.prompt import is_whole, open_in
from hoopx_cli.sql.statements import Splitter, Statement, statements_in

CUTS: dict[str, list[str]] = {
    "select 1; select 2": ["select 1", "select 2"],
    "select ';'; select \"a;b\"": ["select ';'", 'select "a;b"'],
    "select 'it''s;'; x": ["select 'it''s;'", "x"],
    r"select E'\';'; x": [r"select E'\';'", "x"],
    r"select '\'; x": [r"select '\'", "x"],
    r"select name'\'; x": [r"select name'\'", "x"],
    "select $$;$$; x": ["select $$;$$", "x"],
    "select $a$;$$;$b$;$a$; x": ["select $a$;$$;$b$;$a$", "x"],
    "select a$b$; x$b$": ["select a$b$", "x$b$"],
    "select $1; x": ["select $1", "x"],
    "/* ; /* ; */ ; */ select 1; -- ;\n;;\n": ["/* ; /* ; */ ; */ select 1"],
    "-- only words\n/* here */": [],
    "create rule r as on insert to t do (a; b); x": ["create rule r as on insert to t do (a; b)", "x"],
    "create or replace function f() begin atomic select case when a then b end; select 2; end; x": [
        "create or replace function f() begin atomic select case when a then b end; select 2; end",
        "x",
    ],
    "begin; select case when a then b end; end; x": ["begin", "select case when a then b end", "end", "x"],
    "select ')'; x": ["select ')'", "x"],
    "select 1 -- no end": ["select 1 -- no end"],
}


@pytest.mark.parametrize("text", CUTS)
def test_a_text_is_cut_at_its_semicolons(text: str) -> None:
    assert [each.text for each in statements_in(text)] == CUTS[text]


def test_statements_know_their_lines() -> None:
    assert statements_in("\n-- first\nselect\n1;\n\nselect 2") == [
        Statement("-- first\nselect\n1", 3),
        Statement("select 2", 6),
    ]


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("select", "-"),
        ("select '", "'"),
        ('select "', '"'),
        ("(", "("),
        ("/* ", "*"),
        ("$x$ ", "$"),
        ("a;", ""),
        ("E'", "'"),
    ],
)
def test_what_is_open_is_told_to_the_prompt(text: str, inside: str) -> None:
    assert open_in(text) == inside


@pytest.mark.parametrize("text", ["", "select 1;", "\\dt", "quit", "select 1; select 2;", "HELP"])
def test_a_whole_line_is_run_at_enter(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["select 1", "select ';", "select 1; select 2", "quitting"])
def test_enter_goes_on_where_something_is_missing(text: str) -> None:
    assert not is_whole(text)


@given(st.text(alphabet="a1 ;'\"$E\\()-/*\n", max_size=60))
def test_nothing_is_lost_or_made_up(text: str) -> None:
    splitter = Splitter()
    found = [each for line in text.splitlines(keepends=True) for each in splitter.feed(line)] + splitter.rest()
    kept = "".join("".join(each.text.split()) for each in found).replace(";", "")
    assert kept in "".join(text.split()).replace(";", "") or len(found) > 1
    at = 0
    for each in found:
        assert each.text in text[at:]
        at = text.index(each.text, at) + len(each.text)


def test_a_statement_without_an_end_does_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MAX_STATEMENT", 1000)
    splitter = Splitter()
    for _ in range(9):
        splitter.feed("select '" + "x" * 91 + "\n")
    with pytest.raises(BadInput, match="line 1 does not end"):
        splitter.feed("x" * 101)
