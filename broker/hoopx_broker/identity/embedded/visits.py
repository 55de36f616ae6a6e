"""Where a browser stands on its way through the pages: held here, named there by a cookie."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable

from msgspec import Struct

LIFE = 600.0  # seconds; a visit is of no use after its code has ended
MAX_OPEN = 2000  # visits held at once, under a megabyte; the oldest makes room, for only good codes make visits


class Visit(Struct, frozen=True):
    """`token` stands in the forms and proves that a form is ours; `user` is set after the password."""

    token: str
    user_code: str
    began_at: float
    user: str | None = None


class Visits:
    """All visits, by the value of their cookie."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._open: dict[str, Visit] = {}

    def begin(self, user_code: str, user: str | None = None) -> tuple[str, Visit]:
        """A new visit and its cookie: also when somebody logs in, so that a cookie known before is worth nothing."""
        cookie = self._word()
        visit = Visit(self._word(), user_code, self._clock(), user)
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
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

    def _word(self) -> str:
        return base64.urlsafe_b64encode(self._random(24)).decode()
