"""The broker's own pages as a client of the issuer beside them: out by a browser, back without a call."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from hoopx_broker.api import compact
from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.authorization import PAGES, pages_return
from hoopx_broker.identity.embedded.authorization_codes import UsedTwice
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.possession import Possession
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.openid.code_flow import Given, Leaving
from hoopx_broker.terms.secret import Secret

_SCOPES = "openid profile email groups"


class PagesClient:
    """A `Flow`. Its client has no other way in: the token endpoint does not know it."""

    def __init__(self, issuer: Embedded) -> None:
        self._issuer = issuer

    async def way_out(self, leaving: Leaving, more: Mapping[str, str] | None = None) -> str:
        asked = {
            "response_type": "code",
            "client_id": PAGES,
            "redirect_uri": pages_return(self._issuer.url),
            "scope": _SCOPES,
            "state": leaving.state,
            "nonce": leaving.nonce,
            "code_challenge": compact.challenge(leaving.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._issuer.url}/authorize?{urlencode(asked)}"

    async def redeem(self, answer: Mapping[str, str], leaving: Leaving) -> Given:
        if answer.get("iss") != self._issuer.url:
            raise NotAccepted("the answer is not of the issuer inside this broker")
        if "code" not in answer:
            raise Declined("access_denied")
        try:
            granted = self._issuer.grants.take(
                answer["code"], PAGES, pages_return(self._issuer.url), leaving.verifier, self._nothing()
            )
        except UsedTwice as again:
            await self._issuer.tokens.logins.end_family(again.family, "an authorization code of it was used twice")
            raise NotAccepted("its code was used before") from None
        except OAuthError as refusal:
            raise NotAccepted(f"its code does not hold: {refusal.description}") from None
        asked = granted.asked
        tokens = await self._issuer.tokens.first(
            granted.person, PAGES, asked.scope, granted.granted_at, None, granted.family, asked.nonce
        )
        return Given(tokens.get("id_token"), Secret(tokens["access_token"]), None)

    def _nothing(self) -> Possession:
        return Possession(None, self._issuer.proofs)
