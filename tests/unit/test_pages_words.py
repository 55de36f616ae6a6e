"""How pages say times, lengths, windows and what other people wrote."""

from __future__ import annotations

import pytest

from hoopx_broker.daemon.pages import conditions
from hoopx_broker.daemon.pages.trouble import sentence
from hoopx_broker.daemon.pages.words import ago, code, left, moment, prose, several, span
from hoopx_broker.terms.approvals import Conditions, Window


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (90, "1 min 30 s"),
        (5400, "1 h 30 min"),
        (604_800, "7 d"),
        (90_061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_length_has_two_units_at_most(seconds: float, said: str) -> None:
    assert span(seconds).replace("\u00a0", " ") == said


def test_what_is_left_counts_seconds_in_its_last_minute_alone() -> None:
    assert [left(seconds).replace("\u00a0", " ") for seconds in (899, 61, 59.4)] == ["14 min", "1 min", "59 s"]
    assert (ago(59), ago(3_700).replace("\u00a0", " ")) == ("just now", "1 h 1 min ago")


def test_a_moment_is_the_same_for_readers_everywhere() -> None:
    said = '<time datetime="2027-01-15T08:00:00Z">15 Jan 2027, 08:00 UTC</time>'
    assert moment(1_800_000_000) == said


def test_windows_are_said_as_their_rule_wrote_them() -> None:
    week = Window("Europe/Berlin", (1, 2, 3, 4, 5), 540, 1020)
    nights = Window("Asia/Tokyo", (1, 3, 6, 7), 1320, 360)
    said = list(conditions.said(Conditions(ask_within=((week, nights),), answer_within=((week,),), longest=3600)))
    assert [str(each).replace("\u00a0", " ") for each in said] == [
        "It lasts no longer than 1 h.",
        "It is asked for Mon-Fri 09:00-17:00, Europe/Berlin, or Mon, Wed, Sat, Sun 22:00-06:00, Asia/Tokyo.",
        "It is answered Mon-Fri 09:00-17:00, Europe/Berlin.",
    ]
    assert list(conditions.said(Conditions())) == []


def test_a_suspect_is_marked_and_nobody_makes_a_mark_of_their_own() -> None:
    assert code("a\u202eb") == "a<mark>\u2039U+202E RIGHT-TO-LEFT OVERRIDE\u203a</mark>b"
    assert "<b>" not in code("\u2039U+0061 <b>\u203a")
    assert code("\u2039fine\u203a").count("<mark>") == 2  # the signs themselves are written out
    assert prose("\u201cwell\u201d \u2013 <i>") == "\u201cwell\u201d \u2013 &lt;i&gt;"


def test_messages_become_sentences() -> None:
    assert sentence("rule `no-<ddl>` forbids it") == "Rule <code>no-&lt;ddl&gt;</code> forbids it."
    assert sentence("an odd ` is no code?") == "An odd ` is no code?"
    assert several(1, "person", "people") == "1 person"
    assert several(1_200, "row") == "1,200 rows"
