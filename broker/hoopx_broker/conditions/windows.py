"""Are hours open that rules name, and when do they open next? They are read off the clock on the wall of their zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hoopx_broker.terms.approvals import Window

DAY = 24 * 60
# Each week is like the last but for days on which clocks are changed: where nothing opens in two, nobody waits for it.
DAYS_AHEAD = 15


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of this name; None if neither the system nor the package `tzdata` knows it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The two others are for names that no zone can have: of a directory, or with `..` in them.
        return None


def are_open(within: Sequence[Sequence[Window]], at: float) -> bool:
    """Has every rule a window that is open at `at`, in seconds since the Unix epoch? True where no rule names any.

    An hour that a change of clocks skips is not there, and one that comes twice is open both times. A window of a zone
    that nobody knows any more is closed.
    """
    return all(any(_is_open(window, at) for window in windows) for windows in within)


def opens_at(within: Sequence[Sequence[Window]], after: float) -> float | None:
    """The first moment from `after` on at which all are open; None where that is not within `DAYS_AHEAD` days."""
    openings = {at for windows in within for window in windows for at in _openings(window, after)}
    return next((at for at in sorted({after, *openings}) if at >= after and are_open(within, at)), None)


def _is_open(window: Window, at: float) -> bool:
    zone = zone_of(window.zone)
    if zone is None:
        return False
    now = datetime.fromtimestamp(at, zone)
    minute, today = now.hour * 60 + now.minute, now.isoweekday()
    if window.begins < window.ends:
        return today in window.days and window.begins <= minute < window.ends
    yesterday = (today - 2) % 7 + 1
    return (today in window.days and minute >= window.begins) or (yesterday in window.days and minute < window.ends)


def _openings(window: Window, after: float) -> Iterator[float]:
    """All moments of the days ahead at which it may open: where its clock shows its beginning, or is changed."""
    zone = zone_of(window.zone)
    if zone is None:
        return
    today = datetime.fromtimestamp(after, zone).date()
    for ahead in range(-1, DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        yield from _changes(zone, day)
        if day.isoweekday() in window.days:
            begins = datetime(day.year, day.month, day.day, window.begins // 60, window.begins % 60, tzinfo=zone)
            yield from (begins.timestamp(), begins.replace(fold=1).timestamp())


def _changes(zone: ZoneInfo, day: date) -> Iterator[float]:
    """The moment of a day (UTC) at which the clocks of the zone are changed, if there is one, to the second."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    end = begin + DAY * 60
    if _offset(zone, begin) == _offset(zone, end):
        return
    while end - begin > 1:
        middle = (begin + end) // 2
        begin, end = (middle, end) if _offset(zone, middle) == _offset(zone, begin) else (begin, middle)
    yield float(end)


def _offset(zone: ZoneInfo, at: float) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()
