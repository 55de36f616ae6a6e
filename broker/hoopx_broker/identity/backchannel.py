"""Read the logout tokens by which a provider says that a login is over (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from hoopx_broker.identity.claims import MAX_SKEW, check_times, issued_at
from hoopx_broker.identity.jws import NotAccepted, Token
from hoopx_broker.identity.standing import Kind, Revocation
from hoopx_broker.terms.settings import OidcIssuer

EVENT = "http://schemas.openid.net/event/backchannel-logout"
# The type that the specification recommends, and what providers send that were there before it.
TYPES = frozenset({"logout+jwt", "application/logout+jwt", "jwt"})
MAX_AGE = 300.0  # seconds; a provider tells at once, and tries again for a while
MAX_ID = 256


class Logout(Struct, frozen=True):
    """What a logout token says: which logins are over, its own id, and until when that is remembered."""

    revocations: tuple[Revocation, ...]
    jti: str
    expires_at: float


def is_meant_for(claims: dict[str, Any], issuer: OidcIssuer) -> bool:
    """Is it for a client by which people log in here, with `hoopx login` or at our pages?"""
    audience = claims.get("aud")
    clients = {issuer.client_id, issuer.page.client_id if issuer.page is not None else None} - {None}
    return any(audience in (client, [client]) for client in clients)


def read_logout(token: Token, now: float) -> Logout:
    """Of a token whose signature, issuer and audience hold (section 2.6). Raises `NotAccepted`."""
    claims = token.claims
    check_times({"exp": now + MAX_AGE, **claims}, now)
    at = issued_at(claims)
    if now - at > MAX_AGE + MAX_SKEW:
        raise NotAccepted("it is old, or does not say when it was made")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise NotAccepted("it does not tell of a logout")
    if "nonce" in claims:
        raise NotAccepted("it holds a nonce, which no logout token does")
    return Logout(tuple(_revocations(claims, at)), _text(claims, "jti"), now + MAX_AGE + 2 * MAX_SKEW)


def _revocations(claims: dict[str, Any], at: float) -> Iterator[Revocation]:
    """One login where it is named, else all of the subject that began until then.

    Access tokens of many providers do not say to which login they belong. Where one login of a subject is named, it may
    be any of those that are not.
    """
    issuer = _text(claims, "iss")
    named: list[tuple[Kind, str]] = []
    if "sid" in claims:
        named.append(("login", _text(claims, "sid")))
    if "sub" in claims or not named:
        named.append(("nameless" if named else "subject", _text(claims, "sub")))
    return (Revocation(kind, issuer, name, at, issuer, "logged out there") for kind, name in named)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise NotAccepted(f"its `{name}` is not there, or no short text")
    return value
