"""The time of the double, and how Vault says it."""

from __future__ import annotations

import time


def now() -> float:
    return time.time()


def stamp(at: float | None) -> str | None:
    if at is None:
        return None
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1e9):09d}Z"
