"""The issuer's own keys: one that signs, one that is already published to sign next, and those not yet forgotten."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm
from msgspec import Struct

from hoopx_broker.identity.keys import Key, KeySet, read_keys
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store

ALGORITHM = "ES256"
TURN_AFTER = 30 * 86_400.0  # seconds; a stolen key is of use no longer than the next month
# Seconds that a retired key stays published: longer than any token that it signed.
KEEP_RETIRED = 3_600.0

TOPIC = "identity.keys"  # told when there are others: what one broker signs with, all must know


class SigningKey(Struct, frozen=True):
    """A key pair as stored; `since` is when it came into its state (current, next or retired)."""

    kid: str
    private: EllipticCurvePrivateKey
    state: str
    since: float

    def __repr__(self) -> str:
        return f"<signing key {self.kid}>"


class SigningKeys:
    """A `KeySource` for the gate and the signer for the issuer. Made by `load`."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._public = KeySet(())

    @classmethod
    async def load(cls, store: Store, clock: Callable[[], float]) -> SigningKeys:
        keys = cls(store, clock)
        await keys._turn()
        store.follow(TOPIC, keys._turn)
        return keys

    async def sign(self, claims: dict[str, Any], kind: str) -> str:
        """A compact JWS of type `kind` by the current key."""
        if self._clock() - self._current.since >= TURN_AFTER:
            await self._turn()
        key = self._current
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.kid, "typ": kind})

    async def find(self, kid: str | None, alg: str) -> Key | None:
        return self._public.pick(kid, alg)

    def published(self) -> bytes:
        """The JWKS document: public halves only."""
        return msgspec.json.encode({"keys": [_public_jwk(key) for key in self._keys]})

    @property
    def _current(self) -> SigningKey:
        return next(key for key in self._keys if key.state == "current")

    async def _turn(self) -> None:
        """Make keys where there are none, turn them when their time has come, and forget the long retired."""
        now = self._clock()
        self._keys = await self._store.run(lambda connection: _turned(connection, now))
        self._public = read_keys(self.published())


def _turned(connection: Connection, now: float) -> tuple[SigningKey, ...]:
    connection.execute("DELETE FROM identity_keys WHERE state = 'retired' AND since < ?", (now - KEEP_RETIRED,))
    due = "SELECT 1 FROM identity_keys WHERE state = 'current' AND since <= ?"
    if connection.execute(due, (now - TURN_AFTER,)).fetchone() is not None:
        connection.execute("UPDATE identity_keys SET state = 'retired', since = ? WHERE state = 'current'", (now,))
        connection.execute("UPDATE identity_keys SET state = 'current', since = ? WHERE state = 'next'", (now,))
        connection.tell(TOPIC)
    for state in ("current", "next"):
        if connection.execute("SELECT 1 FROM identity_keys WHERE state = ?", (state,)).fetchone() is None:
            _add(connection, state, now)
            connection.tell(TOPIC)
    rows = connection.execute("SELECT kid, pem, state, since FROM identity_keys ORDER BY since, state").fetchall()
    return tuple(SigningKey(kid, _load(pem), state, since) for kid, pem, state, since in rows)


def _add(connection: Connection, state: str, now: float) -> None:
    private = generate_private_key(SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kid = sha256(public).hexdigest()[:16]
    connection.execute("INSERT INTO identity_keys (kid, pem, state, since) VALUES (?, ?, ?, ?)", (kid, pem, state, now))


def _load(pem: str) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError("the state holds a signing key of another type")
    return key


def _public_jwk(key: SigningKey) -> dict[str, Any]:
    numbers = ECAlgorithm.to_jwk(key.private.public_key(), as_dict=True)
    return {name: numbers[name] for name in ("kty", "crv", "x", "y")} | {"kid": key.kid, "use": "sig", "alg": ALGORITHM}
