"""Send one HTTP request to a receiver of notices: verified, without redirects, bounded, and silent about its URL."""

from __future__ import annotations

import email.utils
import ipaddress
import logging
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from hoopx_broker.terms.notices import NotTold
from hoopx_broker.terms.secret import Secret

MAX_ANSWER = 64 * 1024  # of which only the answers of Slack are looked into
SECONDS = 15.0  # less than the courier allows, so that the error says what was waited for
CONNECTIONS = 4  # as many as one notifier is told at once

# Its lines name whole URLs, and some of these are passwords.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Answer(Struct, frozen=True):
    """What came back. `after` is `Retry-After` in seconds, 0 where it was not said."""

    status: int
    body: bytes
    after: float = 0


def check_url(url: Secret) -> None:
    """Raises `ValueError` that does not repeat it: what is told, and its signature, travels in the clear to nobody."""
    text = url.reveal()
    try:
        parts = urlsplit(text)
        sound = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not text.isascii() or not text.isprintable() or " " in text or parts.fragment or parts.username:
        raise ValueError("`url` is not a URL; write for example `https://hooks.example.com/hoopx`")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError("`url` must begin with https; http is for a receiver on this machine only")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Line:
    """One receiver; connections are kept. `name` is what errors call it."""

    def __init__(self, name: str, ca: Path | None, *, to_itself: bool = False) -> None:
        self._name = name
        # A proxy of the environment is not asked for loopback.
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=str(ca) if ca else None),
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=not to_itself,
            limits=httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=30.0),
        )

    async def post(self, url: Secret, body: bytes, headers: Mapping[str, str], reads: int = MAX_ANSWER) -> Answer:
        """The answer with so many bytes of its body. Raises `NotTold` where there is no answer."""
        try:
            async with self._client.stream(
                "POST", url.reveal(), content=body, headers={**headers, "accept-encoding": "identity"}
            ) as answer:
                held = bytearray()
                async for chunk in answer.aiter_raw() if reads else _nothing():
                    held += chunk
                    if len(held) >= reads:
                        break
                return Answer(answer.status_code, bytes(held[:reads]), _after(answer.headers.get("retry-after")))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            # The text of the error may hold the URL; a certificate that is not believed is worth telling apart.
            raise NotTold(
                f"`{self._name}` cannot be reached: {_kind_of(error)}", "look at its `url`, its `ca` and the network"
            ) from None

    async def close(self) -> None:
        await self._client.aclose()


async def _nothing() -> AsyncIterator[bytes]:
    """The status says it all: whoever is slow with the rest has taken it."""
    return
    yield b""


def _kind_of(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not to be believed"
    return type(error).__name__


def _after(text: str | None) -> float:
    """Seconds, or a date."""
    if text is None:
        return 0.0
    if text.isascii() and text.isdigit() and len(text) < 8:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
