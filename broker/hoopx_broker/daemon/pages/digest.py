"""A word that stands for what was shown: an answer counts for the request as its giver read it, and for no other."""

from __future__ import annotations

import hmac
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView

MAX_DIGEST = 64


def digest_of(view: RequestView) -> str:
    """Of all that is agreed to, and of where it stands; what others said meanwhile is not in it."""
    seen = replace(view, ballots=(), reviews=(), expires_at=0.0, link="")
    return sha256(msgspec.json.encode(seen, order="deterministic")).hexdigest()


def is_of(view: RequestView, digest: str) -> bool:
    return hmac.compare_digest(digest_of(view).encode(), digest[:MAX_DIGEST].encode("utf-8", "surrogatepass"))
