"""What the issuer says of itself: its discovery document, and its public keys."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.identity.embedded.answers import answer_json
from hoopx_broker.identity.embedded.authorization import SCOPES
from hoopx_broker.identity.embedded.endpoints import CODE_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT, REFRESH_GRANT
from hoopx_broker.identity.embedded.exchange import EXCHANGE
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.keys import ALGORITHMS

_METHODS = ["none", "private_key_jwt", "client_secret_basic", "client_secret_post"]
_CLAIMS = ["sub", "preferred_username", "email", "email_verified", "groups", "auth_time", "nonce", "sid"]


class Descriptions:
    """Below `/oidc`, where the issuer's name says."""

    def __init__(self, issuer: Embedded) -> None:
        self._issuer = issuer

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/.well-known/openid-configuration", self.describe, methods=["GET"]),
            # RFC 8414 puts its well-known part between host and path; the document is the same.
            Route("/.well-known/oauth-authorization-server/oidc", self.describe, methods=["GET"]),
            Route("/oidc/jwks", self.keys, methods=["GET"]),
        ]

    async def describe(self, request: Request) -> Response:
        return answer_json(_metadata(self._issuer.url))

    async def keys(self, request: Request) -> Response:
        # Cached shorter than the gate itself believes: a key is published a month before it signs.
        headers = {"cache-control": "max-age=300"}
        return Response(self._issuer.keys.published(), 200, headers, "application/json")


def _metadata(url: str) -> dict[str, Any]:
    """OpenID Connect Discovery, and RFC 8414."""
    return {
        "issuer": url,
        "jwks_uri": f"{url}/jwks",
        "authorization_endpoint": f"{url}/authorize",
        "device_authorization_endpoint": f"{url}/device_authorization",
        "token_endpoint": f"{url}/token",
        "revocation_endpoint": f"{url}/revoke",
        "grant_types_supported": [CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT, CREDENTIALS_GRANT, EXCHANGE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": _METHODS,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "scopes_supported": list(SCOPES),
        "claims_supported": _CLAIMS,
    }
