"""Windows are read off the clock on the wall: over midnight, on the days when clocks are changed, and in any zone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from hoopx_broker.conditions.windows import are_open, opens_at
from hoopx_broker.policy.demands import windows_of
from hoopx_broker.terms.approvals import Window

OFFICE = "Mon-Fri 09:00-17:00 Europe/Berlin"
NIGHT = "Fri 22:00-06:00 Europe/Berlin"
# Fridays and Sundays on which Berlin changes its clocks: 29 March at 2 to 3, 25 October at 3 to 2.


def within(*rules: str) -> tuple[tuple[Window, ...], ...]:
    return tuple(windows_of("ask_window", rule) for rule in rules)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("rule", "open_at", "closed_at"),
    [
        (OFFICE, ["2026-01-12T09:00+01:00", "2026-01-16T16:59:59+01:00"],
         ["2026-01-12T08:59:59+01:00", "2026-01-12T17:00+01:00", "2026-01-17T10:00+01:00"]),
        # The same hour on the wall in summer is another one in UTC.
        (OFFICE, ["2026-07-13T07:00+00:00"], ["2026-07-13T06:59+00:00", "2026-01-12T07:30+00:00"]),
        # Over midnight: the day is that of its beginning.
        (NIGHT, ["2026-01-16T22:00+01:00", "2026-01-16T23:59+01:00", "2026-01-17T05:59+01:00"],
         ["2026-01-16T05:59+01:00", "2026-01-17T06:00+01:00", "2026-01-17T22:30+01:00", "2026-01-16T21:59+01:00"]),
        # From Sunday into Monday, over the end of the week.
        ("Sun 23:30-00:30 UTC", ["2026-01-18T23:30+00:00", "2026-01-19T00:29+00:00"],
         ["2026-01-19T23:45+00:00", "2026-01-18T00:15+00:00"]),
        ("Sat,Sun 00:00-24:00 UTC", ["2026-01-17T00:00+00:00", "2026-01-18T23:59+00:00"],
         ["2026-01-16T23:59+00:00", "2026-01-19T00:00+00:00"]),
        ("Fri 22:00-00:00 UTC", ["2026-01-16T23:59+00:00"], ["2026-01-17T00:00+00:00"]),
        ("Fri-Mon 12:00-13:00 UTC", ["2026-01-16T12:00+00:00", "2026-01-19T12:00+00:00"],
         ["2026-01-20T12:00+00:00", "2026-01-15T12:00+00:00"]),
        # An hour that comes twice is open both times, one that is skipped is not there.
        ("Sun 02:00-03:00 Europe/Berlin", ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"],
         ["2026-10-25T03:00+01:00", "2026-03-29T01:59+01:00", "2026-03-29T03:00+02:00"]),
        # A night over the change is an hour shorter, or longer.
        ("Sat 22:00-06:00 Europe/Berlin", ["2026-03-29T05:59+02:00", "2026-10-25T05:59+01:00"],
         ["2026-03-29T06:00+02:00", "2026-10-25T06:00+01:00"]),
        # Any of several windows will do, each in its own zone.
        (f"{OFFICE}; Mon-Fri 09:00-17:00 America/New_York", ["2026-01-12T10:00+01:00", "2026-01-12T16:30-05:00"],
         ["2026-01-12T03:00+01:00"]),
    ],
)  # fmt: skip
def test_a_window_is_open_by_the_clock_of_its_zone(rule: str, open_at: list[str], closed_at: list[str]) -> None:
    assert [time for time in open_at if not are_open(within(rule), at(time))] == []
    assert [time for time in closed_at if are_open(within(rule), at(time))] == []


def test_every_rule_must_have_a_window_that_is_open() -> None:
    both = within(OFFICE, "Mon-Sun 16:00-20:00 Europe/Berlin")
    assert are_open(both, at("2026-01-12T16:30+01:00"))
    assert not are_open(both, at("2026-01-12T15:59+01:00"))
    assert not are_open(both, at("2026-01-12T17:30+01:00"))
    assert are_open((), 0)


@pytest.mark.parametrize(
    ("rules", "after", "opens"),
    [
        ([OFFICE], "2026-01-12T12:00+01:00", "2026-01-12T12:00+01:00"),
        ([OFFICE], "2026-01-16T17:00+01:00", "2026-01-19T09:00+01:00"),
        ([OFFICE], "2026-03-27T17:00+01:00", "2026-03-30T09:00+02:00"),
        ([OFFICE, "Mon-Sun 16:00-20:00 Europe/Berlin"], "2026-01-12T17:30+01:00", "2026-01-13T16:00+01:00"),
        # A beginning that the clock skips is the moment after.
        (["Sun 02:30-04:00 Europe/Berlin"], "2026-03-29T00:00+01:00", "2026-03-29T03:00+02:00"),
        # All of it is skipped: a week later.
        (["Sun 02:10-02:50 Europe/Berlin"], "2026-03-29T00:00+01:00", "2026-04-05T02:10+02:00"),
        # It closed, and the clock was put back into it.
        (["Sun 01:00-02:30 Europe/Berlin"], "2026-10-25T02:40+02:00", "2026-10-25T02:00+01:00"),
        ([OFFICE, "Sat 09:00-17:00 Europe/Berlin"], "2026-01-12T12:00+01:00", None),
    ],
)  # fmt: skip
def test_when_they_open_next(rules: list[str], after: str, opens: str | None) -> None:
    assert opens_at(within(*rules), at(after)) == (None if opens is None else at(opens))


def test_a_zone_that_nobody_knows_any_more_is_closed_for_ever() -> None:
    """Requests are kept with their windows; the package that knows zones may be newer by then."""
    gone = ((Window("Europe/Berlyn", (1, 2, 3, 4, 5, 6, 7), 0, 1440),),)
    assert not are_open(gone, at("2026-01-12T12:00+01:00"))
    assert opens_at(gone, at("2026-01-12T12:00+01:00")) is None
    assert are_open(((*gone[0], *within(OFFICE)[0]),), at("2026-01-12T12:00+01:00"))


def test_a_change_by_half_an_hour_is_a_change() -> None:
    """Lord Howe Island puts its clocks forward by thirty minutes at two."""
    rule = within("Sun 02:10-03:00 Australia/Lord_Howe")
    before = at("2026-10-04T01:00+10:30")
    assert opens_at(rule, before) == at("2026-10-04T02:30+11:00")
    assert not are_open(rule, before + timedelta(minutes=59).seconds)
