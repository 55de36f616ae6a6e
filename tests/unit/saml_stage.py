"""A SAML provider's signing desk (a double: the journeys meet a real one), and a trip whose answer is expected."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from hoopx_broker.identity.embedded.upstream.saml_assertions import Expected, Told, judge
from tests.unit.identity_stage import NOW

PROVIDER = "https://idp.example.com/saml"
ENTITY = "https://broker.example.com/oidc/upstream/old-corp/metadata"
HERE = "https://broker.example.com/oidc/upstream/old-corp/callback"
REQUEST = "_0123456789abcdef"
SAML = "urn:oasis:names:tc:SAML:2.0"
NAMES = {"saml": f"{SAML}:assertion", "samlp": f"{SAML}:protocol", "ds": "http://www.w3.org/2000/09/xmldsig#"}

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def certificate(key: Private, ends_in: timedelta = timedelta(days=365)) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.com")])
    begins = datetime.fromtimestamp(NOW, UTC) - timedelta(days=3650)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begins)
    return builder.not_valid_after(datetime.fromtimestamp(NOW, UTC) + ends_in).sign(key, hashes.SHA256())


KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = certificate(KEY)
STRANGER = rsa.generate_private_key(65537, 2048)


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion(**changes: str) -> str:
    """An honest assertion; each change replaces one text in it."""
    said = {
        "id": "_a1",
        "issuer": PROVIDER,
        "name_id": "ann",
        "format": f"{SAML}:nameid-format:persistent",
        "recipient": HERE,
        "answers": f'InResponseTo="{REQUEST}"',
        "confirmed_until": f'NotOnOrAfter="{at(300)}"',
        "method": f"{SAML}:cm:bearer",
        "begins": f'NotBefore="{at(-5)}"',
        "ends": f'NotOnOrAfter="{at(300)}"',
        "conditions": f"<saml:AudienceRestriction><saml:Audience>{ENTITY}</saml:Audience></saml:AudienceRestriction>",
        "statement": f'<saml:AuthnStatement AuthnInstant="{at(-5)}"><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>{SAML}:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
        "</saml:AuthnStatement>",
        "email": "ann@example.com",
    } | changes
    return f"""<saml:Assertion xmlns:saml="{NAMES["saml"]}" ID="{said["id"]}" Version="2.0" IssueInstant="{at(-5)}">\
<saml:Issuer>{said["issuer"]}</saml:Issuer>\
<saml:Subject><saml:NameID Format="{said["format"]}">{said["name_id"]}</saml:NameID>\
<saml:SubjectConfirmation Method="{said["method"]}">\
<saml:SubjectConfirmationData Recipient="{said["recipient"]}" {said["answers"]} {said["confirmed_until"]}/>\
</saml:SubjectConfirmation></saml:Subject>\
<saml:Conditions {said["begins"]} {said["ends"]}>{said["conditions"]}</saml:Conditions>{said["statement"]}\
<saml:AttributeStatement>\
<saml:Attribute Name="email"><saml:AttributeValue>{said["email"]}</saml:AttributeValue></saml:Attribute>\
<saml:Attribute Name="groups"><saml:AttributeValue>dba</saml:AttributeValue>\
<saml:AttributeValue>Domain Users</saml:AttributeValue></saml:Attribute>\
</saml:AttributeStatement></saml:Assertion>"""


def signed(
    xml: str,
    key: Private = KEY,
    by: x509.Certificate | None = CERTIFICATE,
    method: SignatureMethod = SignatureMethod.RSA_SHA256,
    digest: DigestAlgorithm = DigestAlgorithm.SHA256,
) -> str:
    """The element with a signature in it, as providers put it: behind the issuer."""
    root = etree.fromstring(xml)
    placed = etree.SubElement(root, f"{{{NAMES['ds']}}}Signature", Id="placeholder", nsmap={"ds": NAMES["ds"]})
    root.insert(1, placed)
    signer = _Signer(
        signature_algorithm=method,
        digest_algorithm=digest,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    pem = [by.public_bytes(Encoding.PEM).decode()] if by is not None else None
    done = signer.sign(
        root, key=key, cert=pem, reference_uri=root.get("ID"), id_attribute="ID", always_add_key_value=by is None
    )
    return str(etree.tostring(done).decode())


class _Signer(XMLSigner):
    """Signs by SHA-1 too, which the library rightly refuses: an attack."""

    def check_deprecated_methods(self) -> None:
        pass


def response(*inside: str, **changes: str) -> str:
    said = {
        "id": "_r1",
        "answers": f'InResponseTo="{REQUEST}"',
        "destination": f'Destination="{HERE}"',
        "issuer": f"<saml:Issuer>{PROVIDER}</saml:Issuer>",
        "status": f'<samlp:Status><samlp:StatusCode Value="{SAML}:status:Success"/></samlp:Status>',
    } | changes
    return (
        f'<samlp:Response xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID="{said["id"]}" Version="2.0" '
        f'IssueInstant="{at(-5)}" {said["answers"]} {said["destination"]}>{said["issuer"]}{said["status"]}'
        f"{''.join(inside)}</samlp:Response>"
    )


def posted(xml: str | bytes) -> str:
    return base64.b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def expected(**changes: Any) -> Expected:
    fits: dict[str, Any] = {
        "provider": PROVIDER,
        "certificates": (CERTIFICATE,),
        "audience": ENTITY,
        "here": HERE,
        "request": REQUEST,
        "now": NOW,
    }
    return Expected(**(fits | changes))


def told(xml: str | bytes, **changes: Any) -> Told:
    return judge(posted(xml), expected(**changes))


def parsed(xml: str) -> etree._Element:
    return etree.fromstring(xml)


def written(root: etree._Element) -> str:
    return str(etree.tostring(root).decode())
