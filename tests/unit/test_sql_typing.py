"""What is typed at the prompt: kept without secrets and for its owner alone, and completed by what was read before."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from hoopx_cli.sql.catalogue import Listing, like, name_of, quoted, relations
from hoopx_cli.sql.completion import Names, SqlCompleter
from hoopx_cli.sql.history import FILE, KEPT, PrivateHistory, is_kept


@pytest.mark.parametrize(
    "text",
    [
        "ALTER ROLE bob PASSWORD 'hunter2';",
        "create user x\nencrypted\npassWord 'y';",
        "CREATE USER MAPPING FOR ann SERVER s OPTIONS (user 'a', pass 'b');",
        "create subscription s connection 'host=x' publication p;",
        "select crypt('hunter2', gen_salt('bf'));",
        "select pgp_sym_encrypt('a', 'b');",
        "select dblink('host=x', 'select 1');",
        "alter user x identified by 'y';",
        "select 'postgresql://ann:hunter2@db/app';",
        "insert into t(api_key) values ('x');",
        " select 'with a space before';",
        "",
        "x" * 1001,
    ],
)
def test_what_may_hold_a_secret_is_not_kept(text: str, tmp_path: Path) -> None:
    assert not is_kept(text)
    PrivateHistory(tmp_path).store_string(text)
    assert not (tmp_path / FILE).exists()


def test_history_is_private_and_comes_back_newest_first(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for text in ("select 1;", "select\n'é\x1b';", "\\dt"):
        PrivateHistory(home).store_string(text)
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert list(PrivateHistory(home).load_history_strings()) == ["\\dt", "select\n'é\x1b';", "select 1;"]


def test_a_history_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    PrivateHistory(tmp_path).store_string("select 1;")
    (tmp_path / FILE).chmod(0o644)
    history = PrivateHistory(tmp_path)
    assert "others can read" in history.complaint
    assert list(history.load_history_strings()) == []


def test_a_long_or_broken_history_is_cut(tmp_path: Path) -> None:
    history = PrivateHistory(tmp_path)
    history.store_string("select 0;")
    with (tmp_path / FILE).open("a") as file:
        file.write("no json\n[1]\n" + "".join(f'"select {n};"\n' for n in range(3 * KEPT)))
    assert len(list(PrivateHistory(tmp_path).load_history_strings())) == KEPT
    assert len((tmp_path / FILE).read_text().splitlines()) == KEPT


def test_a_link_in_the_place_of_the_history_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("")
    (tmp_path / FILE).symlink_to(theirs)
    PrivateHistory(tmp_path).store_string("select 1;")
    assert theirs.read_text() == ""


def _completer() -> SqlCompleter:
    names = Names()
    names.learn(
        [
            ("public", "customers", "id", True),
            ("public", "customers", "email", True),
            ("public", "orders", "quantity", True),
            ("sales", "Odd", "A b", False),
            ("public", "evil\x1b[2J", "x", True),
        ]
    )
    return SqlCompleter(names)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("select * from cu", ["customers"]),
        ("select * from sales.", ['sales."Odd"']),
        ("select em", ["email"]),
        ("select qu|  from orders", ["quantity"]),
        ("select * from customers c where c.", ["c.id", "c.email"]),
        ("select * from customers where em", ["email"]),
        ("SELECT 1 FROM orders WH", ["WHEN", "WHERE"]),
        ("\\d ord", ["orders"]),
        ("\\ti", ["\\timing"]),
        ("select * from ev", []),
        ("select * from orders", []),
    ],
)
def test_tab_offers_names_and_never_odd_ones(text: str, offered: list[str]) -> None:
    before, _, after = text.partition("|")
    document = Document(before + after, len(before))
    found = [each.text for each in _completer().get_completions(document, CompleteEvent())]
    assert sorted(found) == sorted(offered)


def test_without_names_there_are_words() -> None:
    found = SqlCompleter(Names()).get_completions(Document("sel"), CompleteEvent())
    assert [each.text for each in found] == ["select"]


def test_names_are_read_as_sql_reads_them() -> None:
    assert name_of('Public."Odd.Name"') == ("public", "Odd.Name")
    assert name_of("Orders") == ("", "orders")
    assert quoted('a"b') == '"a""b"'
    assert like("cust_*?") == "cust\\_%_"
    assert isinstance(relations("r", "a*"), Listing)
