"""What rules demand of a request beside votes, in words."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from hoopx_broker.daemon.pages.words import code, span
from hoopx_broker.terms.approvals import Conditions, Window

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def said(conditions: Conditions) -> Iterator[Markup]:
    """Each in a sentence; nothing where nothing is demanded."""
    if conditions.tickets:
        patterns = Markup(", ").join(Markup("<code>{}</code>").format(code(each)) for each in conditions.tickets)
        yield Markup("Its ticket is one of {}.").format(patterns)
    if conditions.longest:
        yield Markup("It lasts no longer than {}.").format(span(conditions.longest))
    for windows in conditions.ask_within:
        yield Markup("It is asked for {}.").format(_open(windows))
    for windows in conditions.answer_within:
        yield Markup("It is answered {}.").format(_open(windows))


def _open(windows: tuple[Window, ...]) -> str:
    return ", or ".join(_window(window) for window in windows)


def _window(window: Window) -> str:
    """`Mon-Fri 09:00-17:00, Europe/Berlin`."""
    return f"{_days(window.days)} {_clock(window.begins)}-{_clock(window.ends)}, {window.zone}"


def _days(days: tuple[int, ...]) -> str:
    """Runs of three and more as one: `Mon-Fri`, `Sat, Sun`."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    named = [[_DAYS[day - 1] for day in run] for run in runs]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run) for run in named)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
