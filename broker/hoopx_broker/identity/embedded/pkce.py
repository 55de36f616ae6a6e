"""Proof Key for Code Exchange (RFC 7636), by S256 alone: who asked for a code is who brings it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from hoopx_broker.api import compact
from hoopx_broker.identity.embedded.refusals import OAuthError

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url; RFC 7636 section 4.2


def challenge_of(form: Mapping[str, str]) -> str | None:
    """The challenge of a request, if it has one. Raises `OAuthError` for one that is not of S256."""
    challenge = form.get("code_challenge")
    if challenge is None and "code_challenge_method" not in form:
        return None
    if form.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge or ""):
        raise OAuthError("invalid_request", "the code challenge must be one of S256")
    return challenge


def check_verifier(challenge: str | None, verifier: str | None) -> None:
    """Where there was a challenge its verifier must come, and no verifier where there was none."""
    if challenge is None and verifier is None:
        return
    made = compact.challenge(verifier or "")
    if challenge is None or verifier is None or not hmac.compare_digest(made, challenge):
        raise OAuthError("invalid_grant", "the code verifier is not the one of this login")
