"""Who is signed in at the pages in which browser: held in the state, so that every broker knows, and named by a cookie.

The cookie's value is nowhere but in the browser: here lies its hash. What proves a form to be of the visit's own page
is made of the cookie, so nobody without it can make a form.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.login_events import accepted, login_name
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.visiting.trips import Draft
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store

LIFE = 8 * 3600.0  # seconds: a working day; the token that the visit began with often ends before
MAX_EACH = 20  # browsers of one person; the one that came first goes
MAX_COOKIE = 64  # characters of a value that may be one of ours


class Visit(Struct, frozen=True):
    """Times are seconds since the Unix epoch. `form` stands in the forms of this visit, and proves that they are."""

    identity: Identity
    expires_at: float
    form: str
    draft: Draft


class Visits:
    """`standing` is asked each time: whoever is out has no visit from that moment on."""

    def __init__(
        self, store: Store, standing: Standing, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._standing = standing
        self._clock = clock
        self._random = random

    def now(self) -> float:
        return self._clock()

    async def begin(self, identity: Identity, draft: Draft, before: str) -> tuple[str, Visit]:
        """A cookie that was never seen, and its visit; `before` is the browser's cookie until now, which ends."""
        now = self._clock()
        cookie = compact.encode(self._random(32))
        visit = Visit(identity, min(identity.expires_at, now + LIFE), _form(cookie), draft)
        person = f"{identity.login.issuer} {identity.login.subject or identity.who.user}"
        row = (_hash(cookie), person, _text(identity), draft.at, draft.comment, now, visit.expires_at)
        event = accepted(identity, now, "page")

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM page_visits WHERE expires_at <= ? OR cookie = ?", (now, _hash(before)))
            oldest = "SELECT cookie FROM page_visits WHERE person = ? ORDER BY began_at DESC LIMIT ?"
            keep = [each for (each,) in connection.execute(oldest, (person, MAX_EACH - 1)).fetchall()]
            marks = ", ".join("?" * len(keep)) or "''"
            connection.execute(f"DELETE FROM page_visits WHERE person = ? AND cookie NOT IN ({marks})", (person, *keep))
            columns = "cookie, person, identity, back_to, comment, began_at, expires_at"
            connection.execute(f"INSERT INTO page_visits ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            events.note(connection, event)

        await self._store.run(work)
        return cookie, visit

    async def find(self, cookie: str) -> Visit | None:
        """The visit of this cookie; None where it is over, for whatever reason."""
        if not 0 < len(cookie) <= MAX_COOKIE:
            return None
        name, now = _hash(cookie), self._clock()

        def work(connection: Connection) -> Any:
            asked = "SELECT identity, back_to, comment, expires_at FROM page_visits WHERE cookie = ? AND expires_at > ?"
            return connection.execute(asked, (name, now)).fetchone()

        row = await self._store.run(work)
        if row is None:
            return None
        identity = msgspec.json.decode(row[0], type=Identity)
        if self._standing.against(identity) is not None:
            await self.end(cookie)
            return None
        return Visit(identity, row[3], _form(cookie), Draft(row[1], row[2]))

    async def forget_draft(self, cookie: str) -> None:
        """What was written before the login has been sent."""
        await self._do("UPDATE page_visits SET comment = '' WHERE cookie = ?", cookie)

    async def end(self, cookie: str) -> None:
        await self._do("DELETE FROM page_visits WHERE cookie = ?", cookie)

    async def log_out(self, cookie: str, visit: Visit) -> None:
        """As whoever is at it wishes."""
        name, login = _hash(cookie), login_name(visit.identity)
        event = events.happened(
            self._clock(), "login.ended", **events.by(visit.identity.who), how="page", login=login, why="logged out"
        )

        def work(connection: Connection) -> None:
            if connection.execute("DELETE FROM page_visits WHERE cookie = ?", (name,)).rowcount == 1:
                events.note(connection, event)

        await self._store.run(work)

    async def _do(self, sql: str, cookie: str) -> None:
        name = _hash(cookie)
        await self._store.run(lambda connection: connection.execute(sql, (name,)).close())


def is_form_of(visit: Visit, form: str) -> bool:
    return hmac.compare_digest(visit.form.encode(), form.encode("utf-8", "surrogatepass"))


def _form(cookie: str) -> str:
    return compact.encode(hmac.digest(cookie.encode(), b"forms of this visit", "sha256"))


def _hash(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _text(identity: Identity) -> str:
    return msgspec.json.encode(identity).decode()
