"""Recorded terminals look as they did: what vim, less and top wrote under a pty, drawn as tmux draws the same bytes.

The golden screens are those of `tmux capture-pane` after the same output in a window of 72 columns and 20 rows.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hoopx_broker.recording.sequences import Sieve
from hoopx_broker.recording.terminals import Shown
from hoopx_broker.terms.entries import Terminal

GOLDEN = Path(__file__).parents[1] / "golden" / "terminals"


def screen(*pieces: bytes) -> str:
    shown = Shown()
    shown.take(Terminal("t_1", 1, "r", b"72x20"))
    for piece in pieces:
        shown.take(Terminal("t_1", 1, "o", piece))
    return "".join("".join(text for text, _ in row).rstrip() + "\n" for row in shown.rows())


@pytest.mark.parametrize("program", ["vim", "less", "top"])
def test_real_programs_look_as_they_did_however_their_output_is_cut(program: str) -> None:
    output, seen = (GOLDEN / f"{program}.out").read_bytes(), (GOLDEN / f"{program}.txt").read_text(encoding="utf-8")
    assert screen(output) == seen
    hand = random.Random(program)
    cuts = sorted(hand.sample(range(len(output)), 200))
    assert screen(*(output[a:b] for a, b in zip([0, *cuts], [*cuts, len(output)], strict=True))) == seen


def test_a_sequence_without_an_end_keeps_nothing() -> None:
    for begin in (b"\x1b]52;c;", b"\x1bP", b"\x1b[", b"\x9b"):
        sieve = Sieve()
        for _ in range(1_000):
            sieve.drawing(begin + b"1;" * 500)
        assert len(sieve._left) <= 128


def test_the_text_of_a_terminal_has_none_of_its_sequences() -> None:
    sieve = Sieve()
    pieces = (b"\x1b[1;31mred\x1b[0m\x1b]0;ti", b"tle\x1b\\ and \xe2\x94", b"\x80\r\n\x1b[", b"2Jmore")
    assert "".join(map(sieve.text, pieces)) == "red and ─\r\nmore"
