"""Check XML signatures, and give nothing but what was signed."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.x509 import Certificate
from lxml import etree
from msgspec import Struct
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from hoopx_broker.identity.embedded.upstream.saml_document import SIGNATURE, one
from hoopx_broker.identity.jws import NotAccepted, shown

# SHA-256 and stronger, by RSA and the elliptic curves: what providers use. HMAC and DSA are not among them.
METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
# SAML core, section 5.4.4: these two and no other (a stylesheet or an XPath could sign one thing and show another).
_TRANSFORMS = frozenset({"http://www.w3.org/2000/09/xmldsig#enveloped-signature", _EXCLUSIVE})


class Signed(Struct, frozen=True):
    """An element made anew of the bytes that were signed; its signature is no part of it."""

    element: etree._Element


def signature_of(element: etree._Element) -> etree._Element | None:
    """The signature that stands in an element for that element."""
    found = element.findall(f"{SIGNATURE}Signature")
    if len(found) > 1:
        raise NotAccepted("an element has more than one signature")
    return found[0] if found else None


def verify(element: etree._Element, certificates: Sequence[Certificate]) -> Signed:
    """What one of these keys signed of exactly this element. Raises `NotAccepted`."""
    _check_shape(element)
    alone = etree.tostring(element)  # a document of its own: there is nothing else in it that could be meant
    for certificate in certificates:
        if (signed := _verified(alone, certificate)) is not None:
            if (signed.tag, signed.get("ID")) != (element.tag, element.get("ID")):
                raise NotAccepted("its signature is over another element")
            return Signed(signed)
    raise NotAccepted("its signature does not hold under any key of the provider's metadata")


def _check_shape(element: etree._Element) -> None:
    """The profile of SAML core, section 5.4: one reference, to the element around it, in exclusive canonical form."""
    signature = signature_of(element)
    if signature is None:
        raise NotAccepted("it is not signed")
    information = one(signature, f"{SIGNATURE}SignedInfo")
    reference = one(information, f"{SIGNATURE}Reference")
    if not element.get("ID") or reference.get("URI") != f"#{element.get('ID')}":
        raise NotAccepted("its signature names another element")
    canonical = one(information, f"{SIGNATURE}CanonicalizationMethod").get("Algorithm")
    steps = {step.get("Algorithm") for step in one(reference, f"{SIGNATURE}Transforms")}
    if canonical != _EXCLUSIVE or not steps <= _TRANSFORMS:
        raise NotAccepted(f"its signature transforms in unknown ways: {shown(sorted(map(str, steps)))}")


def _verified(document: bytes, certificate: Certificate) -> etree._Element | None:
    # In metadata a certificate is the envelope of a key, believed because it stands there: its dates say nothing
    # (SAML V2.0 Metadata Interoperability Profile, section 2.6.1). Which key counts is decided by the file.
    configuration = SignatureConfiguration(
        location="./",
        signature_methods=METHODS,
        digest_algorithms=DIGESTS,
        ignore_ambiguous_key_info=True,
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        verified = XMLVerifier().verify(document, x509_cert=certificate, id_attribute="ID", expect_config=configuration)
    # What is wrong with a signature comes as errors of four libraries; all mean: not by this key.
    except Exception:
        return None
    return None if isinstance(verified, list) else verified.signed_xml
