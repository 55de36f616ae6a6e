"""A provider of OpenID Connect: the authorization code flow with PKCE, and its refresh tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.identity.claims import MAX_NAME, principal
from hoopx_broker.identity.discovery import FRESH, OnlineKeys
from hoopx_broker.identity.documents import fetcher
from hoopx_broker.identity.embedded.upstream.answers import Declined, Proved
from hoopx_broker.identity.embedded.upstream.calls import Answer, Calls, basic_credentials
from hoopx_broker.identity.embedded.upstream.description import Description, describe
from hoopx_broker.identity.embedded.upstream.id_tokens import read_id_token
from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.identity.jws import NotAccepted, shown
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcUpstream

MAX_CODE = 4096  # an authorization code; the longest known, of Entra ID, have about 1,500 characters
MAX_REFRESH = 16_384  # a refresh token that is a signed or encrypted JWT
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class _Given(Struct, frozen=True):
    """What the token endpoint gave."""

    id_token: str | None
    access: Secret | None
    refresh: Secret | None


class OidcProvider:
    """One upstream of kind `oidc`."""

    def __init__(self, settings: OidcUpstream, callback: str, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._issuer = settings.provider
        self._callback = callback
        self._clock = clock
        self._fetch = fetcher(settings.provider.ca)
        self._keys = OnlineKeys(settings.provider.issuer, self._fetch, clock)
        self._calls = Calls(settings.provider.ca)
        self._described: tuple[float, Description] | None = None

    async def way_out(self, trip: Trip) -> str:
        description = await self._description()
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._callback,
            "scope": " ".join(description.scopes(self._issuer.scopes)),
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": compact.challenge(trip.verifier),
            "code_challenge_method": "S256",
        }
        way = description.authorization_endpoint
        return f"{way}{'&' if '?' in way else '?'}{urlencode(asked)}"

    def is_answer(self, trip: Trip, answer: dict[str, str]) -> bool:
        return bool(answer.get("error")) or 0 < len(answer.get("code", "")) <= MAX_CODE

    async def prove(self, trip: Trip, answer: dict[str, str]) -> Proved:
        description = await self._description()
        _check_sender(description, answer)
        if "error" in answer:
            raise Declined(answer["error"] if _ERROR_CODE.fullmatch(answer["error"]) else "error")
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._callback,
            "code_verifier": trip.verifier,
        }
        given = _given(await self._ask_token(description, form))
        if given.id_token is None:
            raise NotAccepted("the provider gave no ID token")
        claims = await read_id_token(given.id_token, self._issuer, self._keys, trip.nonce, self._clock())
        return self._proved(await self._completed(claims, given, description), given.refresh)

    async def again(self, known: Proved) -> Proved | None:
        if known.refresh is None:
            return known
        description = await self._description()
        form = {"grant_type": "refresh_token", "refresh_token": known.refresh.reveal()}
        answer = await self._ask_token(description, form)
        if answer.text("error") == "invalid_grant":
            return None
        given = _given(answer)
        refresh = given.refresh or known.refresh
        if given.id_token is not None:
            claims = await read_id_token(given.id_token, self._issuer, self._keys, None, self._clock())
        elif description.userinfo_endpoint is not None and given.access is not None:
            claims = {"sub": known.who.subject}
        else:
            return Proved(known.who, known.email, refresh, known.ends_at)
        now = self._proved(await self._completed(claims, given, description), refresh)
        if (now.who.subject, now.who.user) != (known.who.subject, known.who.user):
            raise NotAccepted("a refresh token brought somebody else, or somebody of another name")
        return now

    @property
    def _client(self) -> str:
        return self._issuer.client_id or ""

    async def _description(self) -> Description:
        if self._described is None or self._clock() >= self._described[0] + FRESH:
            self._described = (self._clock(), await describe(self._issuer.issuer, self._fetch))
        return self._described[1]

    async def _ask_token(self, description: Description, form: dict[str, str]) -> Answer:
        """The token endpoint, as the client that we are there: with its secret, or none."""
        secret = self._settings.secret
        if secret is None:
            return await self._calls.post(description.token_endpoint, form | {"client_id": self._client}, None)
        if description.wants_secret_in_form:
            proof = {"client_id": self._client, "client_secret": secret.reveal()}
            return await self._calls.post(description.token_endpoint, form | proof, None)
        return await self._calls.post(description.token_endpoint, form, basic_credentials(self._client, secret))

    async def _completed(self, claims: dict[str, Any], given: _Given, description: Description) -> dict[str, Any]:
        """The claims, and of those that the ID token lacks what the userinfo endpoint says of the same person."""
        mapping = self._issuer.claims
        wanted = {mapping.user, mapping.groups, mapping.person} - {None}
        if wanted <= claims.keys() or description.userinfo_endpoint is None or given.access is None:
            return claims
        answer = await self._calls.get(description.userinfo_endpoint, given.access)
        if answer.status != 200:
            raise Unreachable(f"the userinfo endpoint of `{self._settings.name}` says {answer.status}", "look there")
        if not isinstance(answer.said.get("sub"), str) or answer.said["sub"] != claims.get("sub"):
            raise NotAccepted("its userinfo speaks of somebody else")
        return _merged(claims, answer.said)

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


def _check_sender(description: Description, answer: dict[str, str]) -> None:
    """RFC 9207: an answer says who sends it, so that a code of one provider is never taken to another."""
    said = answer.get("iss")
    if said is None and description.says_issuer:
        raise NotAccepted("the answer does not say its issuer, as this provider's answers do")
    if said is not None and said != description.issuer:
        raise NotAccepted(f"the answer is of another issuer: {shown(said)}")


def _given(answer: Answer) -> _Given:
    if answer.status != 200:
        error = answer.text("error") or ""
        # Of a code that does not hold the person hears; a wrong secret is for whoever runs the broker.
        if error == "invalid_grant":
            raise NotAccepted("the provider does not take its own code back (`invalid_grant`)")
        why = error if _ERROR_CODE.fullmatch(error) else f"status {answer.status}"
        raise Unreachable(f"the identity provider's token endpoint refuses this broker: {why}", "look at its client")
    access, refresh = answer.text("access_token"), answer.text("refresh_token")
    return _Given(
        answer.text("id_token"),
        Secret(access) if access else None,
        Secret(refresh) if refresh and len(refresh) <= MAX_REFRESH else None,
    )
