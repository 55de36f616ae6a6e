"""Check PEM files where they are named, rather than at the first handshake that needs them."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hoopx_broker.daemon.problems import Wrong


def certificates_in(pem: bytes) -> list[x509.Certificate]:
    """All certificates of `pem`, at least one. Raises `Wrong`."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Wrong("holds no PEM certificate", "give the file that begins with BEGIN CERTIFICATE") from None
    return found


def check_pair(cert: bytes, key: bytes) -> None:
    """A certificate (its chain may follow) and the unencrypted key that belongs to it. Raises `Wrong`."""
    try:
        leaf = certificates_in(cert)[0]
    except Wrong as wrong:
        raise Wrong(f"`cert` {wrong.what}", wrong.remedy) from None
    try:
        private = load_pem_private_key(key, password=None)
    except TypeError:
        raise Wrong("`key` is encrypted", "store it without a passphrase, readable by the broker only") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Wrong("`key` holds no PEM private key", "give the file that begins with BEGIN PRIVATE KEY") from None
    whole = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*whole) != leaf.public_key().public_bytes(*whole):
        raise Wrong("`key` does not belong to `cert`", "give the key that the certificate was made for")
