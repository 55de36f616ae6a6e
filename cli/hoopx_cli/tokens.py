"""Ask a provider's token endpoint, with proofs of the key that tokens are to be bound to, and take what it gives."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from hoopx_broker.api.messages import SignIn
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.keyring import Login
from hoopx_cli.provider import Answer, Provider, call
from hoopx_cli.unverified import claims_of, seconds_of

Clock = Callable[[], float]


class TokenEndpoint:
    """One provider's token endpoint, asked with the key of one login.

    Proofs go only to providers that say that they take them (`Provider.takes_proofs`): to the others they would be a
    header that means nothing, and the broker binds the token to the key at its first use anyway.
    """

    def __init__(self, provider: Provider, key: ProofKey, tls: ssl.SSLContext, clock: Clock) -> None:
        self.key = key
        self._provider = provider
        self._tls = tls
        self._clock = clock
        self._nonce: str | None = None

    def ask(self, form: Callable[[], Mapping[str, str]], headers: Mapping[str, str] | None = None) -> Answer:
        """A provider that wants a nonce in the proof is asked once more, by a new form. Raises `Unreachable`."""
        answer = self._ask(form(), headers or {})
        if answer.error == "use_dpop_nonce" and answer.nonce is not None:
            answer = self._ask(form(), headers or {})
        return answer

    def _ask(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        url = self._provider.token_endpoint
        proof = {}
        if self._provider.takes_proofs:
            proof = {"DPoP": self.key.prove("POST", url, self._clock(), nonce=self._nonce)}
        answer = call("POST", url, form, self._tls, {**headers, **proof})
        if answer.nonce is not None:  # RFC 9449 section 8.2: each answer may bring the next one
            self._nonce = answer.nonce
        return answer


def login_of(ask: SignIn, answer: Answer, clock: Clock, key: ProofKey, kept: Login | None = None) -> Login:
    """The token that the broker takes: an access token that names it, else the ID token of this very client.

    A renewal hands in the login that it renews. Raises `Unauthenticated`.
    """
    access, identity, rotated = (answer.said.get(name) for name in ("access_token", "id_token", "refresh_token"))
    for token in (access, identity):
        said = claims_of(token)
        meant = names(said, ask.audience) if token is access else names(said, ask.client_id)
        expires_at = seconds_of(said.get("exp"))
        if meant and isinstance(token, str) and expires_at is not None and expires_at > clock():
            refresh = Secret(rotated) if isinstance(rotated, str) and rotated else kept.refresh if kept else None
            user = kept.user if kept else ""
            return Login(ask.issuer, ask.client_id, ask.audience, Secret(token), expires_at, refresh, key.keep(), user)
    raise Unauthenticated(
        f"the identity provider gave no token for `{ask.audience}` or `{ask.client_id}` that still holds",
        "ask whoever runs the broker to compare `audience` and `client_id` with the provider, and the clocks",
    )


def meant_for(audience: str) -> dict[str, str]:
    """How to ask for a token that names the broker: some providers hear `audience`, others `resource` (RFC 8707),
    which is for addresses only. Providers that know neither do not look at it.
    """
    return {"audience": audience} | ({"resource": audience} if audience.startswith("https://") else {})


def names(claims: dict[str, Any], audience: str) -> bool:
    named = claims.get("aud")
    return named == audience or (isinstance(named, list) and audience in named)
