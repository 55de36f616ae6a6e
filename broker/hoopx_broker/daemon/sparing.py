"""Keep strangers from filling the broker's own log: the first refusals of a minute in words, the rest as a number."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

# What anybody can bring about, with no token that holds.
OF_STRANGERS = frozenset({"identity.refused", "pages.refused", "pages.issuer_silent", "notifier.call_refused"})
TOLD = (
    100  # of each in a minute: enough to see what is wrong with honest callers, and a bound of some megabytes an hour
)
MINUTE = 60.0
MAX_WHY = 500  # characters; they may quote what a stranger sent

_log = structlog.get_logger()


class Sparing:
    """A processor of structlog, and a filter of what libraries say, which strangers may bring about too.

    While `run` runs, what it leaves out is summed up each minute.
    """

    def __init__(self, say: Callable[..., object] | None = None) -> None:
        self._say = say or _log.warning
        self._counts = Counter[str]()

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = event.get("event")
        if name not in OF_STRANGERS:
            return event
        if not self._is_told(str(name)):
            raise structlog.DropEvent
        if isinstance(why := event.get("why"), str) and len(why) > MAX_WHY:
            event["why"] = why[:MAX_WHY] + "…"
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        return self._is_told(record.name)

    def _is_told(self, name: str) -> bool:
        self._counts[name] += 1
        return self._counts[name] <= TOLD

    async def run(self) -> None:
        """Ends only when cancelled, and sums up once more then."""
        try:
            while True:
                await asyncio.sleep(MINUTE)
                self.sum_up()
        finally:
            self.sum_up()

    def sum_up(self) -> None:
        counts, self._counts = self._counts, Counter()
        for name, count in counts.items():
            if count > TOLD:
                self._say("refusals.left_out", of=name, count=count - TOLD)
