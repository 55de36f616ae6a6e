"""Connections to a target: TCP with a deadline, TLS in libpq's modes, and cancel requests."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from functools import lru_cache

import aiofastnet
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.wire.postgres import messages

# A server that takes longer than this to accept, or to shake hands, is down for a person who waits.
CONNECT_SECONDS = 10.0


@lru_cache(maxsize=256)
def tls_context(tls: UpstreamTls) -> ssl.SSLContext:
    """`require` encrypts, `verify-ca` checks the chain, `verify-full` the name too. Raises `OSError`."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode == "verify-full"
    if tls.mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def channel_binding(transport: asyncio.BaseTransport) -> bytes | None:
    """`tls-server-end-point` data (RFC 5929, section 4.1): the hash of the server's certificate."""
    tls = transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
    if algorithm is None:  # Ed25519 and its like have no hash of their own; RFC 5929 leaves them undefined
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, der).digest()


async def connect(target: Target, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Raises `OSError` or `TimeoutError`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        transport, _ = await aiofastnet.create_connection(loop, lambda: protocol, target.host, target.port)
    return transport


async def start_tls(target: Target, transport: asyncio.Transport, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Raises `OSError` (a certificate that does not verify included) or `TimeoutError`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        secured = await aiofastnet.start_tls(
            loop, transport, protocol, tls_context(target.tls), server_hostname=target.host
        )
    if secured is None:
        raise ConnectionResetError("the server closed the connection during the TLS handshake")
    return secured


async def cancel(target: Target, key: bytes) -> None:
    """Ask the server to cancel what runs under its `key`. The server answers by closing the connection."""
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(target.host, target.port)
        try:
            if target.tls.mode != "disable":
                writer.write(messages.SSL_REQUEST)
                if await reader.readexactly(1) == b"S":
                    await writer.start_tls(tls_context(target.tls), server_hostname=target.host)
            writer.write(messages.cancel_request(key))
            await writer.drain()
            await reader.read()
        finally:
            writer.close()
