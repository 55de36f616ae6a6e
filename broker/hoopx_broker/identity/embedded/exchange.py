"""Token exchange (RFC 8693): a person's token becomes one by which an agent acts for that person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from hoopx_broker.identity.embedded.clients import Client
from hoopx_broker.identity.embedded.forms import field
from hoopx_broker.identity.embedded.possession import Possession
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.tokens import Tokens
from hoopx_broker.identity.identity import Login
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN = f"{_TYPE}access_token"
# What `hoopx login` brings to the broker is an access token, or an ID token where the provider's are opaque.
SUBJECT_TYPES = frozenset({ACCESS_TOKEN, f"{_TYPE}jwt", f"{_TYPE}id_token"})


class Subject(Struct, frozen=True):
    """Whose token it is, by which login, and when it ends (seconds since the Unix epoch)."""

    who: Principal
    ends_at: float
    login: Login


# Checks a token as the broker's gate does, and that it is bound to the key of a thumbprint. Raises `Unauthenticated`.
Identify = Callable[[Secret, str], Awaitable[Subject]]


async def nobody(token: Secret, key: str) -> Subject:
    """For an issuer without a gate: no token is anybody's."""
    raise Unauthenticated("there is nobody here to check a token")


class Exchange:
    """`ours` are the names by which a request may say that the new token is for this broker."""

    def __init__(self, identify: Identify, tokens: Tokens, ours: frozenset[str]) -> None:
        self._identify = identify
        self._tokens = tokens
        self._ours = ours

    async def answer(self, form: Mapping[str, str], client: Client, possession: Possession) -> dict[str, Any]:
        """The answer of RFC 8693 section 2.2.1. Raises `OAuthError`."""
        if client.agent is None:
            raise OAuthError("unauthorized_client", "the client of an exchange is the agent that will act")
        self._check_request(form)
        key = _key(possession)
        subject = await self._human(Secret(field(form, "subject_token")), key)
        if subject.ends_at - self._tokens.now() < 1:
            raise OAuthError("invalid_request", "the subject token is about to end")
        who = subject.who
        possession.spend(f"{who.issuer} {who.user}")
        answer = await self._tokens.of_agent_for(client.id, who, subject.ends_at, key, subject.login)
        return answer | {"issued_token_type": ACCESS_TOKEN}

    def _check_request(self, form: Mapping[str, str]) -> None:
        if field(form, "subject_token_type") not in SUBJECT_TYPES:
            raise OAuthError("invalid_request", "this type of subject token is not taken")
        if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise OAuthError("invalid_request", "only access tokens are given")
        if "actor_token" in form or "actor_token_type" in form:
            raise OAuthError("invalid_request", "the actor is the client itself: send no actor token")
        for name in ("audience", "resource"):
            if name in form and form[name] not in self._ours:
                raise OAuthError("invalid_target", "tokens are given for this broker only")

    async def _human(self, token: Secret, key: str) -> Subject:
        try:
            subject = await self._identify(token, key)
        except Unauthenticated:
            raise OAuthError("invalid_request", "the subject token is not accepted") from None
        # A job has nobody who could answer for it, and an agent must not lend on what was lent to it.
        if subject.who.kind != "human" or subject.who.on_behalf_of is not None:
            raise OAuthError("invalid_request", "only the token of a person can be exchanged")
        return subject


def _key(possession: Possession) -> str:
    """The key of the new token: that of the old one, so that a token without its key cannot be made into one with."""
    if possession.key is None:
        raise OAuthError("invalid_dpop_proof", "an exchange needs a proof of possession: the new token is bound to it")
    return possession.key
