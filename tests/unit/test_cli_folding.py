"""Lines of recordings fit into their terminal, whatever stands in them, and lose nothing but blanks at its edge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from hoopx_cli.folding import folded
from hoopx_cli.inert import inert, width

SQL = "            │ SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id"


def test_what_goes_on_stands_behind_the_same_bar_and_between_words() -> None:
    assert list(folded(SQL, 50)) == [
        "            │ SELECT count(*) FROM orders o JOIN",
        "            │ customers c ON c.id = o.customer_id",
    ]
    assert list(folded(SQL, None)) == [SQL]
    assert list(folded(SQL, len(SQL))) == [SQL]


def test_one_long_word_is_cut_and_wide_letters_count_twice() -> None:
    assert list(folded("    " + "漢" * 30, 44)) == ["    " + "漢" * 20, "    " + "漢" * 10]
    assert list(folded("x" * 50, 40)) == ["x" * 40, "x" * 10]


@given(some.text(max_size=200).map(inert), some.integers(24, 80))
def test_every_piece_fits_and_nothing_is_lost(text: str, columns: int) -> None:
    pieces = list(folded("    " + text, columns))
    assert all(width(each) <= columns for each in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
