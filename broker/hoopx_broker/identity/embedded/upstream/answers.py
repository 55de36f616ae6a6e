"""What a provider proved of somebody."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret


class Proved(Struct, frozen=True):
    """`who` as the provider names them; `refresh` asks it again; `ends_at` is when it wants to be asked anew."""

    who: Principal
    email: str | None = None
    refresh: Secret | None = None
    ends_at: float | None = None


class Through(Struct, frozen=True):
    """By which upstream somebody came: its short name, its name for people, and what it proved."""

    upstream: str
    label: str
    proved: Proved


class Provider(Protocol):
    """One configured upstream, seen from the pages."""

    async def way_out(self, trip: Trip) -> str:
        """Where the browser goes. Raises `Unreachable`."""

    def is_answer(self, trip: Trip, answer: dict[str, str]) -> bool:
        """Does this look like its answer to this trip? Nothing is proved by that."""

    async def prove(self, trip: Trip, answer: dict[str, str]) -> Proved:
        """Who came back. Raises `NotAccepted`, `Declined` and `Unreachable`."""

    async def again(self, known: Proved) -> Proved | None:
        """Who they are by now; None where the provider ended it. Raises `NotAccepted` and `Unreachable`."""
