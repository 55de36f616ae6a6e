"""Where a browser stands on its way through the pages, and what for: held here, named there by a cookie."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from starlette.responses import Response

from hoopx_broker.identity.embedded.people import Person

LIFE = 600.0  # seconds; a visit is of no use after its code has ended
MAX_OPEN = 2000  # visits held at once, under two megabytes
MAX_OPEN_PEER = 200  # of these from one address, so that one neighbour cannot push out all others


class Errand(Protocol):
    """What a visit is for: a device that waits, or an application that sent its person here."""

    def question(self, token: str, person: Person, browser_at: str) -> Response:
        """The page that asks somebody who has signed in, in a form that carries `token`; or the way on.

        Raises `OAuthError` where there is nothing to answer any more.
        """


class Visit(Struct, frozen=True):
    """`token` stands in the forms and proves that a form is ours; `person` is set once they proved who they are."""

    token: str
    errand: Errand
    peer: str
    began_at: float
    person: Person | None = None


class Visits:
    """All visits, by the value of their cookie."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._open: dict[str, Visit] = {}

    def begin(self, errand: Errand, peer: str, person: Person | None = None) -> tuple[str, Visit]:
        """A new visit and its cookie: also when somebody logs in, so that a cookie known before is worth nothing."""
        cookie = self._word()
        visit = Visit(self._word(), errand, peer, self._clock(), person)
        self._make_room(peer)
        self._open[cookie] = visit
        return cookie, visit

    def find(self, cookie: str, token: str) -> Visit | None:
        """The visit of this cookie, if the form came from its own page."""
        visit = self._open.get(cookie)
        if visit is None or self._clock() >= visit.began_at + LIFE:
            return None
        return visit if hmac.compare_digest(visit.token.encode(), token.encode()) else None

    def end(self, cookie: str) -> None:
        self._open.pop(cookie, None)

    def _make_room(self, peer: str) -> None:
        """The oldest visits go: of this address where it holds many, else of all."""
        mine = [cookie for cookie, visit in self._open.items() if visit.peer == peer]
        for cookie in mine[: max(0, len(mine) - MAX_OPEN_PEER + 1)]:
            del self._open[cookie]
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]

    def _word(self) -> str:
        return base64.urlsafe_b64encode(self._random(24)).decode()
