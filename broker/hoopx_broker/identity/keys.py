"""Read a provider's public keys, and leave out those that must not prove anything."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput

# Asymmetric only: with a symmetric algorithm whoever may check could also sign.
ALGORITHMS: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
# How PyJWT is told to read a key of this sort: by any of its algorithms. Which one it then checks is decided per token.
_READ_AS = {sort: alg for alg, sort in reversed(ALGORITHMS.items())}

MIN_RSA_BITS = 2048  # NIST SP 800-131A: shorter keys are not to be trusted after 2013
MAX_RSA_BITS = 8192  # a check costs with the square of the size; nobody publishes longer ones
MAX_KEYS = 100  # the largest public providers publish about ten

SIGNATURES = frozenset({"sig"})  # what a key must be published for, where that is said

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class Key(Struct, frozen=True):
    """One public key: `curve` is None for RSA, `alg` is set where the provider ties the key to one algorithm."""

    kid: str | None
    kty: str
    curve: str | None
    alg: str | None
    public: PublicKey

    def fits(self, alg: str) -> bool:
        return ALGORITHMS.get(alg) == (self.kty, self.curve) and self.alg in (None, alg)


class KeySet(Struct, frozen=True):
    """The usable keys of one provider."""

    keys: tuple[Key, ...]

    def pick(self, kid: str | None, alg: str) -> Key | None:
        """The one key that a token with this header names. In doubt none: two that fit are as good as none."""
        fitting = [key for key in self.keys if key.fits(alg) and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 else None


class KeySource(Protocol):
    """Where an issuer's keys come from: its JWKS on the net, a file, or the issuer inside the broker."""

    async def find(self, kid: str | None, alg: str) -> Key | None:
        """The key a token names, or None. Raises `Unreachable` where the keys cannot be had."""


class PinnedKeys(Struct, frozen=True):
    """Keys from a file: no call goes out, whatever a token names."""

    keys: KeySet

    async def find(self, kid: str | None, alg: str) -> Key | None:
        return self.keys.pick(kid, alg)


def read_keys(data: bytes, uses: frozenset[str] = SIGNATURES) -> KeySet:
    """The usable keys of a JWKS document (RFC 7517). Raises `BadInput` when there is none.

    Keys that are no business of ours (encryption, symmetric, unknown curves) are passed over, so are keys that prove
    nothing: short ones, ones published with their private half, and several of one type under the same `kid`.
    """
    keys = [key for entry in _entries(data) if (key := read_key(entry, uses)) is not None]
    names = Counter((key.kid, key.kty, key.curve, key.alg) for key in keys)
    usable = tuple(key for key in keys if names[key.kid, key.kty, key.curve, key.alg] == 1)
    if not usable:
        raise BadInput("the key set holds no usable key", "it needs an RSA (2048 bits or more), EC or Ed25519 key")
    return KeySet(usable)


def _entries(data: bytes) -> list[dict[str, Any]]:
    try:
        entries = msgspec.json.decode(data, type=dict[str, Any])["keys"]
        return msgspec.convert(entries, list[dict[str, Any]])[:MAX_KEYS]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError):
        raise BadInput("the key set is not a JWKS document", 'it must look like {"keys": [{"kty": …}]}') from None


def read_key(entry: dict[str, Any], uses: frozenset[str] = SIGNATURES) -> Key | None:
    """One public key as JWK (RFC 7517); None for what must not prove anything."""
    kty, alg, kid = entry.get("kty"), entry.get("alg"), entry.get("kid")
    curve = None if kty == "RSA" else entry.get("crv")
    tied = alg is None or (isinstance(alg, str) and ALGORITHMS.get(alg) == (kty, curve))
    if not isinstance(kty, str) or not isinstance(curve, str | None) or not isinstance(kid, str | None) or not tied:
        return None
    if (read_as := _READ_AS.get((kty, curve))) is None or not _is_for_signatures(entry, uses):
        return None
    try:
        public = PyJWK(entry, algorithm=read_as).key
    except (InvalidKeyError, PyJWKError, ValueError, TypeError, KeyError):
        return None
    return Key(kid, kty, curve, alg, public) if _is_strong(public) else None


def _is_for_signatures(entry: dict[str, Any], uses: frozenset[str]) -> bool:
    use, operations = entry.get("use", "sig"), entry.get("key_ops", ["verify"])
    # `d` is the private half: whoever read the document can sign with it.
    return (
        isinstance(use, str)
        and use in uses
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in entry
    )


def _is_strong(public: object) -> bool:
    match public:
        case RSAPublicKey():
            return MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS
        case EllipticCurvePublicKey() | Ed25519PublicKey():
            return True
        case _:
            return False
