"""Talk to an OIDC provider: its own description, and bounded exchanges of forms for JSON."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from hoopx_broker.terms.errors import Unreachable
from hoopx_cli.inert import inert

if TYPE_CHECKING:
    import httpx2

MAX_ANSWER = 262_144  # tokens are limited to 16 KB by the broker; the rest is a few names
CALL_SECONDS = 15.0  # people wait in front of it
MAX_NONCE = 512  # characters; with them a proof still fits into the headers that servers take


class Provider(Struct, frozen=True):
    """The part of a provider's discovery document that signing in needs."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    code_challenge_methods_supported: tuple[str, ...] = ()
    dpop_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    authorization_response_iss_parameter_supported: bool = False

    @property
    def takes_pkce(self) -> bool:
        return "S256" in self.code_challenge_methods_supported

    @property
    def takes_proofs(self) -> bool:
        """Whether it binds tokens to the key of a proof (RFC 9449) of the kind that `ProofKey` makes."""
        return "ES256" in self.dpop_signing_alg_values_supported


class Answer(Struct, frozen=True):
    """What an endpoint said: status, the JSON object (empty for anything else), and the nonce it wants in proofs."""

    status: int
    said: dict[str, Any]
    nonce: str | None = None

    @property
    def error(self) -> object:
        return self.said.get("error")

    @property
    def is_fine(self) -> bool:
        """Some providers say `authorization_pending` with status 200: there must be no error either."""
        return self.status == 200 and not self.error

    @property
    def told(self) -> str:
        """Why it refuses, in its own words made harmless."""
        words = self.said.get("error_description") or self.error or f"status {self.status} and no reason"
        return inert(str(words))[:200]


def discover(issuer: str, tls: ssl.SSLContext) -> Provider:
    """Read the provider's own description. Raises `Unreachable`."""
    demand_safe(issuer, "issuer")
    answer = call("GET", issuer.rstrip("/") + "/.well-known/openid-configuration", None, tls)
    try:
        provider = msgspec.convert(_without_nulls(answer.said), Provider)
    except msgspec.ValidationError:
        raise odd(issuer, f"it does not describe itself as an OIDC provider (status {answer.status})") from None
    if provider.issuer != issuer:
        raise odd(issuer, f"it calls itself `{inert(provider.issuer)}`")
    demand_safe(provider.token_endpoint, "provider's token endpoint")
    endpoints = provider.authorization_endpoint, provider.device_authorization_endpoint, provider.revocation_endpoint
    for url in filter(None, endpoints):
        demand_safe(url, "provider's endpoint")
    return provider


def call(
    method: str, url: str, form: Mapping[str, str] | None, tls: ssl.SSLContext, more: Mapping[str, str] | None = None
) -> Answer:
    """One bounded exchange, with `more` headers. Raises `Unreachable`."""
    import httpx2  # 130 ms: only for commands that talk to a provider

    headers = {"accept": "application/json", "accept-encoding": "identity", **(more or {})}
    try:
        with (
            httpx2.Client(verify=tls, timeout=CALL_SECONDS, trust_env=not _is_loopback(url)) as client,
            client.stream(method, url, data=dict(form) if form is not None else None, headers=headers) as answer,
        ):
            nonce = answer.headers.get("DPoP-Nonce", "")
            usable = nonce if 0 < len(nonce) <= MAX_NONCE and nonce.isascii() else None
            return Answer(answer.status_code, _json_object(_bounded(answer)), usable)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise _unreachable(url, error) from None


def is_same_place(url: str, other: str) -> bool:
    """Do both name the same port of the same host? The names of loopback are one host."""
    try:
        one, two = urlsplit(url), urlsplit(other)
        ports = one.port or 443, two.port or 443
    except ValueError:
        return False
    if one.scheme != two.scheme or ports[0] != ports[1]:
        return False
    return one.hostname == two.hostname or (_is_loopback(url) and _is_loopback(other))


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def demand_safe(url: object, what: str) -> None:
    """https, or http on loopback; nothing that could act on a terminal or in a browser's address line."""
    sound = isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url and len(url) < 2048
    scheme = urlsplit(url).scheme if isinstance(url, str) and sound else ""
    if scheme != "https" and not (scheme == "http" and _is_loopback(str(url))):
        raise Unreachable(f"the {what} is not an https address: {inert(str(url))[:120]}", "tell who runs the broker")


def odd(issuer: str, why: str) -> Unreachable:
    return Unreachable(f"`{inert(issuer)}` cannot sign you in: {why}", "tell who runs the broker")


def _bounded(answer: httpx2.Response) -> bytes:
    held = bytearray()
    for chunk in answer.iter_raw():
        held += chunk
        if len(held) > MAX_ANSWER:
            return b""
    return bytes(held)


def _without_nulls(said: dict[str, Any]) -> dict[str, Any]:
    """Some providers write null for what they do not have; what must be there is missed all the same."""
    return {name: value for name, value in said.items() if value is not None}


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _unreachable(url: str, error: Exception) -> Unreachable:
    parts = urlsplit(url)
    reason = inert(str(error))[:200] or type(error).__name__
    return Unreachable(
        f"the identity provider at {parts.scheme}://{parts.netloc} cannot be reached: {reason}",
        "check the network, and with a private certificate authority SSL_CERT_FILE",
    )
