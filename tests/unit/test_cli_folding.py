"""Lines of recordings fit into their terminal, whatever stands in them, and nothing of them is lost at its edge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from hoopx_cli.folding import laid
from hoopx_cli.inert import inert, width

SQL = "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id"


def test_what_goes_on_stands_behind_its_bar_and_shows_that_it_goes_on() -> None:
    for margin in ("            ", "    "):  # of a replay, and of a list of statements
        first, second = laid(f"{margin}│ {SQL}", 60)
        assert (first[: len(margin) + 2], second[: len(margin) + 2]) == (f"{margin}│ ", f"{margin}┆ ")
        assert first[len(margin) + 2 :] + second[len(margin) + 2 :] == SQL


@given(some.text(max_size=200).map(inert), some.integers(24, 80), some.sampled_from(["    │ ", ""]))
def test_every_piece_fits_and_nothing_is_lost(text: str, columns: int, head: str) -> None:
    line = head + (text if head else text.lstrip())
    pieces, margin = list(laid(line, columns)), len(head) if columns >= 60 else min(len(head), 2)
    assert all(width(each) <= columns for each in pieces)
    assert "".join(each[margin:] for each in pieces) == line[len(head) :]
