"""The private key by which a program proves who it is to an issuer (`private_key_jwt`, RFC 7523): PEM or JWK."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hoopx_broker.api import compact
from hoopx_broker.api.proof import es256
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.settings import open_file

MAX_FILE = 65_536  # bytes; an RSA key of 16,384 bits in PEM takes 13,000
ASSERTION_SECONDS = 60  # it is spent at once; clocks may differ

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class ClientKey:
    """Signs assertions. `kid` is the name that a JWK gives the key, None where it has none."""

    def __init__(self, private: Private, kid: str | None = None) -> None:
        self._private = private
        self._kid = kid

    def assertion(self, client_id: str, audience: str, now: float) -> str:
        """A statement of the client about itself, for one issuer, once, and for a minute."""
        header = {"typ": "JWT", "alg": self._algorithm} | ({"kid": self._kid} if self._kid is not None else {})
        claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(16)}
        times = {"iat": int(now), "exp": int(now) + ASSERTION_SECONDS}
        signing = f"{compact.segment(header)}.{compact.segment(claims | times)}"
        return f"{signing}.{compact.encode(self._sign(signing.encode()))}"

    @property
    def _algorithm(self) -> str:
        match self._private:
            case ec.EllipticCurvePrivateKey():
                return "ES256"
            case ed25519.Ed25519PrivateKey():
                return "EdDSA"
            case _:
                return "RS256"

    def _sign(self, data: bytes) -> bytes:
        match self._private:
            case ec.EllipticCurvePrivateKey():
                return es256(self._private, data)
            case ed25519.Ed25519PrivateKey():
                return self._private.sign(data)
            case _:
                return self._private.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def __repr__(self) -> str:
        return "<client key>"


def read_client_key(path: Path) -> ClientKey:
    """Raises `BadInput` for a file that others can read, or that holds no key of a kind that issuers take."""
    data = _guarded(path)
    try:
        key = _of_jwk(data) if data.lstrip().startswith(b"{") else ClientKey(_fitting(load_pem_private_key(data, None)))
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise BadInput(
            f"`{path}` holds no private key that can be used",
            "give one key without a password, as PEM or JWK: EC P-256, Ed25519, or RSA of at least 2048 bits",
        ) from None
    return key


def _guarded(path: Path) -> bytes:
    """As ssh has it: a key of one's own that others can read is no secret and not used."""
    try:
        with open_file(path) as file:
            found = os.fstat(file.fileno())
            if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
                raise BadInput(
                    f"others can read the private key `{path}`", f"run `chmod 600 {path}`, or make a new key"
                )
            return file.read(MAX_FILE)
    except OSError as error:
        raise BadInput(f"`{path}` cannot be read: {error.strerror}", "set HOOPX_CLIENT_KEY to a key file") from None


def _of_jwk(data: bytes) -> ClientKey:
    """One JWK, or a set that holds one private key."""
    jwk = msgspec.json.decode(data, type=dict[str, Any])
    if "keys" in jwk:
        [jwk] = [key for key in jwk["keys"] if "d" in key]
    kid = jwk.get("kid")
    return ClientKey(_fitting(_private(jwk)), kid if isinstance(kid, str) and kid else None)


def _private(jwk: dict[str, Any]) -> object:
    match jwk["kty"], jwk.get("crv"):
        case "EC", "P-256":
            return ec.derive_private_key(_number(jwk["d"]), ec.SECP256R1())
        case "OKP", "Ed25519":
            return ed25519.Ed25519PrivateKey.from_private_bytes(compact.decode(jwk["d"]))
        case "RSA", _:
            return _rsa(*(_number(jwk[name]) for name in ("n", "e", "d")))
        case _:
            raise ValueError


def _rsa(n: int, e: int, d: int) -> rsa.RSAPrivateKey:
    """From what every JWK has; the rest of its members only spares computing."""
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    exponents = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *exponents, rsa.RSAPublicNumbers(e, n)).private_key()


def _fitting(key: object) -> Private:
    match key:
        case ed25519.Ed25519PrivateKey():
            return key
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1):
            return key
        case rsa.RSAPrivateKey() if key.key_size >= 2048:
            return key
        case _:
            raise ValueError


def _number(text: str) -> int:
    return int.from_bytes(compact.decode(text), "big")
