"""Bind a token to the key that it first comes with, where its provider knows no proofs of possession."""

from __future__ import annotations

import sqlite3
from hashlib import sha256

from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret


class Bindings:
    """In the state, so that a restart does not make a copied token good again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def key_of(self, token: Secret) -> str | None:
        """The thumbprint that the token is bound to, None where it is bound to none."""
        digest = _digest(token)
        return await self._store.run(lambda connection: _find(connection, digest))

    async def bind(self, token: Secret, thumbprint: str, expires_at: float, now: float) -> str:
        """Bind it, unless it is bound already; gives what it is bound to."""
        digest = _digest(token)
        return await self._store.run(lambda connection: _bind(connection, digest, thumbprint, expires_at, now))


def _find(connection: sqlite3.Connection, digest: str) -> str | None:
    row = connection.execute("SELECT thumbprint FROM identity_bindings WHERE token = ?", (digest,)).fetchone()
    return None if row is None else str(row[0])


def _bind(connection: sqlite3.Connection, digest: str, thumbprint: str, expires_at: float, now: float) -> str:
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
