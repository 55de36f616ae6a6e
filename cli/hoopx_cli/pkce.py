"""Proof that whoever spends a code is who asked for it (PKCE, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib

from hoopx_broker.terms.secret import Secret


def challenge_of(verifier: Secret) -> str:
    """What is said of the verifier when the code is asked for; the method is S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.reveal().encode()).digest()).rstrip(b"=").decode()
