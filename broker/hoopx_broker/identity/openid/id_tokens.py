"""Check an ID token that a provider gave for one trip (OpenID Connect Core, section 3.1.3.7)."""

from __future__ import annotations

import hmac
from typing import Any

from hoopx_broker.identity.claims import check_times, check_use
from hoopx_broker.identity.jws import NotAccepted, prove, read_token, shown
from hoopx_broker.identity.keys import KeySource
from hoopx_broker.terms.settings import OidcIssuer

# An access token of the same provider, or a logout token, is of another type.
_TYPES = frozenset({"jwt", "jose"})


async def read_id_token(raw: str, issuer: OidcIssuer, keys: KeySource, nonce: str | None, now: float) -> dict[str, Any]:
    """Its claims. `nonce` is None for one that came with a refresh. Raises `NotAccepted` and `Unreachable`."""
    token = read_token(raw, _TYPES)
    if token.claims.get("iss") != issuer.issuer:
        raise NotAccepted(f"its issuer is {shown(token.claims.get('iss'))}")
    key = await keys.find(token.kid, token.alg)
    if key is None:
        raise NotAccepted(f"its key {shown(token.kid)} is not one of `{issuer.issuer}`")
    prove(token, key)
    check_times(token.claims, now)
    check_use(token.claims)
    _check_audience(token.claims, issuer.client_id)
    _check_nonce(token.claims, nonce)
    return token.claims


def _check_audience(claims: dict[str, Any], client: str | None) -> None:
    """Made for us. Where it is for others too, the provider must say that we are the ones who asked."""
    audience = claims.get("aud")
    alone = audience == client or audience == [client]
    shared = isinstance(audience, list) and client in audience and claims.get("azp") == client
    if client is None or not (alone or shared) or claims.get("azp", client) != client:
        raise NotAccepted(f"its audience {shown(audience)} is not this client alone")


def _check_nonce(claims: dict[str, Any], nonce: str | None) -> None:
    said = claims.get("nonce")
    if nonce is None:
        return
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise NotAccepted("its nonce is not the one of this trip")
