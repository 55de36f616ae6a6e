"""The endpoints that programs call: device authorization, tokens by each grant, revocation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import codes
from hoopx_broker.identity.embedded.answers import answer_json, in_oauth
from hoopx_broker.identity.embedded.authorization import known_scopes
from hoopx_broker.identity.embedded.authorization_codes import UsedTwice
from hoopx_broker.identity.embedded.browsing import peer
from hoopx_broker.identity.embedded.clients import Client
from hoopx_broker.identity.embedded.exchange import EXCHANGE, Exchange, Identify
from hoopx_broker.identity.embedded.forms import field, read_form
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.pkce import challenge_of
from hoopx_broker.identity.embedded.possession import Possession, possession
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.revocation import end_login
from hoopx_broker.terms.errors import Unreachable

CODE_GRANT = "authorization_code"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT = "refresh_token"
CREDENTIALS_GRANT = "client_credentials"

Form = Mapping[str, str]


class Endpoints:
    """All of them below `/oidc`, where the issuer's name says."""

    def __init__(self, issuer: Embedded, identify: Identify) -> None:
        self._issuer = issuer
        self._exchange = Exchange(identify, issuer.tokens, issuer.names)

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/device_authorization", in_oauth(self.authorize_device), methods=["POST"]),
            Route("/oidc/token", in_oauth(self.token), methods=["POST"]),
            Route("/oidc/revoke", in_oauth(self.revoke), methods=["POST"]),
        ]

    async def authorize_device(self, request: Request) -> Response:
        form = await read_form(request)
        client = _of_people(await self._issuer.clients.who(request, form))
        started = self._issuer.codes.start(client, known_scopes(form), peer(request), challenge_of(form))
        code, page = codes.in_groups(started.user_code), f"{self._issuer.url}/device"
        return answer_json(
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
        client = await self._issuer.clients.who(request, form)
        proof = possession(request, f"{self._issuer.url}/token", self._issuer.proofs, self._issuer.clock)
        return answer_json(await self._granted(form, client, proof))

    async def _granted(self, form: Form, client: Client, proof: Possession) -> dict[str, Any]:
        match field(form, "grant_type"):
            case grant if grant == DEVICE_GRANT:
                return await self._of_device(form, _of_people(client), proof)
            case grant if grant == CODE_GRANT:
                return await self._of_code(form, _of_people(client), proof)
            case grant if grant == REFRESH_GRANT:
                return await self._of_login(form, _of_people(client), proof)
            case grant if grant == CREDENTIALS_GRANT:
                return await self._of_agent(client, proof)
            case grant if grant == EXCHANGE:
                return await self._exchange.answer(form, client, proof)
            case _:
                raise OAuthError("unsupported_grant_type", "the issuer's description lists the grants that are taken")

    async def revoke(self, request: Request) -> Response:
        form = await read_form(request)
        client = _of_people(await self._issuer.clients.who(request, form))
        await end_login(self._issuer, field(form, "token"), client)
        return answer_json({})

    async def _of_device(self, form: Form, client: str, proof: Possession) -> dict[str, Any]:
        asked = self._issuer.codes.take(field(form, "device_code"), client, form.get("code_verifier"), proof)
        if asked.person is None:
            raise OAuthError("invalid_grant", "nobody approved this device code")
        return await self._issuer.tokens.first(asked.person, client, asked.scope, asked.signed_in_at, proof.key)

    async def _of_code(self, form: Form, client: str, proof: Possession) -> dict[str, Any]:
        code, address = field(form, "code"), field(form, "redirect_uri")
        try:
            granted = self._issuer.grants.take(code, client, address, form.get("code_verifier"), proof)
        except UsedTwice as again:
            await self._issuer.tokens.logins.end_family(again.family, "an authorization code of it was used twice")
            raise OAuthError("invalid_grant", "this code was used before: the login that it began has ended") from None
        asked, at = granted.asked, granted.granted_at
        tokens = self._issuer.tokens
        return await tokens.first(granted.person, client, asked.scope, at, proof.key, granted.family, asked.nonce)

    async def _of_login(self, form: Form, client: str, proof: Possession) -> dict[str, Any]:
        refresh = field(form, "refresh_token")
        login = await self._issuer.tokens.logins.check(refresh, proof.key)
        proof.spend(login.user)
        try:
            return await self._issuer.tokens.again(refresh, client, self._issuer.still, proof.key)
        except Unreachable as error:
            self._issuer.ways.note(f"a login could not be renewed: {error.message}")
            raise OAuthError("temporarily_unavailable", "the identity provider of this login is silent", 503) from None

    async def _of_agent(self, client: Client, proof: Possession) -> dict[str, Any]:
        if client.agent is None or not client.has_proved:
            raise OAuthError("unauthorized_client", "this client has no credential of its own")
        proof.spend(client.id)
        return await self._issuer.tokens.of_agent(client.id, proof.key)


def _of_people(client: Client) -> str:
    """The program that people use. Agents do not log in as people do, and hold nobody's login."""
    if client.agent is not None:
        raise OAuthError("unauthorized_client", "agents come by client credentials or token exchange")
    return client.id
