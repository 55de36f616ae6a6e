"""Laws of conditions: windows open as a clock shows, and several rules together are never laxer than any of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from hoopx_broker.conditions import written
from hoopx_broker.conditions.tickets import fits
from hoopx_broker.conditions.together import may_break, together
from hoopx_broker.conditions.windows import are_open, opens_at
from hoopx_broker.policy.demands import windows_of
from hoopx_broker.terms.approvals import Conditions, Window
from tests.laws.depth import examples

_GROUPS = ["dba", "security", "on-call", "team:a", "privacy"]
_ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo", "UTC"]
_DAYS = st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days)))
_WINDOW = st.builds(
    Window, st.sampled_from(_ZONES), _DAYS, begins=st.integers(0, 1439), ends=st.integers(0, 1440)
).filter(lambda window: window.begins != window.ends)
_WINDOWS = st.sets(_WINDOW, min_size=1, max_size=2).map(lambda windows: tuple(sorted(windows)))
_WITHIN = st.lists(_WINDOWS, max_size=2).map(tuple)
# A year with its changes of clocks, mostly the days around them.
_CHANGES = [
    datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 5), (4, 24), (10, 4), (10, 25))
]
_AT = st.builds(
    lambda day, minutes: (day + timedelta(minutes=minutes)).timestamp(),
    st.sampled_from(_CHANGES),
    st.integers(-3 * 1440, 3 * 1440),
)
_RULE = st.builds(
    Conditions,
    needs_reason=st.booleans(),
    needs_ticket=st.booleans(),
    tickets=st.sampled_from([(), ("OPS-[0-9]+",), ("[A-Z]+-[0-9]+",), ("OPS-.*",)]),
    longest=st.sampled_from([0, 900, 3600]),
    ask_within=st.lists(_WINDOWS, max_size=1).map(tuple),
    answer_within=st.lists(_WINDOWS, max_size=1).map(tuple),
    estimates=st.booleans(),
)
_GLASS = st.builds(
    lambda rule, breakers, reviewers: structs.replace(rule, breakers=breakers, reviewers=reviewers),
    _RULE,
    st.sets(st.sampled_from(_GROUPS), min_size=1, max_size=2).map(lambda groups: (tuple(sorted(groups)),)),
    st.dictionaries(st.sampled_from(_GROUPS), st.integers(1, 2), min_size=1, max_size=2),
)
_ANY = st.one_of(_RULE, _GLASS)
_QUIET = settings(max_examples=examples(40), deadline=None)


@_QUIET
@given(_WINDOW, _AT)
@example(Window("Europe/Berlin", (7,), 120, 180), datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp())
@example(Window("UTC", (1,), 0, 1440), datetime(2026, 10, 26, tzinfo=UTC).timestamp())
def test_a_window_is_open_from_its_beginning_on_the_wall_for_as_long_as_it_says(window: Window, at: float) -> None:
    wall = datetime.fromtimestamp(at, ZoneInfo(window.zone)).replace(tzinfo=None)
    length = timedelta(minutes=(window.ends - window.begins) % 1440 or 1440)
    today = datetime(wall.year, wall.month, wall.day)  # on the wall, where there are no zones
    days = [day for day in (today - timedelta(days=1), today) if day.isoweekday() in window.days]
    begins = [day + timedelta(minutes=window.begins) for day in days]
    assert are_open(((window,),), at) == any(begin <= wall < begin + length for begin in begins)


@settings(max_examples=60, deadline=None)
@given(_WITHIN, _AT)
def test_the_next_opening_is_the_first_minute_at_which_all_are_open(
    within: tuple[tuple[Window, ...], ...], after: float
) -> None:
    opens = opens_at(within, after)
    minutes = range(int(after), int(after) + 2 * 86400, 60)
    first = next((minute for minute in minutes if are_open(within, minute)), None)
    if first is None:
        assert opens is None or (opens >= after + 2 * 86400 and are_open(within, opens))
    else:
        assert opens == first


@_QUIET
@given(_WINDOWS)
def test_windows_are_read_as_they_are_written(windows: tuple[Window, ...]) -> None:
    assert windows_of("ask_window", written.windows(windows)) == windows


@_QUIET
@given(_ANY, _ANY, _ANY)
def test_the_order_of_rules_does_not_matter(one: Conditions, other: Conditions, third: Conditions) -> None:
    whole = together([one, other, third])
    assert whole == together([third, one, other])
    assert whole == together([together([one, other]), third]) == together([one, together([other, third])])
    assert together([one, one]) == together([one])


@_QUIET
@given(
    st.lists(_ANY, min_size=1, max_size=3),
    st.sets(st.sampled_from(_GROUPS), max_size=3),
    st.sampled_from(["", "OPS-1", "OPS-x", "WEB-2"]),
    _AT,
)
def test_several_rules_together_are_never_laxer_than_one_of_them(
    rules: list[Conditions], groups: set[str], ticket: str, at: float
) -> None:
    """And never stricter than all of them: what each is content with, they are content with together."""
    whole = together(rules)
    assert whole.needs_reason == any(rule.needs_reason for rule in rules)
    assert whole.needs_ticket == any(rule.needs_ticket for rule in rules)
    assert whole.estimates == any(rule.estimates for rule in rules)
    assert fits(whole.tickets, ticket) == all(fits(rule.tickets, ticket) for rule in rules)
    assert (whole.longest or 10**9) == min(rule.longest or 10**9 for rule in rules)
    assert are_open(whole.ask_within, at) == all(are_open(rule.ask_within, at) for rule in rules)
    assert are_open(whole.answer_within, at) == all(are_open(rule.answer_within, at) for rule in rules)
    assert may_break(whole, groups) == all(may_break(rule, groups) for rule in rules)
    if whole.breakers:
        for rule in rules:
            assert all(whole.reviewers[group] >= people for group, people in rule.reviewers.items())
