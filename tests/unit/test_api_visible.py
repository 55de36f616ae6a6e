"""What an approver sees: nothing in a text passes for something else, and people's own languages stay readable."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.api.lookalikes import likeness
from hoopx_broker.api.visible import Suspect, original, suspects, visible, visible_prose

A = "‹U+0430 CYRILLIC SMALL LETTER A, looks like a›"
DELETE = "DELETE FROM payments WHERE id = 1"

# What each text must be seen as. Written with escapes, so that this file fools nobody either.
ATTACKS = {
    "the trojan source: a comment that displays as code": (
        "delete from t /*\u202e \u2066 where id = 1 */",
        "delete from t /*‹U+202E RIGHT-TO-LEFT OVERRIDE› ‹U+2066 LEFT-TO-RIGHT ISOLATE› where id = 1 */",
    ),
    "another table of the same looks": ("delete from p\u0430yments", f"delete from p{A}yments"),
    "a name that is look-alikes alone": (
        "'\u0441\u043e\u0440'",
        "'‹U+0441 CYRILLIC SMALL LETTER ES, looks like c›‹U+043E CYRILLIC SMALL LETTER O, looks like o›"
        "‹U+0440 CYRILLIC SMALL LETTER ER, looks like p›'",
    ),
    "a quote that ends nothing": (
        "'x\u2019 or 1=1",
        "'x‹U+2019 RIGHT SINGLE QUOTATION MARK, looks like '› or 1=1",
    ),
    "a semicolon that is a letter of Greek": ("1\u037e 2", "1‹U+037E GREEK QUESTION MARK, looks like ;› 2"),
    "full-width": ("id\uff1d1", "id‹U+FF1D FULLWIDTH EQUALS SIGN, looks like =›1"),
    "a struck-through sign": ("a =\u0338 b", "a =‹U+0338 COMBINING LONG SOLIDUS OVERLAY› b"),
    "unseen in a name": ("pay\u200bments", "pay‹U+200B ZERO WIDTH SPACE›ments"),
    "a blank that is no space": ("a\u3164b", "a‹U+3164 HANGUL FILLER›b"),
    "a terminal's commands": ("\x1b[2Jx", "‹U+001B ESCAPE›[2Jx"),
    "a carriage return over what was written": ("drop\rkeep", "drop‹U+000D CARRIAGE RETURN›keep"),
    "a forged mark": (
        "‹U+0031›",
        "‹U+2039 SINGLE LEFT-POINTING ANGLE QUOTATION MARK, looks like <›U+0031"
        "‹U+203A SINGLE RIGHT-POINTING ANGLE QUOTATION MARK, looks like >›",
    ),
    "half of a pair": ("\ud800", "‹U+D800›"),
    "another letter under the same mark": (
        "paym\u0451nts",
        "paym‹U+0451 CYRILLIC SMALL LETTER IO, looks like e›nts",
    ),
    "a foreign letter that is like none": ("payment\u0436", "payment‹U+0436 CYRILLIC SMALL LETTER ZHE›"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_passes_for_something_else(attack: str) -> None:
    text, seen = ATTACKS[attack]
    assert visible(text) == seen
    assert original(seen) == text


READABLE = [
    DELETE + ";\n\tSELECT 'a' -- why\n",
    "WHERE name = 'привет' AND city = 'Zürich' OR city = 'Cafe\u0301'",
    "он и она с ней",
    "SELECT 'שלום', 'مرحبا', '東京', 'こんにちは', 'नमस्ते'",
]


@pytest.mark.parametrize("text", READABLE)
def test_what_fools_nobody_stays_readable(text: str) -> None:
    assert visible(text) == text


def test_people_may_write_with_dashes_and_quotation_marks() -> None:
    said = "don’t – it’s “p\u0430yments”…"
    assert visible_prose(said) == said.replace("\u0430", A)
    assert visible_prose("‹U+0031›") == visible("‹U+0031›"), "a mark is not forged in prose either"


def test_suspects_say_where_and_what() -> None:
    assert suspects("p\u0430y\u202e") == (
        Suspect(1, 0x430, "CYRILLIC SMALL LETTER A", "a"),
        Suspect(3, 0x202E, "RIGHT-TO-LEFT OVERRIDE"),
    )


def test_every_letter_drawn_as_ascii_is_told_in_a_name_of_ascii() -> None:
    """Whatever looks like ASCII by Unicode's data, in the middle of a word of ASCII."""
    alike = [c for code in range(0x80, sys.maxunicode + 1) if likeness(c := chr(code)) and c.isalnum()]
    assert len(alike) > 1_000
    assert [c for c in alike if not suspects(f"pay{c}ments")] == []


@given(st.text(st.characters(exclude_categories=())))
@example("‹U+0430 x›\u0430‹")
@example("=\u0338\u0338\u0338\u0338\u0338")
def test_shown_text_is_the_text_again_and_holds_nothing_unseen(text: str) -> None:
    for show in (visible, visible_prose):
        shown = show(text)
        assert original(shown) == text
        assert not [c for c in shown if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")]
