"""A loopback endpoint from which AWS's own SDKs fetch a session's keys, and fetch them again before they end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest

import msgspec
from msgspec import Struct

from hoopx_broker.terms.secret import Secret
from hoopx_cli.key_ring import HeldKeys, Newest
from hoopx_cli.sockets import LOOPBACK

PATH = "/credentials"
MAX_REQUEST = 8_192  # an SDK sends a few hundred bytes
REQUEST_SECONDS = 5.0

_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 410: "Gone"}


class KeyEndpoint(Struct, frozen=True):
    """Whoever knows `token` is given the keys."""

    url: str
    token: Secret

    def variables(self) -> dict[str, str]:
        """By these the SDKs find it."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token.reveal(),
        }


@asynccontextmanager
async def serving(newest: Newest) -> AsyncIterator[KeyEndpoint]:
    """On a port of the kernel's choice, until the end of the block."""
    token = Secret(secrets.token_urlsafe(32))

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status, body = _answer(await reader.readuntil(b"\r\n\r\n"), token, newest())
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            status, body = 400, b"{}"
        writer.write(_head(status, body) + body)
        writer.close()

    server = await asyncio.start_server(attend, LOOPBACK, 0, limit=MAX_REQUEST)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield KeyEndpoint(f"http://{LOOPBACK}:{port}{PATH}", token)


def _answer(request: bytes, token: Secret, keys: HeldKeys | None) -> tuple[int, bytes]:
    line, *headers = request.decode("latin-1").split("\r\n")
    method, _, rest = line.partition(" ")
    sent = [value.strip() for name, _, value in (each.partition(":") for each in headers) if _is_ours(name)]
    if len(sent) != 1 or not compare_digest(sent[0].encode("latin-1"), token.reveal().encode()):
        return 403, _refusal("AccessDenied", "this endpoint is for the program that hoopx started")
    if method != "GET" or rest.partition(" ")[0] != PATH:
        return 404, _refusal("NotFound", f"only GET {PATH} is here")
    if keys is None:
        return 410, _refusal("Expired", "the session is over; open a new one with hoopx")
    return 200, msgspec.json.encode(keys.container_document())


def _is_ours(name: str) -> bool:
    return name.strip().lower() == "authorization"


def _refusal(code: str, message: str) -> bytes:
    return msgspec.json.encode({"code": code, "message": message})


def _head(status: int, body: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
