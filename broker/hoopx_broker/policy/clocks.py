"""What clocks show: the time of judging in the zones that rules name, as entities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hoopx_broker.policy.speech import CLOCK


def clock_entities(clocks: Mapping[str, ZoneInfo], now: int) -> list[dict[str, Any]]:
    """Each clock at `now`, seconds since the Unix epoch."""
    return [_clock(name, datetime.fromtimestamp(now, zone)) for name, zone in clocks.items()]


def _clock(name: str, now: datetime) -> dict[str, Any]:
    attributes = {
        "hour": now.hour,
        "minute": now.minute,
        "weekday": now.isoweekday(),
        "day": now.day,
        "month": now.month,
        "date": now.date().isoformat(),
    }
    return {"uid": {"type": CLOCK, "id": name}, "attrs": attributes, "parents": []}
