"""What a store wants of the database it stands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from hoopx_broker.storage.brokers import OnLost, Place, Presence
from hoopx_broker.storage.connection import Connection

T = TypeVar("T")


class Engine(Protocol):
    """Runs work in transactions, one after another as far as anybody can tell."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """As `Store.run`."""

    def listen(self) -> None:
        """From here on what other brokers tell is heard as well. Safe to repeat."""

    async def join(self, place: Place, on_lost: OnLost) -> Presence:
        """As `Store.join`."""

    async def close(self) -> None:
        """Finish what was asked before, then close. Safe to repeat."""
