"""How long keys of AWS live: what STS allows, and what is written in the configuration."""

from __future__ import annotations

import re

LEAST_SECONDS = 900  # STS gives no shorter ones
MOST_SECONDS = 12 * 3600
CHAINED_SECONDS = 3600  # the most for a role that was assumed by a role
_WRITTEN = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(max_duration: str) -> int:
    """Raises `ValueError`."""
    found = _WRITTEN.fullmatch(max_duration)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValueError("`max_duration` is from `15m` to `12h`, and at most the role's own MaxSessionDuration")
    return seconds


def key_seconds(wished: float, max_duration: str) -> int:
    """What to ask STS for."""
    return max(LEAST_SECONDS, min(int(wished), seconds_of(max_duration)))
