"""Fetch a small JSON document of an identity provider, bounded in size and time."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from hoopx_broker.terms.errors import BadInput, Unreachable

MAX_DOCUMENT = 262_144  # a hundred RSA keys with certificate chains; real documents have 2 to 20 KB
MAX_SECONDS = 10.0  # people wait for this at login

Fetch = Callable[[str], Awaitable[bytes]]


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_inside(url: str) -> bool:
    """Does it lead to this machine or its own link, in any of the ways in which addresses can be written?"""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))  # knows 127.1, 0x7f000001 and their like
        except OSError:
            return host == "localhost" or host.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified or address.is_link_local


def checked_url(url: object, what: str) -> str:
    """An https URL (http on loopback only) without user, query or fragment. Raises `BadInput`."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        sound = bool(parts.hostname) and parts.username is None and not parts.fragment and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not isinstance(url, str) or not url.isascii() or not url.isprintable():
        raise BadInput(f"the {what} is not a URL", "write it as https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise BadInput(f"the {what} is not an https URL", "plain http is for loopback addresses only")
    return url


def fetcher(ca: Path | None) -> Fetch:
    """A function that fetches one document, trusting the system's authorities or those of the file `ca`."""
    context = ssl.create_default_context(cafile=str(ca) if ca else None)

    async def fetch(url: str) -> bytes:
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await _get(url, context)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise _unreachable(url, type(error).__name__) from None

    return fetch


async def _get(url: str, context: ssl.SSLContext) -> bytes:
    # No redirects: the documents are where the issuer's name says. No compression: a bound on what is read is then
    # a bound on what is held. A proxy of the environment is not asked for loopback.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    async with (
        httpx2.AsyncClient(verify=context, timeout=MAX_SECONDS, trust_env=not is_loopback(url)) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code != 200 or answer.headers.get("content-encoding", "identity") != "identity":
            raise _unreachable(url, f"status {answer.status_code}")
        held = bytearray()
        async for chunk in answer.aiter_raw():
            held += chunk
            if len(held) > MAX_DOCUMENT:
                raise _unreachable(url, f"more than {MAX_DOCUMENT} bytes")
        return bytes(held)


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(f"the identity provider's document `{url}` cannot be had: {why}", "look at the provider")
