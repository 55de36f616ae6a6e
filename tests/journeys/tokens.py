"""An outside identity provider whose keys are pinned by file: it signs the tokens that jobs bring."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER = "https://ci.example.com"
AUDIENCE = "hoopx"
KEY_ID = "journeys"


class TokenMint:
    """Signs tokens with one key; `write_keys` publishes its public half as a JWKS file."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def write_keys(self, path: Path) -> Path:
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        key = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": KEY_ID, "alg": "EdDSA", "use": "sig"}
        path.write_text(json.dumps({"keys": [key]}))
        return path

    def token(self, user: str, groups: tuple[str, ...] = (), lifetime: float = 3600, **more: object) -> str:
        """A token for `user`; a negative `lifetime` makes one that has run out. `more` says other things, too."""
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "groups": list(groups),
            "iat": int(now + min(lifetime - 1, 0)),
            "exp": int(now + lifetime),
        }
        return self.sign(claims | more)

    def sign(self, claims: dict[str, Any], kind: str = "JWT") -> str:
        """A token of this type that says just this."""
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": KEY_ID, "typ": kind})
