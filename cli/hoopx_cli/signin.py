"""Sign a person in by the OAuth device flow (RFC 8628) at any provider found by discovery, and keep them signed in."""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import SignIn
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.keyring import Login, Logins
from hoopx_cli.provider import Provider, call, demand_safe, discover, is_same_place, odd

Clock = Callable[[], float]
Trust = Callable[[str], ssl.SSLContext]  # the TLS context for an issuer

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5.0  # seconds; RFC 8628 section 3.2, where a provider names none
SLOWER = 5.0  # seconds added for each `slow_down`; RFC 8628 section 3.5
MAX_INTERVAL = 60.0  # a provider that asks for more would make people believe that nothing happens
DEFAULT_LIFE = 600.0  # seconds that people get to type the code where a provider does not say
MAX_LIFE = 3600.0  # nobody waits longer than an hour in front of a terminal
RENEW_BEFORE = 60.0  # seconds; a bearer is renewed before it can end between two machines' clocks


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
) -> Login:
    """Show a code, wait until a person has typed it, and come back signed in.

    Raises `Unauthenticated` when the person declines or the code runs out, `Unreachable` for a provider that does not
    answer or not as one.
    """
    provider = discover(ask.issuer, tls)
    errand = _begin(provider, ask, tls, clock)
    show(errand.prompt)
    return _login(ask, _wait(provider, ask, errand, tls, clock, sleep), clock, kept=None)


def renew(login: Login, tls: ssl.SSLContext, clock: Clock = time.time) -> Login:
    """A fresh bearer for a spent one, without the person. Raises `Unauthenticated` when they must come again."""
    if login.refresh is None:
        raise _ended()
    form = {"grant_type": "refresh_token", "client_id": login.client_id, "refresh_token": login.refresh.reveal()}
    provider = discover(login.issuer, tls)
    status, answer = call("POST", provider.token_endpoint, form, tls)
    if status == 200:
        return _login(SignIn(login.issuer, login.client_id, login.audience, ()), answer, clock, kept=login.refresh)
    if status in (400, 401):
        raise _ended()
    raise odd(login.issuer, f"it answers a renewal with status {status}")


def sign_out(login: Login, tls: ssl.SSLContext) -> bool:
    """Ask the provider to forget the login; False where it cannot be asked. The bearer lives to its own early end."""
    if login.refresh is None:
        return False
    try:
        provider = discover(login.issuer, tls)
        if not provider.revocation_endpoint:
            return False
        form = {"client_id": login.client_id, "token": login.refresh.reveal(), "token_type_hint": "refresh_token"}
        return call("POST", provider.revocation_endpoint, form, tls)[0] == 200
    except Unreachable:
        return False


def bearer(broker: str, given: Secret | None, logins: Logins, trust: Trust, clock: Clock = time.time) -> Secret:
    """The token for a call to the broker: the one `given` in HOOPX_TOKEN (never stored), else the kept login's.

    A login near its end is renewed in passing. Raises `Unauthenticated` when there is none that holds.
    """
    if given is not None:
        return given
    login = logins.get(broker)
    if login is not None and not _is_stale(login, clock):
        return login.bearer
    with logins.held():
        login = logins.get(broker)  # again: another command may have renewed it while we waited
        if login is None:
            raise Unauthenticated(f"you are not logged in to {broker}", "log in with `hoopx login`")
        return login.bearer if not _is_stale(login, clock) else _renewed(broker, login, logins, trust, clock)


def issuer_trust(broker: str, pinned: ssl.SSLContext) -> Trust:
    """The broker's own certificate vouches for an issuer at the broker's address; the system's roots for any other."""

    def trust(issuer: str) -> ssl.SSLContext:
        return pinned if is_same_place(issuer, broker) else ssl.create_default_context()

    return trust


def _renewed(broker: str, login: Login, logins: Logins, trust: Trust, clock: Clock) -> Secret:
    try:
        fresh = renew(login, trust(login.issuer), clock)
    except Unauthenticated:
        logins.forget(broker)
        raise
    except Unreachable:
        if clock() < login.expires_at:
            return login.bearer
        raise
    logins.put(broker, fresh)
    return fresh.bearer


