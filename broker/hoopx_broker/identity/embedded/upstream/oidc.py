"""A provider of OpenID Connect: the authorization code flow with PKCE, and its refresh tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hoopx_broker.identity.claims import MAX_NAME, principal
from hoopx_broker.identity.discovery import OnlineKeys
from hoopx_broker.identity.embedded.upstream.answers import Proved
from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.openid.code_flow import CodeFlow, Given, Leaving, given, is_answer
from hoopx_broker.identity.openid.id_tokens import read_id_token
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcUpstream


class OidcProvider:
    """One upstream of kind `oidc`."""

    def __init__(self, settings: OidcUpstream, callback: str, clock: Callable[[], float]) -> None:
        self._issuer = settings.provider
        self._clock = clock
        self._flow = CodeFlow(settings.provider, settings.secret, callback, clock)
        self._keys = OnlineKeys(settings.provider.issuer, self._flow.fetch, clock)

    async def way_out(self, trip: Trip) -> str:
        return await self._flow.way_out(_leaving(trip))

    def is_answer(self, trip: Trip, answer: dict[str, str]) -> bool:
        return is_answer(answer)

    async def prove(self, trip: Trip, answer: dict[str, str]) -> Proved:
        gave = await self._flow.redeem(answer, _leaving(trip))
        if gave.id_token is None:
            raise NotAccepted("the provider gave no ID token")
        claims = await read_id_token(gave.id_token, self._issuer, self._keys, trip.nonce, self._clock())
        return self._proved(await self._completed(claims, gave), gave.refresh)

    async def again(self, known: Proved) -> Proved | None:
        if known.refresh is None:
            return known
        answer = await self._flow.renew(known.refresh)
        if answer.text("error") == "invalid_grant":
            return None
        gave = given(answer)
        refresh = gave.refresh or known.refresh
        if gave.id_token is not None:
            claims = await read_id_token(gave.id_token, self._issuer, self._keys, None, self._clock())
        elif (await self._flow.description()).userinfo_endpoint is not None and gave.access is not None:
            claims = {"sub": known.who.subject}
        else:
            return Proved(known.who, known.email, refresh, known.ends_at)
        now = self._proved(await self._completed(claims, gave), refresh)
        if (now.who.subject, now.who.user) != (known.who.subject, known.who.user):
            raise NotAccepted("a refresh token brought somebody else, or somebody of another name")
        return now

    async def _completed(self, claims: dict[str, Any], gave: Given) -> dict[str, Any]:
        """The claims, and of those that the ID token lacks what the userinfo endpoint says of the same person."""
        mapping = self._issuer.claims
        wanted = {mapping.user, mapping.groups, mapping.person} - {None}
        if wanted <= claims.keys():
            return claims
        said = await self._flow.userinfo(gave.access, claims.get("sub"))
        return claims if said is None else _merged(claims, said)

    def _proved(self, claims: dict[str, Any], refresh: Secret | None) -> Proved:
        who = principal(claims, self._issuer)
        if not who.subject:
            raise NotAccepted("it has no `sub`")
        email = claims.get("email")
        is_sound = isinstance(email, str) and 0 < len(email) <= MAX_NAME and email.isprintable()
        is_verified = claims.get("email_verified") in (True, "true")
        return Proved(who, email if is_sound and is_verified else None, refresh)


def _merged(claims: dict[str, Any], userinfo: dict[str, Any]) -> dict[str, Any]:
    """What the ID token says counts first. Whether an address is verified is said beside it, never beside another."""
    merged = userinfo | claims
    merged.pop("email_verified", None)
    beside = claims if "email" in claims else userinfo
    return merged | ({"email_verified": beside["email_verified"]} if "email_verified" in beside else {})


def _leaving(trip: Trip) -> Leaving:
    return Leaving(trip.state, trip.nonce, trip.verifier)
