"""Ways out to an issuer and back: each belongs to the browser that began it, and serves once, at any broker.

A browser has one secret for its trips, in a cookie. What an issuer is told of a trip is made of it and of the trip's
`state`, and the state database knows of both their hashes alone: whoever reads it can end nobody's login, and whoever
opens somebody else's answer lacks the cookie that it goes with.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.identity.openid.code_flow import Leaving
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret

LIFE = 600.0  # seconds: a person may have to find a second factor first
MAX_OPEN = 2_000  # trips held at once; the oldest makes room
MAX_OPEN_PEER = 100  # of these from one address, so that one neighbour cannot push out all others


class Draft(Struct, frozen=True):
    """Where somebody was when they had to log in, and what they had written there."""

    at: str
    comment: str = ""


class Trips:
    """`random` gives bytes that nobody guesses."""

    def __init__(self, store: Store, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    def browser(self) -> Secret:
        """The secret of a browser that has none yet."""
        return Secret(compact.encode(self._random(32)))

    async def begin(self, browser: Secret, way: str, draft: Draft, peer: str) -> Leaving:
        """`way` is the issuer's name in URLs, `peer` the address as bounds count it."""
        leaving = _leaving(browser, compact.encode(self._random(32)))
        at, comment = draft.at, draft.comment
        row = (_hash(leaving.state), _hash(browser.reveal()), way, at, comment, peer, self._clock())

        def work(connection: Connection) -> None:
            _make_room(connection, peer, self._clock() - LIFE)
            columns = "state, browser, way, back_to, comment, peer, began_at"
            connection.execute(f"INSERT INTO page_trips ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)

        await self._store.run(work)
        return leaving

    async def take(self, browser: Secret, way: str, state: str) -> tuple[Leaving, Draft] | None:
        """The trip that this browser began to this issuer, once."""
        key = (_hash(state), _hash(browser.reveal()), way, self._clock() - LIFE)

        def work(connection: Connection) -> tuple[str, str] | None:
            which = "state = ? AND browser = ? AND way = ? AND began_at > ?"
            found = connection.execute(f"SELECT back_to, comment FROM page_trips WHERE {which}", key).fetchone()
            connection.execute(f"DELETE FROM page_trips WHERE {which}", key)
            return (found[0], found[1]) if found is not None else None

        taken = await self._store.run(work)
        return (_leaving(browser, state), Draft(*taken)) if taken is not None else None


def _leaving(browser: Secret, state: str) -> Leaving:
    return Leaving(state, _made(browser, state, "nonce"), _made(browser, state, "verifier"))


def _made(browser: Secret, state: str, what: str) -> str:
    """43 characters, as many as a verifier needs (RFC 7636 section 4.1)."""
    return compact.encode(hmac.digest(browser.reveal().encode(), f"{what} of {state}".encode(), "sha256"))


def _hash(word: str) -> str:
    return sha256(word.encode()).hexdigest()


def _make_room(connection: Connection, peer: str, gone: float) -> None:
    """What is over goes, and the oldest: of this address where it has many, else of all."""
    connection.execute("DELETE FROM page_trips WHERE began_at <= ?", (gone,))
    for where, values, most in (("peer = ?", (peer,), MAX_OPEN_PEER), ("1 = 1", (), MAX_OPEN)):
        held = connection.execute(f"SELECT count(*) FROM page_trips WHERE {where}", values).fetchone()[0]
        if held >= most:
            oldest = f"SELECT state FROM page_trips WHERE {where} ORDER BY began_at LIMIT ?"
            connection.execute(f"DELETE FROM page_trips WHERE state IN ({oldest})", (*values, held - most + 1))
