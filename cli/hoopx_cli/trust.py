"""Whom to believe: system roots, a CA file, or the fingerprint of one certificate that TLS itself then enforces."""

from __future__ import annotations

import os
import re
import socket
import ssl
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from urllib.parse import urlsplit

from hoopx_broker.terms.errors import BadInput, Unreachable
from hoopx_cli.settings import Settings, write_private

# A handshake takes two round trips; longer than this is a broker that will not answer commands either.
HANDSHAKE_SECONDS = 10

_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{64})")


def context(settings: Settings) -> ssl.SSLContext:
    """A client context for the broker of these settings. Raises `BadInput` or `Unreachable`."""
    if settings.ca is None:
        return _client_context()
    if settings.ca.lower().startswith("sha256:"):
        return _pinned(settings, fingerprint(settings.ca))
    return _with_file(Path(settings.ca).expanduser())


def context_for(settings: Settings, shown: bytes) -> ssl.SSLContext:
    """As `context`, for a broker that has just shown this certificate: nothing more is asked, and nothing kept."""
    if settings.ca is None or not settings.ca.lower().startswith("sha256:"):
        return context(settings)
    seen, wanted = fingerprint_of(shown), fingerprint(settings.ca)
    if not compare_digest(seen, wanted):
        raise _another(settings.broker, seen, wanted)
    return _anchored(ssl.DER_cert_to_PEM_cert(shown))


def fingerprint(text: str) -> str:
    """The one form of a fingerprint: `sha256:` and 64 lower-case digits; colons and upper case are taken too."""
    prefix, _, digits = text.lower().partition(":")
    plain = f"{prefix}:{digits.replace(':', '').strip()}"
    if not _FINGERPRINT.fullmatch(plain):
        raise BadInput(f"`{text}` is not a certificate fingerprint", "it is `sha256:` and 64 hexadecimal digits")
    return plain


def fingerprint_of(certificate: bytes) -> str:
    """Of a certificate in DER."""
    return f"sha256:{sha256(certificate).hexdigest()}"


def presented(broker: str) -> bytes:
    """The certificate (DER) that the broker shows in a handshake in which we send nothing of ours."""
    parts = urlsplit(broker)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    # Nothing is believed or sent here: the certificate is only compared with the fingerprint.
    asking.verify_mode = ssl.CERT_NONE
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=HANDSHAKE_SECONDS) as plain,
            asking.wrap_socket(plain, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert(binary_form=True)
    except OSError as error:
        raise unreachable(broker, error) from None
    if not shown:
        raise Unreachable(f"the broker at {broker} shows no certificate", "check the address: is it a hoopx broker?")
    return shown


def why(settings: Settings, error: OSError) -> Unreachable:
    """What a failed connection means under these settings: a pinned broker that fails is asked who it is instead."""
    pinned = settings.ca is not None and settings.ca.lower().startswith("sha256:")
    if pinned and isinstance(error, ssl.SSLCertVerificationError):
        wanted, seen = fingerprint(settings.ca or ""), fingerprint_of(presented(settings.broker))
        if not compare_digest(seen, wanted):
            return _another(settings.broker, seen, wanted)
    return unreachable(settings.broker, error)


def unreachable(broker: str, error: OSError) -> Unreachable:
    """What a failed connection means, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(broker, error)
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "TLS failed").lower().replace("_", " ")
        return Unreachable(f"no TLS with {broker}: {reason}", "check the address: is it a hoopx broker's port?")
    reason = "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
    if reason.startswith("Connect call failed") and error.errno:  # asyncio's words, which hide the system's
        reason = os.strerror(error.errno)
    return Unreachable(
        f"no broker answers at {broker}: {reason.lower()}",
        "start it with `hoopx broker run`, or name another one by --broker or HOOPX_BROKER",
    )


def _untrusted(broker: str, error: ssl.SSLCertVerificationError) -> Unreachable:
    return Unreachable(
        f"the certificate of {broker} is not trusted: {error.verify_message.lower()}",
        "give its CA or its fingerprint, as `hoopx broker run` printed it: --ca FILE, --ca sha256:…, or HOOPX_CA",
    )


def _client_context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def _with_file(path: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        made.load_verify_locations(path)
    except ssl.SSLError:
        raise BadInput(f"`{path}` holds no certificate", "HOOPX_CA or --ca names a PEM file or a `sha256:`") from None
    except OSError as error:
        hint = "HOOPX_CA or --ca names a PEM file or a `sha256:` fingerprint"
        raise BadInput(f"the CA file `{path}` cannot be read: {(error.strerror or str(error)).lower()}", hint) from None
    return made


def _pinned(settings: Settings, wanted: str) -> ssl.SSLContext:
    return _anchored(_certificate(settings, wanted))


def _anchored(pem: str) -> ssl.SSLContext:
    """Only that very certificate is a trust anchor, so every later handshake proves its key and nobody else's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # The certificate itself is known; the name it carries adds nothing.
    made.check_hostname = False
    made.load_verify_locations(cadata=pem)
    return made


def _certificate(settings: Settings, wanted: str) -> str:
    """In PEM; kept by its fingerprint, so that later commands need no handshake of their own to know it."""
    kept = settings.home / "certificates" / f"{wanted.removeprefix('sha256:')}.pem"
    known = _kept(kept, wanted)
    if known is not None:
        return known
    shown = presented(settings.broker)
    if not compare_digest(fingerprint_of(shown), wanted):
        raise _another(settings.broker, fingerprint_of(shown), wanted)
    pem = ssl.DER_cert_to_PEM_cert(shown)
    write_private(kept, pem.encode())
    return pem


def _kept(path: Path, wanted: str) -> str | None:
    """What the file holds, if it still is the certificate that its name says."""
    try:
        pem = path.read_text(encoding="ascii")
        return pem if compare_digest(fingerprint_of(ssl.PEM_cert_to_DER_cert(pem)), wanted) else None
    except (OSError, ValueError):
        return None


def _another(broker: str, seen: str, wanted: str) -> Unreachable:
    return Unreachable(
        f"the broker at {broker} shows another certificate: {seen}, not {wanted}",
        "if the broker got a new certificate, take its fingerprint from where it runs; else someone is in between",
    )
