"""Logins of people: their refresh tokens, each good for one use, and what ends a login before its time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event

IDLE_LIFE = 86_400.0  # seconds; who comes every day does not log in every day
LOGIN_LIFE = 7 * 86_400.0  # seconds; and everybody logs in once a week


# Hears which login ended before its time and why, so that its access tokens and sessions end with it.
OnEnd = Callable[[str, str], Awaitable[None]]


class Login(Struct, frozen=True):
    """One signing in of one person at one client; `family` is what all its tokens share.

    `key` is the thumbprint of the key that its refresh tokens are bound to, if they are.
    """

    user: str
    client: str
    scope: str
    signed_in_at: float
    ends_at: float
    family: str
    key: str | None = None


class Logins:
    """Refresh tokens, by their hashes."""

    def __init__(self, store: Store, clock: Callable[[], float], on_end: OnEnd) -> None:
        self._store = store
        self._clock = clock
        self._on_end = on_end

    async def begin(self, login: Login, refresh: str | None, event: Event) -> None:
        """Somebody signed in, as `event` tells; with a refresh token, or without."""
        now = self._clock()

        def work(connection: Connection) -> None:
            if refresh is not None:
                _keep(connection, _hash(refresh), login, now)
            events.note(connection, event)

        await self._store.run(work)

    async def check(self, refresh: str, key: str | None) -> Login:
        """Its login. Raises `OAuthError` for a token that is not known, or bound to another key; spends nothing."""
        login = await self._store.run(lambda connection: _find(connection, _hash(refresh)))
        if login is None:
            raise _over()
        _check_key(login, key)
        return login

    async def held(self, refresh: str, client: str) -> Login | None:
        """The login of a refresh token that may still be turned; spends nothing."""
        now = self._clock()
        return await self._store.run(lambda connection: _held(connection, _hash(refresh), client, now))

    async def turn(self, refresh: str, fresh: str, client: str, key: str | None) -> Login:
        """Spend a refresh token for a fresh one. One that was spent before ends the whole login.

        With another key than the login's, or none, a token does nothing at all: whoever copied it cannot end the
        login of its owner either. Raises `OAuthError`.
        """
        now = self._clock()
        login, is_good = await self._store.run(
            lambda connection: _turn(connection, _hash(refresh), _hash(fresh), client, key, now)
        )
        if login is None:
            raise _over()
        _check_key(login, key)
        if not is_good:
            await self._on_end(login.family, "a refresh token of it was used twice")
            raise _over()
        return login

    async def end(self, refresh: str, client: str) -> bool:
        """End the login of a refresh token; False where it is none of this client."""
        login = await self._store.run(lambda connection: _find(connection, _hash(refresh)))
        if login is None or login.client != client:
            return False
        await self.end_family(login.family, "logged out")
        return True

    async def end_family(self, family: str, why: str) -> None:
        await self._store.run(lambda connection: _forget(connection, family))
        await self._on_end(family, why)


def _over() -> OAuthError:
    return OAuthError("invalid_grant", "this login has ended")


def _check_key(login: Login, key: str | None) -> None:
    if login.key is not None and key != login.key:
        raise OAuthError("invalid_grant", "this login is bound to a key, and the request does not prove that key")


_LOGIN = '"user", client, scope, signed_in_at, family_ends_at, family, key'


def _find(connection: Connection, digest: str) -> Login | None:
    found = connection.execute(f"SELECT {_LOGIN} FROM identity_refresh WHERE hash = ?", (digest,)).fetchone()
    return Login(*found) if found is not None else None


def _held(connection: Connection, digest: str, client: str, now: float) -> Login | None:
    query = f"SELECT {_LOGIN} FROM identity_refresh WHERE hash = ? AND client = ? AND spent = 0 AND expires_at > ?"
    found = connection.execute(query, (digest, client, now)).fetchone()
    return Login(*found) if found is not None else None


def _keep(connection: Connection, digest: str, login: Login, now: float) -> None:
    connection.execute("DELETE FROM identity_refresh WHERE family_ends_at <= ?", (now,))
    facts = (login.user, login.client, login.scope, login.signed_in_at, login.ends_at, login.family, login.key)
    connection.execute(
        f"INSERT INTO identity_refresh ({_LOGIN}, hash, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*facts, digest, min(now + IDLE_LIFE, login.ends_at)),
    )


def _turn(
    connection: Connection, digest: str, fresh: str, client: str, key: str | None, now: float
) -> tuple[Login | None, bool]:
    """The login of a token, and whether it was turned.

    One that was spent before was stolen, or its thief was first: the login ends.
    """
    login = _find(connection, digest)
    if login is None or (login.key is not None and key != login.key):
        return login, False
    query = "SELECT spent, expires_at FROM identity_refresh WHERE hash = ?"
    spent, expires_at = connection.execute(query, (digest,)).fetchone()
    if spent or login.client != client:
        _forget(connection, login.family)
        return login, False
    if now >= expires_at:
        return None, False
    connection.execute("UPDATE identity_refresh SET spent = 1 WHERE hash = ?", (digest,))
    # A login that began without a key is bound to the first that renews it (RFC 9449 section 5).
    _keep(connection, fresh, replace(login, key=login.key or key), now)
    return login, True


def _forget(connection: Connection, family: str) -> None:
    connection.execute("DELETE FROM identity_refresh WHERE family = ?", (family,))


def _hash(refresh: str) -> str:
    return sha256(refresh.encode()).hexdigest()
