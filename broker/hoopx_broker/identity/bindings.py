"""Bind a token to the key that it first comes with, and know a login by its key from its first token on."""

from __future__ import annotations

from hashlib import sha256

from hoopx_broker.identity.identity import Login
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret

# Seconds that a login is known by its key; no provider renews one for longer without its person.
KEEP_LOGINS = 60 * 86_400.0
MAX_KNOWN = 10_000  # logins whose beginning is in memory: a few megabytes, and a read of the state for the others


class Bindings:
    """In the state, so that a restart does not make a copied token good again, or an ended login a new one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str], float] = {}

    async def key_of(self, token: Secret) -> str | None:
        """The thumbprint that the token is bound to, None where it is bound to none."""
        digest = _digest(token)
        return await self._store.run(lambda connection: _find(connection, digest))

    async def bind(self, token: Secret, thumbprint: str, expires_at: float, now: float) -> str:
        """Bind it, unless it is bound already; gives what it is bound to."""
        digest = _digest(token)
        return await self._store.run(lambda connection: _bind(connection, digest, thumbprint, expires_at, now))

    async def began(self, thumbprint: str, login: Login) -> float:
        """When the login of this key began: by its first token, since renewed ones may say nothing of it."""
        name = (thumbprint, login.issuer, login.subject)
        if name not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[name] = await self._store.run(lambda connection: _began(connection, name, login.began_at))
        return min(self._known[name], login.began_at)


def _began(connection: Connection, name: tuple[str, str, str], began_at: float) -> float:
    connection.execute("DELETE FROM identity_logins WHERE began_at < ?", (began_at - KEEP_LOGINS,))
    connection.execute(
        "INSERT INTO identity_logins (thumbprint, issuer, subject, began_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (thumbprint, issuer, subject) DO NOTHING",
        (*name, began_at),
    )
    query = "SELECT began_at FROM identity_logins WHERE thumbprint = ? AND issuer = ? AND subject = ?"
    return float(connection.execute(query, name).fetchone()[0])


def _find(connection: Connection, digest: str) -> str | None:
    row = connection.execute("SELECT thumbprint FROM identity_bindings WHERE token = ?", (digest,)).fetchone()
    return None if row is None else str(row[0])


def _bind(connection: Connection, digest: str, thumbprint: str, expires_at: float, now: float) -> str:
    connection.execute("DELETE FROM identity_bindings WHERE expires_at <= ?", (now,))
    connection.execute(
        "INSERT INTO identity_bindings (token, thumbprint, expires_at) VALUES (?, ?, ?) ON CONFLICT (token) DO NOTHING",
        (digest, thumbprint, expires_at),
    )
    return _find(connection, digest) or ""


def _digest(token: Secret) -> str:
    """Of what is signed, not of the signature: ECDSA has two for one token, which whoever copied it can work out."""
    signed, _, _ = token.reveal().rpartition(".")
    return sha256(signed.encode()).hexdigest()
