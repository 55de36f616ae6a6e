"""The certificate that the broker shows: the configured one, or a self-made one for this machine alone."""

from __future__ import annotations

import ipaddress
import os
import ssl
import stat
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hoopx_broker.daemon.pem import certificates_in, check_pair
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import BrokerConfig

# Certificate and key in one file: they are replaced together or not at all.
FILE_NAME = "self-made-certificate.pem"

LIFE = timedelta(days=365)
# A broker that is restarted once a month never shows an expired certificate.
RENEW_BEFORE_END = timedelta(days=30)
# Clocks of clients on the same machine do not differ; those of virtual machines resumed from sleep do, for a while.
BACKDATED = timedelta(hours=1)


def fingerprint(cert: x509.Certificate) -> str:
    """`sha256:` and 64 lower-case hexadecimal digits, over the DER form: what HOOPX_CA takes."""
    return "sha256:" + cert.fingerprint(hashes.SHA256()).hex()


def server_context(config: BrokerConfig, state_dir: Path, now: datetime) -> tuple[ssl.SSLContext, str]:
    """The TLS side of the one port, and the fingerprint of its certificate. `now` is aware of its time zone.

    Without configured files the self-made certificate of `state_dir` is used, made or renewed as needed. Raises
    `BadInput` where files are unreadable or do not belong together.
    """
    if config.tls is None:
        file = self_made(state_dir, now)
        cert, key = file, file
    else:
        cert, key = config.tls.cert, config.tls.key
    pem = _checked(cert, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client may ask for renegotiation again and again, at the cost of a signature each time.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(cert, key)
    return context, fingerprint(certificates_in(pem)[0])


def self_made(state_dir: Path, now: datetime) -> Path:
    """The file with the self-made certificate and its key, mode 0600, good for at least a month from `now`."""
    file = state_dir / FILE_NAME
    try:
        if not file.exists():
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(file, _make(now))
        elif _ends_soon(file, now):
            _write_private(file, _make(now))
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        raise BadInput(f"the certificate {file} cannot be kept: {why}", "correct the permissions of it") from None
    return file


def _checked(cert: Path, key: Path) -> bytes:
    """The certificate's PEM, after looking that the key belongs to it: OpenSSL's own errors name neither file."""
    try:
        pem, private = cert.read_bytes(), key.read_bytes()
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        raise BadInput(f"{error.filename} cannot be read: {why}", "correct the path or its permissions") from None
    try:
        check_pair(pem, private)
    except Wrong as wrong:
        raise BadInput(f"{cert}: {wrong.what}", wrong.remedy) from None
    return pem


def _ends_soon(file: Path, now: datetime) -> bool:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise BadInput(
            f"others may read {file}, which holds the broker's private key",
            "delete it: a new one is made at the next start, with a new fingerprint",
        )
    try:
        cert = certificates_in(file.read_bytes())[0]
    except Wrong as wrong:
        raise BadInput(f"{file} {wrong.what}", "delete it: a new one is made at the next start") from None
    return cert.not_valid_after_utc - now < RENEW_BEFORE_END


def _make(now: datetime) -> bytes:
    """A self-signed P-256 certificate for this machine's own names, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hoopx broker on this machine")])
    cert = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(_own_names(), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Strict verifiers (Python 3.13 and newer) insist on these two.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return cert.public_bytes(Encoding.PEM) + private


def _own_names() -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    return x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])


def _write_private(file: Path, content: bytes) -> None:
    """All or nothing, and readable by nobody else at any moment."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
