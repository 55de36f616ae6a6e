"""Prove possession of a key with every call (DPoP, RFC 9449), so that a token that was copied is worth nothing."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from hoopx_broker.api import compact
from hoopx_broker.terms.secret import Secret

PROOF_TYPE = "dpop+jwt"
_SIZE = 32  # bytes of a P-256 number
# Members that make a key's thumbprint, in the order that RFC 7638 section 3.3 wants; nothing else may stand there.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class ProofKey:
    """A P-256 key that a program makes for itself. It signs proofs (ES256) and never leaves its machine."""

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        self._jwk = {"kty": "EC", "crv": "P-256", "x": _number(numbers.x), "y": _number(numbers.y)}

    @classmethod
    def create(cls) -> ProofKey:
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def load(cls, kept: Secret) -> ProofKey:
        """The key that `keep` gave out. Raises `ValueError`."""
        return cls(derive_private_key(int(kept.reveal(), 16), SECP256R1()))

    def keep(self) -> Secret:
        """The private half as 64 hexadecimal digits, short enough for every keyring."""
        return Secret(f"{self._private.private_numbers().private_value:064x}")

    @property
    def thumbprint(self) -> str:
        return thumbprint(self._jwk)

    def prove(self, method: str, url: str, now: float, token: Secret | None = None, nonce: str | None = None) -> str:
        """A proof for one request (RFC 9449 section 4.2); with the `token` that goes with it, where there is one."""
        claims: dict[str, Any] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": target_of(url)}
        claims["iat"] = int(now)
        if token is not None:
            claims["ath"] = token_hash(token)
        if nonce is not None:
            claims["nonce"] = nonce
        return self.sign({"typ": PROOF_TYPE, "alg": "ES256", "jwk": self._jwk}, claims)

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """A compact JWS (RFC 7515) by ES256."""
        signing = f"{compact.segment(header)}.{compact.segment(claims)}"
        return f"{signing}.{compact.encode(es256(self._private, signing.encode()))}"

    def __repr__(self) -> str:
        return f"<proof key {self.thumbprint[:8]}>"


def thumbprint(jwk: dict[str, Any]) -> str:
    """The name of a public key by its content (RFC 7638), SHA-256 in base64url. Raises `KeyError` for no such key."""
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    return compact.encode(sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def token_hash(token: Secret) -> str:
    """What a proof says of the token that it goes with (`ath`)."""
    return compact.encode(sha256(token.reveal().encode()).digest())


def target_of(url: str) -> str:
    """What a proof says of the address it is for (`htu`): without query and fragment, and https for `wss`."""
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme.replace("wss", "https"), host, path, "", ""))


def es256(private: EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A signature as JWS writes it (RFC 7518 section 3.4): both numbers, one after the other."""
    r, s = decode_dss_signature(private.sign(data, ECDSA(hashes.SHA256())))
    return r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")


def _number(value: int) -> str:
    return compact.encode(value.to_bytes(_SIZE, "big"))
