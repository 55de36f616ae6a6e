"""Judge the answer of a SAML identity provider: what must hold before it says who somebody is."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from cryptography.x509 import Certificate
from lxml import etree
from msgspec import Struct

from hoopx_broker.identity.claims import MAX_SKEW
from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.upstream.saml_document import (
    ASSERTION,
    PROTOCOL,
    SIGNATURE,
    moment,
    one,
    read_document,
    text_of,
)
from hoopx_broker.identity.embedded.upstream.saml_signatures import signature_of, verify
from hoopx_broker.identity.jws import NotAccepted, shown

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
_CONDITIONS = frozenset(f"{ASSERTION}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))
_STATUS = re.compile(r"urn:oasis:names:tc:SAML:2\.0:status:([A-Za-z]{1,40})")


class Expected(Struct, frozen=True):
    """What an answer must fit: the provider and its keys, us (`audience`, `here`), and the request it answers."""

    provider: str
    certificates: Sequence[Certificate]
    audience: str
    here: str
    request: str
    now: float


class Told(Struct, frozen=True):
    """What the provider says. `id` must not come again before `holds_until`; `session_ends_at` is its wish."""

    id: str
    name: str
    format: str
    attributes: dict[str, list[str]]
    holds_until: float
    session_ends_at: float | None


def judge(answer: str, expected: Expected) -> Told:
    """What a `SAMLResponse` tells. Raises `NotAccepted`, or `Declined` where the provider itself says no."""
    try:
        root = read_document(base64.b64decode("".join(answer.split()), validate=True))
    except (binascii.Error, ValueError):
        raise NotAccepted("the answer is not base64") from None
    _check_envelope(root, expected)
    _check_status(root)
    assertion = _signed_assertion(root, expected.certificates)
    _check_assertion(assertion, expected)
    holds_until = min(_check_subject(assertion, expected), _check_conditions(assertion, expected))
    name = one(one(assertion, f"{ASSERTION}Subject"), f"{ASSERTION}NameID")
    return Told(
        id=assertion.get("ID", ""),
        name=text_of(name),
        format=name.get("Format", ""),
        attributes=_attributes(assertion),
        holds_until=holds_until,
        session_ends_at=_check_statements(assertion, expected.now),
    )


def _check_envelope(root: etree._Element, expected: Expected) -> None:
    if root.tag != f"{PROTOCOL}Response" or root.get("Version") != "2.0":
        raise NotAccepted("the document is not a SAML 2.0 response")
    # An answer that nobody asked for is refused: whoever began it may be somebody else.
    if root.get("InResponseTo") != expected.request:
        raise NotAccepted("the response does not answer the request of this trip")
    if root.get("Destination", expected.here) != expected.here:
        raise NotAccepted(f"the response is meant for {shown(root.get('Destination'))}")
    if (issuer := root.find(f"{ASSERTION}Issuer")) is not None and text_of(issuer) != expected.provider:
        raise NotAccepted(f"the response is of {shown(text_of(issuer))}")


def _check_status(root: etree._Element) -> None:
    code = one(one(root, f"{PROTOCOL}Status"), f"{PROTOCOL}StatusCode")
    if code.get("Value") == SUCCESS:
        return
    second = code.find(f"{PROTOCOL}StatusCode")
    known = _STATUS.fullmatch((code if second is None else second).get("Value", ""))
    raise Declined(known.group(1) if known else "error")


def _signed_assertion(root: etree._Element, certificates: Sequence[Certificate]) -> etree._Element:
    """The one assertion, made of signed bytes alone. Every signature that stands in the answer must hold."""
    _check_unambiguous(root)
    assertion = one(root, f"{ASSERTION}Assertion")
    signatures = [signature_of(root) is not None, signature_of(assertion) is not None]
    if sum(signatures) == 0:
        raise NotAccepted("neither the response nor its assertion is signed")
    if sum(signatures) != sum(1 for _ in root.iter(f"{SIGNATURE}Signature")):
        raise NotAccepted("a signature stands where none belongs")
    whole = verify(root, certificates).element if signatures[0] else None
    if signatures[1]:
        return verify(assertion, certificates).element
    assert whole is not None
    return one(whole, f"{ASSERTION}Assertion")


def _check_unambiguous(root: etree._Element) -> None:
    """One assertion in the whole document, each id once: nothing to wrap a signature around."""
    if root.find(f".//{ASSERTION}EncryptedAssertion") is not None:
        raise NotAccepted("the assertion is encrypted, which hoopx does not read")
    if sum(1 for _ in root.iter(f"{ASSERTION}Assertion")) != 1:
        raise NotAccepted("the response does not hold exactly one assertion")
    ids = [value for each in root.iter() for name, value in each.attrib.items() if name in ("ID", "Id", "id")]
    if len(ids) != len(set(ids)):
        raise NotAccepted("an id stands twice")


def _check_assertion(assertion: etree._Element, expected: Expected) -> None:
    if assertion.get("Version") != "2.0" or not assertion.get("ID"):
        raise NotAccepted("the assertion is not of SAML 2.0")
    issuer = text_of(one(assertion, f"{ASSERTION}Issuer"))
    if issuer != expected.provider:
        raise NotAccepted(f"the assertion is of {shown(issuer)}")


def _check_subject(assertion: etree._Element, expected: Expected) -> float:
    """One confirmation must say: the bearer, here, now, in answer to this request (profiles, section 4.1.4.2)."""
    subject = one(assertion, f"{ASSERTION}Subject")
    why = "nothing confirms that its bearer is the subject"
    for confirmation in subject.findall(f"{ASSERTION}SubjectConfirmation"):
        if confirmation.get("Method") != BEARER:
            continue
        data = one(confirmation, f"{ASSERTION}SubjectConfirmationData")
        ends_at = moment(data, "NotOnOrAfter")
        if data.get("Recipient") != expected.here:
            why = f"it is to be delivered to {shown(data.get('Recipient'))}"
        elif data.get("InResponseTo") != expected.request:
            why = "it answers another request"
        elif data.get("NotBefore") is not None:
            why = "its confirmation has a beginning, which the profile forbids"
        elif ends_at is None or expected.now >= ends_at:
            why = "its confirmation is past its end" if ends_at else "its confirmation has no end"
        else:
            return ends_at
    raise NotAccepted(why)


def _check_conditions(assertion: etree._Element, expected: Expected) -> float:
    conditions = one(assertion, f"{ASSERTION}Conditions")
    begins_at, ends_at = moment(conditions, "NotBefore"), moment(conditions, "NotOnOrAfter")
    if begins_at is not None and begins_at > expected.now + MAX_SKEW:
        raise NotAccepted("it lies in the future")
    if ends_at is not None and expected.now >= ends_at:
        raise NotAccepted("it is past its end")
    if unknown := [each.tag for each in conditions if each.tag not in _CONDITIONS]:
        raise NotAccepted(f"it holds under conditions that hoopx does not know: {shown(unknown)}")
    restrictions = conditions.findall(f"{ASSERTION}AudienceRestriction")
    if not restrictions:
        raise NotAccepted("it does not say for whom it is")
    for restriction in restrictions:
        audiences = [text_of(each) for each in restriction.findall(f"{ASSERTION}Audience")]
        if expected.audience not in audiences:
            raise NotAccepted(f"its audience is {shown(audiences)}")
    return float("inf") if ends_at is None else ends_at


def _check_statements(assertion: etree._Element, now: float) -> float | None:
    """It must say that somebody signed in; a session that is over there does not begin here."""
    statements = assertion.findall(f"{ASSERTION}AuthnStatement")
    if not statements:
        raise NotAccepted("it does not say that somebody signed in")
    ends = [end for each in statements if (end := moment(each, "SessionNotOnOrAfter")) is not None]
    if any(now >= end for end in ends):
        raise NotAccepted("the session at the provider is over")
    if any((moment(each, "AuthnInstant") or 0) > now + MAX_SKEW for each in statements):
        raise NotAccepted("it tells of a sign-in in the future")
    return min(ends, default=None)


def _attributes(assertion: etree._Element) -> dict[str, list[str]]:
    """Attributes by name, and by friendly name where no attribute has that as its name."""
    told: dict[str, list[str]] = {}
    friendly: dict[str, list[str]] = {}
    for attribute in assertion.iterfind(f"{ASSERTION}AttributeStatement/{ASSERTION}Attribute"):
        values = [text_of(value) for value in attribute.findall(f"{ASSERTION}AttributeValue") if not len(value)]
        for names, name in ((told, attribute.get("Name")), (friendly, attribute.get("FriendlyName"))):
            if name:
                names.setdefault(name, []).extend(values)
    return friendly | told