def _begin(provider: Provider, ask: SignIn, tls: ssl.SSLContext, clock: Clock) -> _Errand:
    if not provider.device_authorization_endpoint:
        raise odd(ask.issuer, "it has no device flow")
    verifier = Secret(secrets.token_urlsafe(32))
    # `audience` is how some providers are asked for a token that names the broker; the others do not look at it.
    form = {"client_id": ask.client_id, "scope": " ".join(ask.scopes), "audience": ask.audience}
    if "S256" in provider.code_challenge_methods_supported:
        form |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    status, answer = call("POST", provider.device_authorization_endpoint, form, tls)
    if status != 200:
        raise Unauthenticated(
            f"the identity provider `{ask.issuer}` does not let `{ask.client_id}` sign in by a code: {_error(answer)}",
            "the client must exist there, be public, and be allowed the device flow",
        )
    return _read_errand(answer, verifier, ask.issuer, clock())


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


def _wait(
    provider: Provider,
    ask: SignIn,
    errand: _Errand,
    tls: ssl.SSLContext,
    clock: Clock,
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    """Poll at the pace that the provider wants until it gives tokens."""
    form = {"grant_type": DEVICE_GRANT, "client_id": ask.client_id, "device_code": errand.device_code.reveal()}
    if "S256" in provider.code_challenge_methods_supported:
        form["code_verifier"] = errand.verifier.reveal()
    interval = errand.interval
    while clock() < errand.prompt.expires_at:
        sleep(interval)
        try:
            status, answer = call("POST", provider.token_endpoint, form, tls)
        except Unreachable:
            interval = min(interval * 2, MAX_INTERVAL)  # RFC 8628 section 3.5: back off when the line fails
            continue
        if status == 200:
            return answer
        interval = _next_interval(status, answer, interval, ask.issuer)
    raise _ran_out()


def _next_interval(status: int, answer: dict[str, Any], interval: float, issuer: str) -> float:
    match answer.get("error"):
        case "authorization_pending":
            return interval
        case "slow_down":
            return min(interval + SLOWER, MAX_INTERVAL)
        case "access_denied":
            raise Unauthenticated("the login was declined", "run `hoopx login` again if that was a mistake")
        case "expired_token":
            raise _ran_out()
        case _ if status == 429 or status >= 500:
            return min(interval * 2, MAX_INTERVAL)
        case _:
            raise odd(issuer, f"it refuses the login: {_error(answer)}")


def _login(ask: SignIn, answer: dict[str, Any], clock: Clock, kept: Secret | None) -> Login:
    """The token that the broker takes: an access token that names it, else the ID token of this very client."""
    access, identity, rotated = (answer.get(name) for name in ("access_token", "id_token", "refresh_token"))
    for token in (access, identity):
        said = _claims(token)
        meant = _names(said, ask.audience) if token is access else _names(said, ask.client_id)
        expires_at = said.get("exp")
        if meant and isinstance(token, str) and isinstance(expires_at, int | float) and expires_at > clock():
            refresh = Secret(rotated) if isinstance(rotated, str) and rotated else kept
            return Login(ask.issuer, ask.client_id, ask.audience, Secret(token), float(expires_at), refresh)
    raise Unauthenticated(
        f"the identity provider gave no token for `{ask.audience}` or `{ask.client_id}` that still holds",
        "ask whoever runs the broker to compare `audience` and `client_id` with the provider, and the clocks",
    )


def _claims(token: object) -> dict[str, Any]:
    """What a token says, unchecked: it only helps to choose which one the broker gets to check."""
    body = token.split(".")[1] if isinstance(token, str) and token.count(".") == 2 else ""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def _names(claims: dict[str, Any], audience: str) -> bool:
    named = claims.get("aud")
    return named == audience or (isinstance(named, list) and audience in named)


def _is_stale(login: Login, clock: Clock) -> bool:
    return clock() >= login.expires_at - RENEW_BEFORE


def _challenge(verifier: Secret) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.reveal().encode()).digest()).rstrip(b"=").decode()


def _seconds(value: object, otherwise: float) -> float:
    """A positive number of seconds; some providers send it as text, some send none."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else otherwise
    except ValueError:
        return otherwise
    return seconds if 1.0 <= seconds < 1e9 else otherwise


def _error(answer: dict[str, Any]) -> str:
    told = answer.get("error_description") or answer.get("error") or "no reason given"
    return inert(str(told))[:200]


def _ended() -> Unauthenticated:
    return Unauthenticated("your login has ended", "log in again with `hoopx login`")


def _ran_out() -> Unauthenticated:
    return Unauthenticated("nobody typed the code in time", "run `hoopx login` again")
