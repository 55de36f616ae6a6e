"""A provider of SAML 2.0: requests by HTTP-Redirect, answers by HTTP-POST. Loaded only where one is configured."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from hoopx_broker.identity.claims import MAX_NAME, principal
from hoopx_broker.identity.embedded.upstream.answers import Proved
from hoopx_broker.identity.embedded.upstream.saml_assertions import TRANSIENT, Expected, Told, judge
from hoopx_broker.identity.embedded.upstream.saml_metadata import POST, own_metadata, read_metadata
from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.terms.settings import OidcIssuer, SamlUpstream

# An address is said to be somebody's where the organisation says it: under one of its usual names.
_EMAIL = ("email", "mail", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress")
MAX_SEEN = 10_000  # assertions remembered at once; each for the minutes that it holds
REMEMBERED = 86_400.0  # seconds at the longest: an assertion that holds longer answers no request that is still open


class SamlProvider:
    """One upstream of kind `saml`. `entity` is our name there, and the address of our own metadata."""

    def __init__(self, settings: SamlUpstream, entity: str, callback: str, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._entity = entity
        self._callback = callback
        self._clock = clock
        self._provider = read_metadata(settings.metadata)
        self._seen: dict[str, float] = {}

    def metadata(self) -> str:
        return own_metadata(self._entity, self._callback)

    async def way_out(self, trip: Trip) -> str:
        request = self._request(trip).encode()
        packed = zlib.compress(request, wbits=-zlib.MAX_WBITS)  # bindings, section 3.4.4.1: DEFLATE without a header
        asked = urlencode({"SAMLRequest": base64.b64encode(packed).decode(), "RelayState": trip.state})
        way = self._provider.sign_in
        return f"{way}{'&' if '?' in way else '?'}{asked}"

    def is_answer(self, trip: Trip, answer: dict[str, str]) -> bool:
        return bool(answer.get("SAMLResponse"))

    async def prove(self, trip: Trip, answer: dict[str, str]) -> Proved:
        expected = Expected(
            provider=self._provider.entity,
            certificates=self._provider.certificates,
            audience=self._entity,
            here=self._callback,
            request=trip.request,
            now=self._clock(),
        )
        told = await asyncio.to_thread(judge, answer["SAMLResponse"], expected)
        self._spend(told)
        return self._proved(told)

    async def again(self, known: Proved) -> Proved | None:
        """SAML has no way to ask: what was told at the login stands until the login ends."""
        return known

    def _request(self, trip: Trip) -> str:
        instant = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
            ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
            f' ID="{trip.request}" Version="2.0" IssueInstant="{instant}"'
            f" Destination={quoteattr(self._provider.sign_in)}"
            f' AssertionConsumerServiceURL={quoteattr(self._callback)} ProtocolBinding="{POST}">'
            f"<saml:Issuer>{escape(self._entity)}</saml:Issuer></samlp:AuthnRequest>"
        )

    def _spend(self, told: Told) -> None:
        """Each assertion serves once, although the request that it answers does too."""
        now = self._clock()
        self._seen = {id_: until for id_, until in self._seen.items() if until > now}
        if told.id in self._seen:
            raise NotAccepted("its assertion came before")
        if len(self._seen) >= MAX_SEEN:
            raise NotAccepted("more assertions came than can be remembered")
        self._seen[told.id] = min(told.holds_until, now + REMEMBERED)

    def _proved(self, told: Told) -> Proved:
        """By the mapping of claims, as everywhere; the claim `sub` is the NameID."""
        claims, mapped = self._settings.claims, {}
        for name in {claims.user, claims.groups, claims.person} - {None, "sub"}:
            if (values := told.attributes.get(str(name))) is not None:
                mapped[str(name)] = values[0] if name in (claims.user, claims.person) and len(values) == 1 else values
        if "sub" in (claims.user, claims.groups, claims.person) and told.format == TRANSIENT:
            raise NotAccepted("its NameID is a passing one, which names nobody")
        issuer = OidcIssuer(self._provider.entity, self._entity, "human", claims)
        who = principal({"sub": told.name, **mapped}, issuer)
        return Proved(who, _email(told.attributes), ends_at=told.session_ends_at)


def _email(attributes: dict[str, list[str]]) -> str | None:
    said = next((attributes[name][0] for name in _EMAIL if attributes.get(name)), "")
    return said if 0 < len(said) <= MAX_NAME and said.isprintable() else None
