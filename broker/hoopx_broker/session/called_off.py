"""Openings that somebody else may call off: a lease is there before its session can be found and ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.ids import LeaseId


class CalledOff:
    """The leases of openings under way, and why those that were called off were."""

    def __init__(self) -> None:
        self._why: dict[LeaseId, str] = {}

    @contextmanager
    def heeding(self, lease: LeaseId) -> Iterator[None]:
        """What is made meanwhile for `lease` can be called off. What fails after that fails by that: `Denied`."""
        self._why[lease] = ""
        try:
            yield
        except Exception:
            self.check(lease)
            raise
        finally:
            del self._why[lease]

    def call_off(self, lease: LeaseId, why: str) -> None:
        """Ask this of an opening before its session is looked for, or neither would find the other."""
        if lease in self._why:
            self._why[lease] = why

    def check(self, lease: LeaseId) -> None:
        """Raises `Denied`; the last thing before a session is given away."""
        if why := self._why.get(lease):
            raise Denied(f"the session was not opened: {why}", "ask whoever did it, then open a new one")
