"""Call the endpoints of an OpenID provider: bounded in size and time, never redirected, secrets in no URL."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2
import msgspec
from msgspec import Struct

from hoopx_broker.identity.documents import MAX_DOCUMENT, MAX_SECONDS, is_loopback
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret


class Answer(Struct, frozen=True):
    """`said` is empty where the provider did not answer with a JSON object."""

    status: int
    said: dict[str, Any]

    def text(self, name: str) -> str | None:
        value = self.said.get(name)
        return value if isinstance(value, str) else None


class Calls:
    """Calls to one provider, trusting the system's authorities or those of the file `ca`."""

    def __init__(self, ca: Path | None) -> None:
        self._context = ssl.create_default_context(cafile=str(ca) if ca else None)

    async def post(self, url: str, form: Mapping[str, str], basic: str | None) -> Answer:
        """Raises `Unreachable`."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if basic is not None:
            headers["authorization"] = f"Basic {basic}"
        return await self._call("POST", url, headers, urlencode(form).encode())

    async def get(self, url: str, bearer: Secret) -> Answer:
        """Raises `Unreachable`."""
        return await self._call("GET", url, {"authorization": f"Bearer {bearer.reveal()}"}, b"")

    async def _call(self, method: str, url: str, headers: dict[str, str], content: bytes) -> Answer:
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await self._exchange(method, url, headers, content)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise _unreachable(url, type(error).__name__) from None

    async def _exchange(self, method: str, url: str, headers: dict[str, str], content: bytes) -> Answer:
        headers = headers | {"accept": "application/json", "accept-encoding": "identity"}
        async with (
            httpx2.AsyncClient(verify=self._context, timeout=MAX_SECONDS, trust_env=not is_loopback(url)) as client,
            client.stream(method, url, headers=headers, content=content) as answer,
        ):
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _unreachable(url, "a compressed answer")
            held = bytearray()
            async for chunk in answer.aiter_raw():
                held += chunk
                if len(held) > MAX_DOCUMENT:
                    raise _unreachable(url, f"more than {MAX_DOCUMENT} bytes")
            return Answer(answer.status_code, _object(bytes(held)))


def basic_credentials(client: str, secret: Secret) -> str:
    """RFC 6749 section 2.3.1: both parts are encoded as in a form first."""
    return base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret.reveal())}".encode()).decode()


def _object(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(f"the identity provider's endpoint `{url}` cannot be asked: {why}", "look at the provider")
