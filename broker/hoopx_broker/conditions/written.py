"""Conditions as people read them, in the words in which rules write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from hoopx_broker.conditions.windows import DAYS_AHEAD, are_open, opens_at, zone_of
from hoopx_broker.terms.approvals import Conditions, Window

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def lines(conditions: Conditions, at: float | None = None) -> tuple[str, ...]:
    """One for each condition: ``a ticket like `OPS-[0-9]+` ``. None where rules demand nothing.

    With `at`, in seconds since the Unix epoch, it is told of windows that are closed then when they open.
    """
    return tuple(_lines(conditions, at))


def window(one: Window) -> str:
    """`Mon-Fri 09:00-17:00 Europe/Berlin`"""
    return f"{_days(one.days)} {_clock(one.begins)}-{_clock(one.ends)} {one.zone}"


def windows(several: Iterable[Window]) -> str:
    """As an annotation has them."""
    return "; ".join(window(one) for one in several)


def length(seconds: int) -> str:
    """`1h30m`"""
    parts = []
    for unit, name in _UNITS:
        count, seconds = divmod(seconds, unit)
        parts += [f"{count}{name}"] if count else []
    return "".join(parts) or "0s"


def _lines(conditions: Conditions, at: float | None) -> Iterator[str]:
    if conditions.needs_reason:
        yield "a reason"
    yield from _tickets(conditions)
    if conditions.longest:
        yield f"at most {length(conditions.longest)}"
    yield from (f"asked {windows(each)}{_closed(each, at)}" for each in conditions.ask_within)
    yield from (f"answered {windows(each)}{_closed(each, at)}" for each in conditions.answer_within)
    yield from _glass(conditions)
    if conditions.estimates:
        yield "with the rows that the database expects"


def _closed(several: Sequence[Window], at: float | None) -> str:
    if at is None or are_open((several,), at):
        return ""
    opens = opens_at((several,), at)
    if opens is None:
        return f" (closed, and for {DAYS_AHEAD} days to come)"
    return f" (closed until {datetime.fromtimestamp(opens, zone_of(several[0].zone) or UTC):%Y-%m-%d %H:%M %Z})"


def _tickets(conditions: Conditions) -> Iterator[str]:
    if conditions.tickets:
        each = " and ".join(f"`{pattern}`" for pattern in conditions.tickets)
        yield f"a ticket like {each}" if conditions.needs_ticket else f"a ticket like {each}, or none"
    elif conditions.needs_ticket:
        yield "a ticket"


def _glass(conditions: Conditions) -> Iterator[str]:
    if conditions.breakers and all(conditions.breakers):
        who = " and ".join(_any_of(groups) for groups in conditions.breakers)
        yield f"or at once by whoever is in {who}, reviewed by {_people(conditions.reviewers)}"


def _any_of(groups: Sequence[str]) -> str:
    return " or ".join(f"`{group}`" for group in groups)


def _people(reviewers: Mapping[str, int]) -> str:
    return " and ".join(f"{people} of `{group}`" for group, people in sorted(reviewers.items()))


def _days(days: Sequence[int]) -> str:
    """Days in a row as one range, over the end of the week too."""
    inside = set(days)
    begins = [day for day in sorted(inside) if (day - 2) % 7 + 1 not in inside] or [min(inside, default=1)]
    return ",".join(_run(begin, inside) for begin in begins)


def _run(begin: int, inside: set[int]) -> str:
    run = [begin]
    while len(run) < len(inside) and (after := run[-1] % 7 + 1) in inside:
        run.append(after)
    return "-".join(DAYS[day - 1] for day in dict.fromkeys((run[0], run[-1])))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
