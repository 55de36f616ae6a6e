"""One client of ours at one provider: the authorization code flow with PKCE, and the calls that go with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.discovery import FRESH
from hoopx_broker.identity.documents import fetcher
from hoopx_broker.identity.jws import NotAccepted, shown
from hoopx_broker.identity.openid.calls import Answer, Calls, basic_credentials
from hoopx_broker.identity.openid.description import Description, describe
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer

MAX_CODE = 4096  # an authorization code; the longest known, of Entra ID, have about 1,500 characters
MAX_REFRESH = 16_384  # a refresh token that is a signed or encrypted JWT
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class Given(Struct, frozen=True):
    """What the token endpoint gave."""

    id_token: str | None
    access: Secret | None
    refresh: Secret | None


class Leaving(Struct, frozen=True):
    """What goes out with a browser and comes back: by `state` the answer, by `nonce` the ID token is known again.

    The `verifier` stays here until the code is redeemed.
    """

    state: str
    nonce: str
    verifier: str

    def __repr__(self) -> str:
        return "<leaving>"


class CodeFlow:
    """`issuer.client_id` is who we are there, with `secret` or as a public client; `callback` where people come back.

    Raises `Unreachable` everywhere where the provider does not answer, or not as one.
    """

    def __init__(self, issuer: OidcIssuer, secret: Secret | None, callback: str, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._secret = secret
        self._callback = callback
        self._clock = clock
        self.fetch = fetcher(issuer.ca)
        self._calls = Calls(issuer.ca)
        self._described: tuple[float, Description] | None = None

    async def way_out(self, leaving: Leaving, more: Mapping[str, str] | None = None) -> str:
        """Where the browser goes."""
        description = await self.description()
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._callback,
            "scope": " ".join(description.scopes(self._issuer.scopes)),
            **(more or {}),
            "state": leaving.state,
            "nonce": leaving.nonce,
            "code_challenge": compact.challenge(leaving.verifier),
            "code_challenge_method": "S256",
        }
        way = description.authorization_endpoint
        return f"{way}{'&' if '?' in way else '?'}{urlencode(asked)}"

    async def redeem(self, answer: Mapping[str, str], leaving: Leaving) -> Given:
        """What the code of an answer is good for. Raises `Declined` and `NotAccepted` as well."""
        description = await self.description()
        _check_sender(description, answer)
        if "error" in answer:
            raise Declined(answer["error"] if _ERROR_CODE.fullmatch(answer["error"]) else "error")
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._callback,
            "code_verifier": leaving.verifier,
        }
        return given(await self._ask_token(description, form))

    async def renew(self, refresh: Secret) -> Answer:
        """What the provider says to a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}
        return await self._ask_token(await self.description(), form)

    async def userinfo(self, access: Secret | None, subject: object) -> dict[str, Any] | None:
        """What it says of a subject beside the ID token, None where it has no such place. Raises `NotAccepted`."""
        where = (await self.description()).userinfo_endpoint
        if where is None or access is None:
            return None
        answer = await self._calls.get(where, access)
        if answer.status != 200:
            raise Unreachable(
                f"the userinfo endpoint of `{self._issuer.issuer}` says {answer.status}", "look at the provider"
            )
        if not isinstance(answer.said.get("sub"), str) or answer.said["sub"] != subject:
            raise NotAccepted("its userinfo speaks of somebody else")
        return answer.said

    async def description(self) -> Description:
        """What the provider says of itself, no older than keys are believed."""
        if self._described is None or self._clock() >= self._described[0] + FRESH:
            self._described = (self._clock(), await describe(self._issuer.issuer, self.fetch))
        return self._described[1]

    @property
    def _client(self) -> str:
        return self._issuer.client_id or ""

    async def _ask_token(self, description: Description, form: dict[str, str]) -> Answer:
        """The token endpoint, as the client that we are there: with its secret, or none."""
        secret = self._secret
        if secret is None:
            return await self._calls.post(description.token_endpoint, form | {"client_id": self._client}, None)
        if description.wants_secret_in_form:
            proof = {"client_id": self._client, "client_secret": secret.reveal()}
            return await self._calls.post(description.token_endpoint, form | proof, None)
        return await self._calls.post(description.token_endpoint, form, basic_credentials(self._client, secret))


def is_answer(answer: Mapping[str, str]) -> bool:
    """Does this look like a provider's answer? Nothing is proved by that."""
    return bool(answer.get("error")) or 0 < len(answer.get("code", "")) <= MAX_CODE


def given(answer: Answer) -> Given:
    """What a token endpoint's answer brings. Raises `NotAccepted` and `Unreachable`."""
    if answer.status != 200:
        error = answer.text("error") or ""
        # Of a code that does not hold the person hears; a wrong secret is for whoever runs the broker.
        if error == "invalid_grant":
            raise NotAccepted("the provider does not take its own code back (`invalid_grant`)")
        why = error if _ERROR_CODE.fullmatch(error) else f"status {answer.status}"
        raise Unreachable(f"the identity provider's token endpoint refuses this broker: {why}", "look at its client")
    access, refresh = answer.text("access_token"), answer.text("refresh_token")
    return Given(
        answer.text("id_token"),
        Secret(access) if access else None,
        Secret(refresh) if refresh and len(refresh) <= MAX_REFRESH else None,
    )


def _check_sender(description: Description, answer: Mapping[str, str]) -> None:
    """RFC 9207: an answer says who sends it, so that a code of one provider is never taken to another."""
    said = answer.get("iss")
    if said is None and description.says_issuer:
        raise NotAccepted("the answer does not say its issuer, as this provider's answers do")
    if said is not None and said != description.issuer:
        raise NotAccepted(f"the answer is of another issuer: {shown(said)}")
