"""Read single annotations that put conditions on an approval: groups, tickets, lengths of time, windows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hoopx_broker.conditions.tickets import fits, problem_of
from hoopx_broker.conditions.windows import DAY, zone_of
from hoopx_broker.conditions.written import DAYS
from hoopx_broker.terms.approvals import Window

# More people than this of one group is a mistake in a file, not a procedure.
MAX_QUORUM = 20
MAX_WINDOWS = 20
MAX_WINDOW = 200  # characters; the longest name of a zone has some thirty
MAX_SECONDS = 30 * 24 * 3600  # what `--for` takes at most
_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_UNITS = (24 * 3600, 3600, 60, 1)
_WINDOW = re.compile(r"(\S.*?)\s+(\d\d):(\d\d)-(\d\d):(\d\d)\s+(\S+)", re.ASCII)
_FORM = "write it as `Mon-Fri 09:00-17:00 Europe/Berlin`"


class Mistake(Exception):
    """What is wrong with an annotation. `told` is the annotation and the whole message."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(what)
        self.told = (f"@{name}", f"`@{name}` {what}")


def required(name: str, text: str, word: str) -> None:
    if text != word:
        raise Mistake(name, f'takes one word only: `@{name}("{word}")`')


def groups_of(name: str, text: str) -> tuple[str, ...]:
    groups = tuple(group.strip() for group in text.split(","))
    if not all(groups) or len(set(groups)) < len(groups):
        raise Mistake(name, f'is a list of different groups: `@{name}("dba,security")`')
    return groups


def people_by_group(groups: Sequence[str], text: str) -> dict[str, int]:
    """`2` of each, or `dba:2,security:1`. A name may have colons of its own: the last one counts."""
    if ":" not in text:
        return dict.fromkeys(groups, _people(text))
    found: dict[str, int] = {}
    for part in groups_of("quorum", text):
        group, _, number = part.rpartition(":")
        if group not in groups or group in found:
            raise Mistake("quorum", f"says `{part}`; it has each group of `@approvers` once: `dba:2,security:1`")
        found[group] = _people(number)
    if missing := [f"`{group}`" for group in groups if group not in found]:
        raise Mistake("quorum", f"does not say how many of {' and '.join(missing)}")
    return found


def _people(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_QUORUM):
        raise Mistake("quorum", f'is a number from 1 to {MAX_QUORUM}: `@quorum("2")`, `@quorum("dba:2,security:1")`')
    return int(text)


def demanded_ticket(text: str) -> tuple[bool, tuple[str, ...]]:
    """Must there be one, and the pattern of it. A pattern that the empty text matches leaves the choice."""
    if text == "required":
        return True, ()
    if problem := problem_of(text):
        raise Mistake("ticket", f'{problem}; write `@ticket("required")` or `@ticket("OPS-[0-9]+")`')
    return not fits([text], ""), (text,)


def seconds_of(name: str, text: str) -> int:
    found = _DURATION.fullmatch(text)
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True)) if found else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise Mistake(name, 'is a length of time such as `15m`, `1h30m`, at most 30 days: `@max_duration("1h")`')
    return seconds


def windows_of(name: str, text: str) -> tuple[Window, ...]:
    """Windows with `;` between them, any of which may be open."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) > MAX_WINDOWS:
        raise Mistake(name, f"has more than {MAX_WINDOWS} windows")
    return tuple(sorted({_window(name, part) for part in parts}))


def _window(name: str, text: str) -> Window:
    found = _WINDOW.fullmatch(text) if len(text) <= MAX_WINDOW else None
    if found is None:
        raise Mistake(name, f"has `{text[:MAX_WINDOW]}`, which is no window; {_FORM}, with `;` between several")
    days, *clock, zone = found.groups()
    begins, ends = _minute(name, clock[:2]), _minute(name, clock[2:])
    if zone_of(zone) is None:
        raise Mistake(name, f"has `{zone}`, which is no time zone; they are named as `Europe/Berlin`")
    if begins in (ends, DAY):
        raise Mistake(name, f"has `{text}`, which is never open; a whole day is `00:00-24:00`")
    return Window(zone, _days(name, days), begins, ends)


def _minute(name: str, clock: Sequence[str]) -> int:
    hour, minute = int(clock[0]), int(clock[1])
    if minute > 59 or hour * 60 + minute > DAY:
        raise Mistake(name, f"has `{clock[0]}:{clock[1]}`, which no clock shows; {_FORM}")
    return hour * 60 + minute


def _days(name: str, text: str) -> tuple[int, ...]:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon` over the weekend."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise Mistake(name, f"has the days `{text}`; they are {', '.join(DAYS)}, as `Mon-Fri` or `Mon,Wed`")
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dash else 0
        found |= {(begin + day) % 7 + 1 for day in range(length + 1)}
    return tuple(sorted(found))
