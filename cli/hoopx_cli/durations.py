"""Lengths of time as people write them: `90s`, `15m`, `1h`, `1h30m`."""

from __future__ import annotations

import re
from datetime import datetime

from hoopx_broker.terms.errors import BadInput

_FORM = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_SECONDS = (86400, 3600, 60, 1)
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# Longer than any session or wait makes sense; the broker has its own, shorter bound.
LONGEST = 30 * 86400


def seconds_of(text: str, option: str) -> int:
    """Seconds of a duration; a bare number is seconds, the empty text 0. Raises `BadInput` naming the option."""
    if not text or (text.isascii() and text.isdigit()):
        seconds = int(text[:9] or 0)
    else:
        found = _FORM.fullmatch(text)
        if found is None:
            raise BadInput(f"`{text}` is not a duration", f"{option} takes one like 90s, 15m or 1h30m")
        seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True))
    if seconds > LONGEST:
        raise BadInput(f"`{text}` is longer than 30 days", f"give {option} a shorter one")
    return seconds


def asked_time(text: str, option: str, now: float) -> str:
    """Seconds since the Unix epoch, for a query: of a date or time as people here write it, or of a duration ago."""
    if not text:
        return ""
    if found := _AGO.fullmatch(text):
        return str(now - int(found[1]) * _UNITS[found[2]])
    try:
        at = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        at = -1
    if at < 0:
        raise BadInput(f"`{text}` is no time", f"{option} takes 2h or 7d, or one like 2026-01-31 or 2026-01-31T09:30")
    return str(at)


def spoken(seconds: float) -> str:
    """`2 h 5 min`, `40 min`, `12 s`; for people, rounded down."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{minutes} min" if not hours else f"{hours} h {minutes} min" if minutes else f"{hours} h"
