"""Sign a person in by the OAuth device flow (RFC 8628) at any provider found by discovery, renew that, and sign out."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.api.messages import SignIn
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.keyring import Login
from hoopx_cli.provider import Answer, Provider, call, demand_safe, discover, is_same_place, odd
from hoopx_cli.tokens import Clock, TokenEndpoint, login_of, meant_for, names
from hoopx_cli.unverified import claims_of

Trust = Callable[[str], ssl.SSLContext]  # the TLS context for an issuer

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5.0  # seconds; RFC 8628 section 3.2, where a provider names none
SLOWER = 5.0  # seconds added for each `slow_down`; RFC 8628 section 3.5
MAX_INTERVAL = 60.0  # a provider that asks for more would make people believe that nothing happens
DEFAULT_LIFE = 600.0  # seconds that people get to type the code where a provider does not say
MAX_LIFE = 3600.0  # nobody waits longer than an hour in front of a terminal


class Prompt(Struct, frozen=True):
    """What a person must see: go to `url` and type `code`; `complete_url`, where there is one, carries the code."""

    code: str
    url: str
    complete_url: str | None
    expires_at: float


class _Errand(Struct, frozen=True):
    """A device code on its way to become a token."""

    device_code: Secret
    verifier: Secret
    interval: float
    prompt: Prompt


def sign_in(
    ask: SignIn,
    tls: ssl.SSLContext,
    show: Callable[[Prompt], None],
    clock: Clock = time.time,
    sleep: Callable[[float], None] = time.sleep,
    stamp: Clock = time.time,
) -> Login:
    """Show a code, wait until a person has typed it, and come back signed in, with a new key for this login.

    `clock` and `sleep` are those of the waiting; `stamp` is the time that proofs of the key name to the provider.
    Raises `Unauthenticated` when the person declines or the code runs out, `Unreachable` for a provider that does not
    answer or not as one.
    """
    provider, key = discover(ask.issuer, tls), ProofKey.create()
    errand = _begin(provider, ask, tls, clock)
    show(errand.prompt)
    answer = _wait(TokenEndpoint(provider, key, tls, stamp), _form(provider, ask, errand), errand, ask, clock, sleep)
    return login_of(ask, answer, clock, key)


def renew(login: Login, tls: ssl.SSLContext, clock: Clock = time.time) -> Login:
    """A fresh bearer for a spent one, without the person. Raises `Unauthenticated` when they must come again."""
    if login.refresh is None:
        raise ended()
    form = {"grant_type": "refresh_token", "client_id": login.client_id, "refresh_token": login.refresh.reveal()}
    provider, key = discover(login.issuer, tls), key_of(login)
    answer = TokenEndpoint(provider, key, tls, clock).ask(lambda: form)
    if answer.is_fine:
        return login_of(SignIn(login.issuer, login.client_id, login.audience, ()), answer, clock, key, login)
    if answer.error in ("use_dpop_nonce", "invalid_dpop_proof"):
        raise odd(login.issuer, f"it does not take the proof of your key ({answer.told}); compare the clocks")
    if answer.status in (400, 401):
        raise ended()
    raise odd(login.issuer, f"it answers a renewal with status {answer.status}")


def sign_out(login: Login, tls: ssl.SSLContext) -> bool:
    """Ask the provider to forget the login; False where it cannot be asked.

    The refresh token goes first, since it is the login. An access token is revoked, too; providers that do not keep
    account of theirs let it live to its own early end, as an ID token does.
    """
    refresh = login.refresh
    access = login.bearer if names(claims_of(login.bearer.reveal()), login.audience) else None
    if refresh is None and access is None:
        return False
    try:
        provider = discover(login.issuer, tls)
        if not provider.revocation_endpoint:
            return False
        told = [
            _revoke(provider, login, token, kind, tls)
            for token, kind in ((refresh, "refresh_token"), (access, "access_token"))
            if token is not None
        ]
        return told[0]
    except Unreachable:
        return False


def issuer_trust(broker: str, pinned: ssl.SSLContext) -> Trust:
    """The broker's own certificate vouches for an issuer at the broker's address; the system's roots for any other."""

    def trust(issuer: str) -> ssl.SSLContext:
        return pinned if is_same_place(issuer, broker) else ssl.create_default_context()

    return trust


def key_of(login: Login) -> ProofKey:
    """The key of a login, a new one for a login that an earlier version kept. Raises `Unauthenticated`."""
    if login.key is None:
        return ProofKey.create()
    try:
        return ProofKey.load(login.key)
    except ValueError:
        raise Unauthenticated("the key of your login cannot be read", "log in again with `hoopx login`") from None


