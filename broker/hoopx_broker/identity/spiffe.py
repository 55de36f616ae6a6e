"""Workloads of a SPIFFE trust domain: their JWT-SVIDs name it in `sub`, and who issued them is no matter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hoopx_broker.identity.jws import NotAccepted, Token, read_jws, shown
from hoopx_broker.identity.keys import SIGNATURES

SCHEME = "spiffe://"
# A bundle holds keys for certificates, too; those say `x509-svid`. SPIRE's own JWKS says `sig`, or nothing.
SVID_KEYS = SIGNATURES | {"jwt-svid"}
# JWT-SVID section 2.1: those of RFC 7518, so no EdDSA.
_ALGORITHMS = frozenset({f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)})
_TYPES = frozenset({"jwt", "jose"})
# SPIFFE-ID sections 2.1 and 2.2: no empty and no relative part, no percent, no query.
_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)+")


def is_trust_domain(issuer: str) -> bool:
    return issuer.startswith(SCHEME)


def uses_of(issuer: str) -> frozenset[str]:
    """What a key of this issuer may be published for."""
    return SVID_KEYS if is_trust_domain(issuer) else SIGNATURES


def speaks_of(claims: Mapping[str, Any], trust_domain: str) -> bool:
    """Is this a token about a workload of the trust domain?"""
    subject = claims.get("sub")
    return isinstance(subject, str) and subject.startswith(trust_domain + "/")


def check_svid(token: Token) -> None:
    """What a JWT-SVID must be beyond any other token. Raises `NotAccepted`."""
    if token.kid is None:
        raise NotAccepted("it names no key, as a JWT-SVID must")
    if token.alg not in _ALGORITHMS:
        raise NotAccepted(f"its algorithm {shown(token.alg)} is none of JWT-SVIDs")
    read_jws(token.raw, _TYPES)
    if not _ID.fullmatch(str(token.claims.get("sub"))):
        raise NotAccepted(f"its `sub` {shown(token.claims.get('sub'))} is not a SPIFFE ID of a workload")
