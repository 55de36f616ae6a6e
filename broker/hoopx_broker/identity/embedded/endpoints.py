"""The endpoints that programs call: discovery, keys, device authorization, tokens, revocation."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import codes
from hoopx_broker.identity.embedded.browsing import peer
from hoopx_broker.identity.embedded.forms import field, read_form
from hoopx_broker.identity.embedded.issuer import DEVICE_GRANT, Embedded
from hoopx_broker.identity.embedded.refusals import OAuthError

SCOPES = ("openid", "profile", "email", "groups", "offline_access")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url; RFC 7636 section 4.2

Answer = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """All of them below `/oidc`, where the issuer's name says."""

    def __init__(self, issuer: Embedded) -> None:
        self._issuer = issuer

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/.well-known/openid-configuration", self.describe, methods=["GET"]),
            Route("/oidc/jwks", self.keys, methods=["GET"]),
            Route("/oidc/device_authorization", _in_oauth(self.authorize_device), methods=["POST"]),
            Route("/oidc/token", _in_oauth(self.token), methods=["POST"]),
            Route("/oidc/revoke", _in_oauth(self.revoke), methods=["POST"]),
        ]

    async def describe(self, request: Request) -> Response:
        return _json(_metadata(self._issuer.url))

    async def keys(self, request: Request) -> Response:
        # Cached shorter than the gate itself believes: a key is published a month before it signs.
        headers = {"cache-control": "max-age=300"}
        return Response(self._issuer.keys.published(), 200, headers, "application/json")

    async def authorize_device(self, request: Request) -> Response:
        form = await read_form(request)
        client = self._client(form)
        scope = " ".join(each for each in form.get("scope", "openid").split() if each in SCOPES)
        started = self._issuer.codes.start(client, scope, peer(request), _challenge(form))
        code, page = codes.in_groups(started.user_code), f"{self._issuer.url}/device"
        return _json(
            {
                "device_code": started.device_code.reveal(),
                "user_code": code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={code}",
                "expires_in": int(codes.LIFE),
                "interval": int(codes.INTERVAL),
            }
        )

    async def token(self, request: Request) -> Response:
        form = await read_form(request)
        client = self._client(form)
        match field(form, "grant_type"):
            case "refresh_token":
                tokens, people = self._issuer.tokens, self._issuer.people
                return _json(await tokens.again(field(form, "refresh_token"), client, people.find))
            case grant if grant == DEVICE_GRANT:
                return _json(await self._of_device(form, client))
            case _:
                raise OAuthError("unsupported_grant_type", "only device codes and refresh tokens are taken here")

    async def revoke(self, request: Request) -> Response:
        form = await read_form(request)
        await self._issuer.tokens.forget(field(form, "token"), self._client(form))
        return _json({})

    async def _of_device(self, form: dict[str, str], client: str) -> dict[str, Any]:
        asked = self._issuer.codes.take(field(form, "device_code"), client, form.get("code_verifier"))
        if asked.person is None:
            raise OAuthError("invalid_grant", "nobody approved this device code")
        return await self._issuer.tokens.first(asked.person, client, asked.scope, asked.signed_in_at)

    def _client(self, form: dict[str, str]) -> str:
        client = form.get("client_id", "")
        if client != self._issuer.client_id:
            raise OAuthError("invalid_client", "this client is not known here", 401)
        return client


def _challenge(form: dict[str, str]) -> str | None:
    challenge = form.get("code_challenge")
    if challenge is None:
        return None
    if form.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "the code challenge must be one of S256")
    return challenge


def _in_oauth(answer: Answer) -> Answer:
    """Refusals as RFC 6749 section 5.2 writes them."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except OAuthError as refusal:
            return _json({"error": refusal.code, "error_description": refusal.description}, refusal.status)

    return answered


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(answer), status, headers, "application/json")


def _metadata(url: str) -> dict[str, Any]:
    """OpenID Connect Discovery. There is no authorization endpoint, so no response type either: devices only."""
    return {
        "issuer": url,
        "jwks_uri": f"{url}/jwks",
        "device_authorization_endpoint": f"{url}/device_authorization",
        "token_endpoint": f"{url}/token",
        "revocation_endpoint": f"{url}/revoke",
        "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(SCOPES),
        "claims_supported": ["sub", "preferred_username", "email", "email_verified", "groups", "auth_time"],
    }
