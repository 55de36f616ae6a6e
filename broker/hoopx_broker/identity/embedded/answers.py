"""How programs are answered: JSON that nobody keeps, and refusals in the words of OAuth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hoopx_broker.identity.embedded.refusals import OAuthError

Answer = Callable[[Request], Awaitable[Response]]


def in_oauth(answer: Answer) -> Answer:
    """Refusals as RFC 6749 section 5.2 writes them."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except OAuthError as refusal:
            response = answer_json({"error": refusal.code, "error_description": refusal.description}, refusal.status)
            if refusal.status == 401 and "authorization" in request.headers:
                response.headers["www-authenticate"] = 'Basic realm="hoopx"'
            return response

    return answered


def answer_json(answer: dict[str, Any], status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(answer), status, headers, "application/json")
