"""Read a SAML identity provider's description, and write our own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, load_der_x509_certificate
from lxml import etree
from msgspec import Struct

from hoopx_broker.identity.documents import checked_url
from hoopx_broker.identity.embedded.upstream.saml_document import METADATA, SIGNATURE, one, read_document, text_of
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.keys import MAX_RSA_BITS, MIN_RSA_BITS
from hoopx_broker.terms.errors import BadInput

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"


class ProviderMetadata(Struct, frozen=True):
    """A provider: its name, where people are sent, and the certificates whose keys its answers are signed by."""

    entity: str
    sign_in: str
    certificates: tuple[Certificate, ...]


def read_metadata(content: bytes) -> ProviderMetadata:
    """The one provider that a file describes. Raises `BadInput`, which says what the file lacks."""
    try:
        root = read_document(_without_comments(content))
        if root.tag != f"{METADATA}EntityDescriptor" or not root.get("entityID"):
            raise NotAccepted("it does not describe one entity (`EntityDescriptor`)")
        provider = one(root, f"{METADATA}IDPSSODescriptor")
        if provider.get("WantAuthnRequestsSigned") in ("true", "1"):
            raise NotAccepted("the provider wants signed requests, and hoopx signs none")
        certificates = tuple(_certificates(provider))
    except NotAccepted as refusal:
        raise BadInput(str(refusal), "store the metadata that the identity provider publishes") from None
    if not certificates:
        raise BadInput("it names no signing key that is strong enough", "it needs RSA of 2048 bits or more, or EC")
    return ProviderMetadata(root.get("entityID", ""), _sign_in(provider), certificates)


def _without_comments(content: bytes) -> bytes:
    """A file of the operator's may hold comments and an instruction; what comes from the net may not."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise NotAccepted("it is not XML") from None
    if root.getroottree().docinfo.doctype:
        raise NotAccepted("it declares a document type")
    return bytes(etree.tostring(root, encoding="utf-8"))


def _sign_in(provider: etree._Element) -> str:
    for service in provider.findall(f"{METADATA}SingleSignOnService"):
        if service.get("Binding") == REDIRECT:
            return checked_url(service.get("Location"), "address of the provider's SingleSignOnService")
    raise BadInput("it has no SingleSignOnService for HTTP-Redirect", "switch that binding on at the provider")


def _certificates(provider: etree._Element) -> Iterator[Certificate]:
    for descriptor in provider.findall(f"{METADATA}KeyDescriptor"):
        if descriptor.get("use", "signing") != "signing":
            continue
        for element in descriptor.iter(f"{SIGNATURE}X509Certificate"):
            try:
                certificate = load_der_x509_certificate(base64.b64decode("".join(text_of(element).split())))
            except (binascii.Error, ValueError):
                raise NotAccepted("a certificate in it cannot be read") from None
            if _is_strong(certificate):
                yield certificate


def _is_strong(certificate: Certificate) -> bool:
    match certificate.public_key():
        case RSAPublicKey() as key:
            return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        case EllipticCurvePublicKey() as key:
            return key.key_size >= 256
        case _:
            return False


def own_metadata(entity: str, here: str) -> str:
    """What an identity provider needs to know of us."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID={quoteattr(entity)}>
  <SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="{_SAML2}">
    <AssertionConsumerService Binding="{POST}" Location={quoteattr(here)} index="0" isDefault="true"/>
  </SPSSODescriptor>
</EntityDescriptor>
"""
