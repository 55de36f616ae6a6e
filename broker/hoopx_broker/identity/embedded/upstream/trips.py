"""Ways out to a provider and back: each belongs to the browser that began it, and serves once.

The cookie of a visit is `SameSite=Strict`, so it does not come with an answer that another site sends. What comes back
therefore waits under a ticket, a cookie of its own, and counts only on the next page of ours, to which the browser
brings both: the ticket (here the answer came back) and the visit (here it began). Whoever lets somebody else log in on
a trip of their own has the visit without the ticket, and whoever is sent a stranger's answer has no visit to it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from msgspec import Struct

from hoopx_broker.api import compact

LIFE = 600.0  # seconds; no longer than the visit itself
MAX_OPEN = 2000  # trips held at once, a megabyte
MAX_OPEN_PEER = 200  # of these from one address: an office behind one, on a Monday morning
ANSWER_LIFE = 60.0  # seconds from an answer to the next page, which the browser opens by itself
MAX_ANSWERS = 100  # answers held at once: 25 MB where all of them are the largest of SAML


class Trip(Struct, frozen=True):
    """`state` names it to the provider, `request` is the id of its SAML request; its answer is bound by the others.

    `cookie` and `token` are those of the visit that it began in.
    """

    upstream: str
    state: str
    nonce: str
    verifier: str
    request: str
    cookie: str
    token: str
    peer: str
    began_at: float


class _Arrival(Struct, frozen=True):
    trip: Trip
    answer: Mapping[str, str]
    at: float


class Trips:
    """All trips, by their state."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._open: dict[str, Trip] = {}
        self._arrived: dict[str, _Arrival] = {}

    def begin(self, upstream: str, cookie: str, token: str, peer: str) -> Trip:
        self._make_room(peer)
        request = "_" + self._random(16).hex()  # an XML id must not begin with a digit
        state, nonce, verifier = self._word(), self._word(), self._word()
        trip = Trip(upstream, state, nonce, verifier, request, cookie, token, peer, self._clock())
        self._open[trip.state] = trip
        return trip

    def find(self, upstream: str, state: str) -> Trip | None:
        """The trip to this provider that an answer names."""
        trip = self._open.get(state)
        if trip is None or trip.upstream != upstream or self._clock() >= trip.began_at + LIFE:
            return None
        return trip

    def arrive(self, trip: Trip, answer: Mapping[str, str]) -> str:
        """Keep an answer for the browser that brought it; the ticket is for that browser alone.

        Of each trip one answer is held, the last: nobody pushes out those of others with one trip of their own.
        """
        self._sweep()
        self._arrived = {ticket: arrival for ticket, arrival in self._arrived.items() if arrival.trip != trip}
        while len(self._arrived) >= MAX_ANSWERS:
            del self._arrived[next(iter(self._arrived))]
        ticket = self._word()
        self._arrived[ticket] = _Arrival(trip, answer, self._clock())
        return ticket

    def take(self, ticket: str, cookie: str) -> tuple[Trip, Mapping[str, str]] | None:
        """The answer, once, for the browser that has both cookies; the trip is over then."""
        self._sweep()
        arrival = self._arrived.pop(ticket, None)
        if arrival is None or not hmac.compare_digest(arrival.trip.cookie.encode(), cookie.encode()):
            return None
        trip = self.find(arrival.trip.upstream, arrival.trip.state)
        if trip is None:
            return None
        del self._open[trip.state]
        return trip, arrival.answer

    def _sweep(self) -> None:
        gone = self._clock() - ANSWER_LIFE
        self._arrived = {ticket: arrival for ticket, arrival in self._arrived.items() if arrival.at > gone}

    def _make_room(self, peer: str) -> None:
        """The oldest go: of this address where it has many, else of all."""
        mine = [state for state, trip in self._open.items() if trip.peer == peer]
        for state in mine[: max(0, len(mine) - MAX_OPEN_PEER + 1)]:
            del self._open[state]
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]

    def _word(self) -> str:
        return compact.encode(self._random(32))
