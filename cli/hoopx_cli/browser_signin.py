"""Sign a person in by a browser on this machine: authorization code with PKCE on a loopback port (RFC 8252, 9700)."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlencode

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.api.messages import SignIn
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.keyring import Login
from hoopx_cli.loopback import listening
from hoopx_cli.provider import Answer, Provider, discover, odd
from hoopx_cli.tokens import Clock, TokenEndpoint, login_of, meant_for, names
from hoopx_cli.unverified import claims_of

PATIENCE_SECONDS = 600.0  # as long as for a code: a person may have to find a second factor first


class _Trip(Struct, frozen=True):
    """One trip to the provider and back: what only this login knows, and where the browser returns to."""

    state: str
    nonce: str
    verifier: Secret
    redirect_uri: str


def sign_in_by_browser(
    ask: SignIn,
    tls: ssl.SSLContext,
    show: Callable[[str], None],
    clock: Clock = time.time,
    patience: float = PATIENCE_SECONDS,
) -> Login:
    """Show the address to open, wait until the browser comes back, and return signed in, with a new key.

    Raises `Unauthenticated` when the person declines or nobody comes, `Unreachable` for a provider that does not
    answer or not as one.
    """
    provider, key = discover(ask.issuer, tls), ProofKey.create()
    if not provider.authorization_endpoint:
        raise odd(ask.issuer, "it has no login in a browser; use `hoopx login` without --browser")
    state = secrets.token_urlsafe(32)
    with listening(state) as listener:
        trip = _Trip(state, secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(48)), listener.redirect_uri)
        show(_address(provider, ask, trip, key))
        said = listener.wait(patience)
    if said is None:
        raise Unauthenticated("nobody came back from the browser in time", "run `hoopx login` again")
    code = _code(provider, said)
    answer = TokenEndpoint(provider, key, tls, clock).ask(lambda: _form(ask, trip, code))
    if not answer.is_fine:
        raise odd(ask.issuer, f"it refuses the login: {answer.told}")
    _check_nonce(ask, answer, trip.nonce)
    return login_of(ask, answer, clock, key)


def _address(provider: Provider, ask: SignIn, trip: _Trip, key: ProofKey) -> str:
    query = {
        "response_type": "code",
        "client_id": ask.client_id,
        "redirect_uri": trip.redirect_uri,
        "scope": " ".join(ask.scopes),
        **meant_for(ask.audience),
        "state": trip.state,
        "nonce": trip.nonce,
        # Sent to every provider: some take it without saying so, and the others do not look at it.
        "code_challenge": compact.challenge(trip.verifier.reveal()),
        "code_challenge_method": "S256",
    }
    if provider.takes_proofs:
        query["dpop_jkt"] = key.thumbprint  # RFC 9449 section 10: the code, too, is worth nothing without the key
    if "offline_access" in ask.scopes:
        query["prompt"] = "consent"  # OpenID Connect Core section 11: without it the scope is not heard
    joint = "&" if "?" in provider.authorization_endpoint else "?"
    return provider.authorization_endpoint + joint + urlencode(query)


def _code(provider: Provider, said: dict[str, str]) -> Secret:
    """The code, if it is this provider's (RFC 9207) and no error stands there."""
    issuer = said.get("iss")
    if issuer != provider.issuer and (issuer is not None or provider.authorization_response_iss_parameter_supported):
        raise odd(provider.issuer, "the browser came back with the answer of another provider")
    match said.get("error"):
        case None:
            return Secret(said["code"])
        case "access_denied":
            raise Unauthenticated("the login was declined", "run `hoopx login` again if that was a mistake")
        case error:
            told = inert(said.get("error_description") or error)[:200]
            raise Unauthenticated(
                f"the identity provider `{provider.issuer}` does not sign you in: {told}",
                "the client must be allowed the code flow with `http://127.0.0.1/callback` at any port",
            )


def _form(ask: SignIn, trip: _Trip, code: Secret) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": ask.client_id,
        "code": code.reveal(),
        "redirect_uri": trip.redirect_uri,
        "code_verifier": trip.verifier.reveal(),
    }


def _check_nonce(ask: SignIn, answer: Answer, nonce: str) -> None:
    """The ID token must be for this very login. It came from the provider itself, by TLS: its signature adds nothing
    here (OpenID Connect Core section 3.1.3.7), and the broker checks that of what it gets.
    """
    token = answer.said.get("id_token")
    if token is None and "openid" not in ask.scopes:
        return
    said = claims_of(token)
    if said.get("iss") != ask.issuer or not names(said, ask.client_id) or said.get("nonce") != nonce:
        raise odd(ask.issuer, "its ID token is not for this login")
