"""Mint tokens, and rotate the refresh tokens that bring new ones."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from msgspec import Struct

from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.signing import SigningKeys
from hoopx_broker.storage.store import Store

ACCESS_LIFE = 900  # seconds; a token cannot be called back, so what was taken from somebody ends soon
IDLE_LIFE = 86_400.0  # seconds; who comes every day does not log in every day
LOGIN_LIFE = 7 * 86_400.0  # seconds; and everybody logs in once a week


class Login(Struct, frozen=True):
    """One signing in of one person at one client; `family` is what all its refresh tokens share."""

    user: str
    client: str
    scope: str
    signed_in_at: float
    ends_at: float
    family: str


class Tokens:
    """Answers of the token endpoint, and the state of logins behind them."""

    def __init__(
        self,
        url: str,
        audience: str,
        keys: SigningKeys,
        store: Store,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._url = url
        self._audience = audience
        self._keys = keys
        self._store = store
        self._clock = clock
        self._random = random

    async def first(self, person: Person, client: str, scope: str, signed_in_at: float) -> dict[str, Any]:
        """The answer to a fresh login."""
        login = Login(person.name, client, scope, signed_in_at, self._clock() + LOGIN_LIFE, self._word())
        refresh = self._word() if "offline_access" in scope.split() else None
        if refresh is not None:
            now = self._clock()
            await self._store.run(lambda connection: _keep(connection, _hash(refresh), login, now))
        return await self._answer(person, login, refresh)

    async def again(self, refresh: str, client: str, find: Callable[[str], Person | None]) -> dict[str, Any]:
        """The answer to a refresh token, which is spent by it. A spent one that comes back ends its whole login."""
        fresh, now = self._word(), self._clock()
        login = await self._store.run(lambda connection: _rotate(connection, _hash(refresh), _hash(fresh), client, now))
        person = find(login.user) if login is not None else None
        if login is None or person is None:
            raise OAuthError("invalid_grant", "this login has ended")
        return await self._answer(person, login, fresh)

    async def forget(self, refresh: str, client: str) -> None:
        """End the login of a refresh token. Of a token that nobody knows there is nothing to end."""
        await self._store.run(lambda connection: _end(connection, _hash(refresh), client))

    async def _answer(self, person: Person, login: Login, refresh: str | None) -> dict[str, Any]:
        said = self._said(person, login)
        access = said | {
            "aud": self._audience,
            "client_id": login.client,
            "scope": login.scope,
            "jti": self._word(),  # names this token in logs; RFC 9068 wants it
        }
        answer: dict[str, Any] = {
            "access_token": await self._keys.sign(access, "at+jwt"),
            "token_type": "Bearer",
            "expires_in": ACCESS_LIFE,
            "scope": login.scope,
        }
        if "openid" in login.scope.split():
            answer["id_token"] = await self._keys.sign(said | {"aud": login.client, "azp": login.client}, "JWT")
        return answer | ({"refresh_token": refresh} if refresh is not None else {})

    def _said(self, person: Person, login: Login) -> dict[str, Any]:
        """The claims of both tokens. Groups are as configured now, not as they were at the login."""
        now = int(self._clock())
        said = {
            "iss": self._url,
            "sub": person.name,
            "preferred_username": person.name,
            "groups": list(person.groups),
            "iat": now,
            "exp": now + ACCESS_LIFE,
            "auth_time": int(login.signed_in_at),
        }
        return said | ({"email": person.email, "email_verified": True} if person.email is not None else {})

    def _word(self) -> str:
        return base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()


_LOGIN = "user, client, scope, signed_in_at, family_ends_at, family"


def _keep(connection: sqlite3.Connection, digest: str, login: Login, now: float) -> None:
    connection.execute("DELETE FROM identity_refresh WHERE family_ends_at <= ?", (now,))
    facts = (login.user, login.client, login.scope, login.signed_in_at, login.ends_at, login.family)
    connection.execute(
        f"INSERT INTO identity_refresh ({_LOGIN}, hash, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*facts, digest, min(now + IDLE_LIFE, login.ends_at)),
    )


def _rotate(connection: sqlite3.Connection, digest: str, fresh: str, client: str, now: float) -> Login | None:
    """Spend a token that holds for a fresh one. A spent one was stolen, or its thief was first: the login ends."""
    query = f"SELECT {_LOGIN}, spent, expires_at FROM identity_refresh WHERE hash = ?"
    found = connection.execute(query, (digest,)).fetchone()
    if found is None:
        return None
    *facts, spent, expires_at = found
    login = Login(*facts)
    if spent or login.client != client:
        connection.execute("DELETE FROM identity_refresh WHERE family = ?", (login.family,))
        return None
    if now >= expires_at:
        return None
    connection.execute("UPDATE identity_refresh SET spent = 1 WHERE hash = ?", (digest,))
    _keep(connection, fresh, login, now)
    return login


def _end(connection: sqlite3.Connection, digest: str, client: str) -> None:
    login = "SELECT family FROM identity_refresh WHERE hash = ? AND client = ?"
    connection.execute(f"DELETE FROM identity_refresh WHERE family IN ({login})", (digest, client))


def _hash(refresh: str) -> str:
    return sha256(refresh.encode()).hexdigest()
