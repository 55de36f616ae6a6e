"""A provider's signing desk, and a gate that believes it: the stage of the identity tests."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from hoopx_broker.identity.verify import Gate, trust
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import Claims, OidcIssuer

NOW = 1_800_000_000.0
URL = "https://login.example.com"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Private, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half, as a provider publishes it."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            entry = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            entry = ECAlgorithm.to_jwk(public, as_dict=True)
        case ed25519.Ed25519PublicKey():
            entry = OKPAlgorithm.to_jwk(public, as_dict=True)
    entry = {name: value for name, value in entry.items() if name != "key_ops"}
    return entry | ({"kid": kid} if kid is not None else {}) | more


def jwks(*entries: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"keys": entries})


KEYS = jwks(jwk(RSA_KEY, "r1"), jwk(EC_KEY, "e1"), jwk(ED_KEY, "o1"))


def claims(**changes: Any) -> dict[str, Any]:
    """What an honest token says; a change to None takes the claim away."""
    honest: dict[str, Any] = {
        "iss": URL,
        "aud": "hoopx",
        "sub": "u-1",
        "email": "ann@example.com",
        "groups": ["dba", "developers"],
        "iat": NOW - 10,
        "exp": NOW + 600,
    }
    return {name: value for name, value in (honest | changes).items() if value is not None}


def signed(
    said: Mapping[str, Any], key: Private | str = RSA_KEY, alg: str = "RS256", kid: str | None = "r1", **header: Any
) -> str:
    return jwt.encode(dict(said), key, alg, headers=({"kid": kid} if kid is not None else {}) | header)


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def pem(key: Private) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def human(**changes: Any) -> OidcIssuer:
    given: dict[str, Any] = {
        "issuer": URL,
        "audience": "hoopx",
        "kind": "human",
        "claims": Claims(user="email", groups="groups"),
        "client_id": "hoopx-cli",
        "jwks": KEYS,
    }
    return OidcIssuer(**(given | changes))


def workload(**changes: Any) -> OidcIssuer:
    given: dict[str, Any] = {"audience": "https://broker.example.com", "kind": "workload", "claims": Claims()}
    return human(**(given | {"client_id": None} | changes))


class Door:
    """A gate at a held time that remembers what it noted."""

    def __init__(self, *issuers: OidcIssuer, now: float = NOW) -> None:
        self.notes: list[str] = []
        self.gate = Gate(
            [trust(issuer, lambda: now) for issuer in issuers or (human(),)], lambda: now, self.notes.append
        )

    def who(self, token: str) -> Principal:
        return asyncio.run(self.gate.who(token))[0]
