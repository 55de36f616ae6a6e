"""How tokens, proofs and challenges are written: base64url without padding (RFC 7515 section 2)."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import msgspec


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def segment(value: dict[str, Any]) -> str:
    """Header or claims of a compact JWS."""
    return encode(msgspec.json.encode(value))


def challenge(verifier: str) -> str:
    """What is said of a verifier when a code is asked for (PKCE, RFC 7636 section 4.2), by S256."""
    return encode(sha256(verifier.encode()).digest())