def ended() -> Unauthenticated:
    return Unauthenticated("your login has ended", "log in again with `hoopx login`")


def _revoke(provider: Provider, login: Login, token: Secret, kind: str, tls: ssl.SSLContext) -> bool:
    form = {"client_id": login.client_id, "token": token.reveal(), "token_type_hint": kind}
    status = call("POST", provider.revocation_endpoint, form, tls).status
    if status == 401:  # glewlwyd takes no public client's word, only an access token's
        bearer = {"Authorization": f"Bearer {login.bearer.reveal()}"}
        status = call("POST", provider.revocation_endpoint, form, tls, bearer).status
    return status == 200


def _begin(provider: Provider, ask: SignIn, tls: ssl.SSLContext, clock: Clock) -> _Errand:
    if not provider.device_authorization_endpoint:
        raise odd(ask.issuer, "it has no device flow")
    verifier = Secret(secrets.token_urlsafe(32))
    form = {"client_id": ask.client_id, "scope": " ".join(ask.scopes), **meant_for(ask.audience)}
    if provider.takes_pkce:
        form |= {"code_challenge": compact.challenge(verifier.reveal()), "code_challenge_method": "S256"}
    answer = call("POST", provider.device_authorization_endpoint, form, tls)
    if not answer.is_fine:
        raise Unauthenticated(
            f"the identity provider `{ask.issuer}` does not let `{ask.client_id}` sign in by a code: {answer.told}",
            "the client must exist there, be public, and be allowed the device flow",
        )
    return _read_errand(answer.said, verifier, ask.issuer, clock())


def _read_errand(answer: dict[str, Any], verifier: Secret, issuer: str, now: float) -> _Errand:
    device_code, code = answer.get("device_code"), answer.get("user_code")
    url = answer.get("verification_uri", answer.get("verification_url"))
    complete = answer.get("verification_uri_complete", answer.get("verification_url_complete"))
    if not all(isinstance(each, str) and each for each in (device_code, code, url)):
        raise odd(issuer, "it gives no code to type")
    for each in (url, complete):
        if each is not None:
            demand_safe(each, "provider's page")
    life = min(_seconds(answer.get("expires_in"), DEFAULT_LIFE), MAX_LIFE)
    interval = min(_seconds(answer.get("interval"), DEFAULT_INTERVAL), MAX_INTERVAL)
    prompt = Prompt(inert(str(code))[:64], str(url), complete, now + life)
    return _Errand(Secret(str(device_code)), verifier, interval, prompt)


def _form(provider: Provider, ask: SignIn, errand: _Errand) -> dict[str, str]:
    form = {"grant_type": DEVICE_GRANT, "client_id": ask.client_id, "device_code": errand.device_code.reveal()}
    return form | ({"code_verifier": errand.verifier.reveal()} if provider.takes_pkce else {})


def _wait(
    endpoint: TokenEndpoint,
    form: dict[str, str],
    errand: _Errand,
    ask: SignIn,
    clock: Clock,
    sleep: Callable[[float], None],
) -> Answer:
    """Poll at the pace that the provider wants until it gives tokens."""
    interval = errand.interval
    while clock() < errand.prompt.expires_at:
        sleep(interval)
        try:
            answer = endpoint.ask(lambda: form)
        except Unreachable:
            interval = min(interval * 2, MAX_INTERVAL)  # RFC 8628 section 3.5: back off when the line fails
            continue
        if answer.is_fine:
            return answer
        interval = _next_interval(answer, interval, ask.issuer)
    raise _ran_out()


def _next_interval(answer: Answer, interval: float, issuer: str) -> float:
    match answer.error:
        case "authorization_pending":
            return interval
        case "slow_down":
            return min(interval + SLOWER, MAX_INTERVAL)
        case "access_denied":
            raise Unauthenticated("the login was declined", "run `hoopx login` again if that was a mistake")
        case "expired_token":
            raise _ran_out()
        case _ if answer.status == 429 or answer.status >= 500:
            return min(interval * 2, MAX_INTERVAL)
        case _:
            raise odd(issuer, f"it refuses the login: {answer.told}")


def _seconds(value: object, otherwise: float) -> float:
    """A positive number of seconds; some providers send it as text, some send none."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else otherwise
    except (ValueError, OverflowError):
        return otherwise
    return seconds if 1.0 <= seconds < 1e9 else otherwise


def _ran_out() -> Unauthenticated:
    return Unauthenticated("nobody typed the code in time", "run `hoopx login` again")
