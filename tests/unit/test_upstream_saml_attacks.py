"""Attacks on answers of a SAML provider: forged, wrapped, replayed, misdirected, and hostile as documents."""

from __future__ import annotations

import copy
import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.upstream.saml_assertions import judge
from hoopx_broker.identity.jws import NotAccepted
from tests.unit.saml_stage import (
    CERTIFICATE,
    ENTITY,
    KEY,
    NAMES,
    PROVIDER,
    SAML,
    STRANGER,
    assertion,
    at,
    certificate,
    expected,
    parsed,
    posted,
    response,
    signed,
    told,
    written,
)

DS = f"{{{NAMES['ds']}}}"
A = f"{{{NAMES['saml']}}}"
P = f"{{{NAMES['samlp']}}}"

HONEST = response(signed(assertion()))


def refused(xml: str | bytes, why: str, **changes: object) -> None:
    with pytest.raises(NotAccepted, match=why):
        told(xml, **changes)


# The honest answers


@pytest.mark.parametrize(
    "xml",
    [HONEST, signed(response(assertion())), signed(response(signed(assertion())))],
    ids=["assertion", "response", "both"],
)
def test_an_honest_answer_tells_who_came(xml: str) -> None:
    said = told(xml)
    assert said.name == "ann"
    assert said.attributes == {"email": ["ann@example.com"], "groups": ["dba", "Domain Users"]}


@pytest.mark.parametrize("method", [SignatureMethod.RSA_SHA512, SignatureMethod.SHA256_RSA_MGF1])
def test_stronger_algorithms_are_taken(method: SignatureMethod) -> None:
    assert told(response(signed(assertion(), method=method, digest=DigestAlgorithm.SHA512))).name == "ann"


def test_a_key_of_an_elliptic_curve_is_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    by = certificate(key)
    xml = response(signed(assertion(), key=key, by=by, method=SignatureMethod.ECDSA_SHA256))
    assert told(xml, certificates=(by,)).name == "ann"


def test_while_a_provider_turns_its_keys_both_hold() -> None:
    other = certificate(STRANGER)
    assert told(HONEST, certificates=(other, CERTIFICATE)).name == "ann"


def test_a_certificate_in_metadata_is_believed_past_its_date() -> None:
    assert told(HONEST, certificates=(certificate(KEY, ends_in=timedelta(days=-1)),)).name == "ann"


# Signatures


def test_an_unsigned_answer_is_refused() -> None:
    refused(response(assertion()), "neither the response nor its assertion is signed")


def test_an_answer_signed_by_another_key_is_refused() -> None:
    refused(response(signed(assertion(), key=STRANGER, by=certificate(STRANGER))), "under any key")


def test_the_certificate_that_an_answer_brings_proves_nothing() -> None:
    """The stranger's signature, beside the provider's own certificate."""
    refused(response(signed(assertion(), key=STRANGER, by=CERTIFICATE)), "under any key")


def test_a_key_that_an_answer_brings_proves_nothing() -> None:
    refused(response(signed(assertion(), key=STRANGER, by=None)), "under any key")


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        (SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA256),
        (SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA1),
    ],
)
def test_sha1_is_refused(method: SignatureMethod, digest: DigestAlgorithm) -> None:
    refused(response(signed(assertion(), method=method, digest=digest)), "under any key")


def test_an_hmac_with_the_public_key_as_its_secret_is_refused() -> None:
    algorithm = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    refused(HONEST.replace("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", algorithm), "under any key")


@pytest.mark.parametrize("word", ["ann@example.com", "dba", ">ann<", ENTITY])
def test_one_changed_word_breaks_the_signature(word: str) -> None:
    changed = word.replace("a", "o", 1)
    with pytest.raises(NotAccepted):
        told(HONEST.replace(word, changed))


def test_a_second_signature_that_does_not_hold_is_not_overlooked() -> None:
    whole = parsed(signed(response(signed(assertion()))))
    value = whole.find(f"{DS}Signature/{DS}SignatureValue")
    assert value is not None
    value.text = "A" + str(value.text)[1:] if not str(value.text).startswith("A") else "B" + str(value.text)[1:]
    refused(written(whole), "under any key")


def test_a_stylesheet_or_an_xpath_among_the_transforms_is_refused() -> None:
    for algorithm in ("http://www.w3.org/TR/1999/REC-xslt-19991116", "http://www.w3.org/TR/1999/REC-xpath-19991116"):
        root = parsed(HONEST)
        transforms = root.find(f".//{DS}Transforms")
        assert transforms is not None
        etree.SubElement(transforms, f"{DS}Transform", Algorithm=algorithm)
        refused(written(root), "transforms in unknown ways")


@pytest.mark.parametrize(
    "uri", ["", "#_r1", "#other", "#xpointer(/)", "http://attacker.example.com/x.xml", "file:///etc/passwd"]
)
def test_a_signature_that_names_something_else_is_refused(uri: str) -> None:
    refused(HONEST.replace('URI="#_a1"', f'URI="{uri}"'), "names another element")


def test_two_references_in_one_signature_are_refused() -> None:
    root = parsed(HONEST)
    reference = root.find(f".//{DS}Reference")
    assert reference is not None
    reference.addnext(copy.deepcopy(reference))
    refused(written(root), "2 `Reference`")


# Wrapping: the signed assertion is moved elsewhere, and one of the attacker's stands in its place.


def evil() -> etree._Element:
    return parsed(assertion(id="_evil", name_id="root", email="root@example.com"))


def wrapped(how: str) -> str:
    """The eight classic permutations of XML signature wrapping, and two of their children."""
    root = parsed(signed(response(assertion())) if how.startswith("response") else HONEST)
    honest = root.find(f"{A}Assertion")
    assert honest is not None
    forged = evil()
    match how:
        case "response-1":  # the signed response becomes a child of the signature of a forged one
            outer = parsed(response(written(forged), id="_evil_r"))
            signature = root.find(f"{DS}Signature")
            assert signature is not None
            outer.insert(1, signature)
            signature.append(root)
            return written(outer)
        case "response-2":  # ... or stands before it
            outer = parsed(response(written(forged), id="_evil_r"))
            signature = root.find(f"{DS}Signature")
            assert signature is not None
            outer.insert(1, root)
            outer.insert(2, signature)
            return written(outer)
        case "sibling-before":
            honest.addprevious(forged)
        case "sibling-after":
            honest.addnext(forged)
        case "parent":  # the honest one hangs inside the forged
            root.replace(honest, forged)
            forged.append(honest)
        case "parent-with-signature":
            signature = honest.find(f"{DS}Signature")
            assert signature is not None
            root.replace(honest, forged)
            forged.insert(1, signature)
            forged.append(honest)
        case "object":  # the honest one hangs inside the signature's own Object
            signature = honest.find(f"{DS}Signature")
            assert signature is not None
            root.replace(honest, forged)
            forged.insert(1, signature)
            etree.SubElement(signature, f"{DS}Object").append(honest)
        case "extensions":
            extensions = etree.Element(f"{P}Extensions")
            root.insert(1, extensions)
            root.replace(honest, forged)
            extensions.append(honest)
        case "advice":
            root.replace(honest, forged)
            advice = etree.SubElement(forged, f"{A}Advice")
            advice.append(honest)
        case "same-id":
            forged.set("ID", "_a1")
            honest.addprevious(forged)
    return written(root)


@pytest.mark.parametrize(
    "how",
    [
        "response-1",
        "response-2",
        "sibling-before",
        "sibling-after",
        "parent",
        "parent-with-signature",
        "object",
        "extensions",
        "advice",
        "same-id",
    ],
)
def test_a_wrapped_answer_is_refused(how: str) -> None:
    with pytest.raises(NotAccepted):
        told(wrapped(how))


def test_an_id_that_stands_twice_is_refused() -> None:
    refused(HONEST.replace('ID="_r1"', 'ID="_a1"'), "an id stands twice")


def test_an_encrypted_assertion_is_refused_not_skipped() -> None:
    root = parsed(HONEST)
    etree.SubElement(root, f"{A}EncryptedAssertion")
    refused(written(root), "encrypted")


# Whom it is for, what it answers, and when


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "https://other.example.com"}, "the assertion is of"),
        ({"recipient": "https://other.example.com/acs"}, "to be delivered to"),
        ({"answers": 'InResponseTo="_other"'}, "answers another request"),
        ({"answers": ""}, "answers another request"),
        ({"confirmed_until": f'NotOnOrAfter="{at(-1)}"'}, "past its end"),
        ({"confirmed_until": ""}, "has no end"),
        ({"confirmed_until": f'NotBefore="{at(-9)}" NotOnOrAfter="{at(9)}"'}, "has a beginning"),
        ({"method": f"{SAML}:cm:sender-vouches"}, "nothing confirms"),
        ({"method": f"{SAML}:cm:holder-of-key"}, "nothing confirms"),
        ({"begins": f'NotBefore="{at(61)}"'}, "in the future"),
        ({"ends": f'NotOnOrAfter="{at(0)}"'}, "past its end"),
        ({"ends": 'NotOnOrAfter="tomorrow"'}, "not a time"),
        ({"ends": 'NotOnOrAfter="2027-02-30T00:00:00Z"'}, "not a time"),
        ({"conditions": ""}, "does not say for whom"),
        ({"conditions": "<saml:AudienceRestriction/>"}, "its audience is"),
        (
            {
                "conditions": "<saml:AudienceRestriction><saml:Audience>https://other.example.com</saml:Audience>"
                "</saml:AudienceRestriction>"
            },
            "its audience is",
        ),
        (
            {
                "conditions": f"<saml:AudienceRestriction><saml:Audience>{ENTITY}</saml:Audience>"
                "</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>https://other.example.com"
                "</saml:Audience></saml:AudienceRestriction>"
            },
            "its audience is",
        ),
        (
            {
                "conditions": f"<saml:AudienceRestriction><saml:Audience>{ENTITY}</saml:Audience>"
                "</saml:AudienceRestriction><saml:Condition/>"
            },
            "does not know",
        ),
        ({"statement": ""}, "does not say that somebody signed in"),
        ({"statement": f'<saml:AuthnStatement AuthnInstant="{at(-9)}" SessionNotOnOrAfter="{at(0)}"/>'}, "is over"),
        ({"statement": f'<saml:AuthnStatement AuthnInstant="{at(99)}"/>'}, "in the future"),
    ],
)
def test_an_assertion_that_does_not_fit_is_refused(changes: dict[str, str], why: str) -> None:
    refused(response(signed(assertion(**changes))), why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"answers": ""}, "does not answer the request"),  # begun by the provider, or by somebody else
        ({"answers": 'InResponseTo="_other"'}, "does not answer the request"),
        ({"destination": 'Destination="https://other.example.com/acs"'}, "is meant for"),
        ({"issuer": "<saml:Issuer>https://other.example.com</saml:Issuer>"}, "the response is of"),
        ({"status": ""}, "`Status`"),
    ],
)
def test_a_response_that_does_not_fit_is_refused(changes: dict[str, str], why: str) -> None:
    refused(response(signed(assertion()), **changes), why)


def test_an_answer_to_the_trip_of_another_browser_is_refused() -> None:
    refused(HONEST, "does not answer the request", request="_another")


def test_an_answer_for_another_upstream_of_ours_is_refused() -> None:
    """Two upstreams of one broker: each has its own entity and its own address for answers."""
    elsewhere = "https://broker.example.com/oidc/upstream/new-corp/"
    changes = {"here": f"{elsewhere}callback", "audience": f"{elsewhere}metadata"}
    refused(HONEST, "is meant for", **changes)
    refused(response(signed(assertion()), destination=""), "to be delivered to", **changes)


def test_a_provider_that_says_no_is_heard() -> None:
    inner = f'<samlp:StatusCode Value="{SAML}:status:AuthnFailed"/>'
    status = (
        f'<samlp:Status><samlp:StatusCode Value="{SAML}:status:Responder">{inner}</samlp:StatusCode></samlp:Status>'
    )
    with pytest.raises(Declined, match=r"\AAuthnFailed\Z"):
        told(response(status=status))


def test_what_a_refusal_says_is_not_repeated_to_people() -> None:
    status = '<samlp:Status><samlp:StatusCode Value="call 555-1234 now"/></samlp:Status>'
    with pytest.raises(Declined, match=r"\Aerror\Z"):
        told(response(status=status))


def test_a_success_beside_a_failure_is_no_success() -> None:
    both = "".join(
        f'<samlp:Status><samlp:StatusCode Value="{SAML}:status:{word}"/></samlp:Status>'
        for word in ("Success", "Responder")
    )
    refused(response(signed(assertion()), status=both), "2 `Status`")


# The document itself


def test_a_comment_in_a_name_cuts_nothing_off() -> None:
    """CVE-2017-11427 and its kin: `root<!-- -->@evil.example.com` was read as `root`, and its signature held."""
    honest = response(signed(assertion(name_id="root@example.com.evil.example.net")))
    for place in ("root@example.com", ">root"):
        refused(honest.replace(place, f"{place}<!-- -->", 1), "declarations, comments or instructions")


def test_a_comment_in_an_attribute_is_refused() -> None:
    refused(HONEST.replace("ann@example.com", "ann@example.com<!---->.evil.example.net"), "comments")


@pytest.mark.parametrize(
    "inside",
    ["<![CDATA[root]]>", "<?pi root?>", "<saml:x>root</saml:x>", "root<saml:x/>"],
    ids=["cdata", "pi", "child", "cut"],
)
def test_a_name_that_is_more_than_text_is_refused(inside: str) -> None:
    with pytest.raises(NotAccepted):
        told(HONEST.replace(">ann<", f">{inside}<"))


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/evil.dtd">',
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>',
        '<?xml version="1.0"?>\n<?xml-stylesheet href="file:///etc/passwd"?>',
    ],
    ids=["file", "dtd", "parameter", "stylesheet"],
)
def test_documents_that_would_load_something_are_refused(prologue: str) -> None:
    refused(prologue + HONEST.replace("ann@example.com", "&x;"), "declarations")


def test_a_bomb_of_entities_never_goes_off() -> None:
    bombs = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10))
    refused(f'<!DOCTYPE r [<!ENTITY b0 "boom">{bombs}]>' + HONEST.replace("ann", "&b9;"), "declarations")


def test_a_document_type_in_another_encoding_does_not_slip_through() -> None:
    hostile = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + HONEST.replace("ann@example.com", "&x;")
    refused(hostile.encode("utf-16"), "not UTF-8|not XML|declarations")
    seven = '<?xml version="1.0" encoding="utf-7"?>' + hostile.replace("<", "+ADw-")
    refused(seven, "not XML|declarations")
    refused(b'<?xml version="1.0" encoding="ebcdic-cp-us"?>' + hostile.encode("cp037"), "not UTF-8|not XML")


def test_an_undeclared_entity_is_not_a_name() -> None:
    refused(HONEST.replace(">ann<", ">&ann;<"), "not XML")


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"\x00",
        b"<",
        b"<a/>",
        "<a>" * 5000,
        "<a " + " ".join(f'b{n}="1"' for n in range(30_000)) + "/>",
        "x" * 300_000,
        HONEST.replace('Version="2.0"', 'Version="1.1"', 1),
        HONEST.replace("Response ", "LogoutResponse ").replace("samlp:Response>", "samlp:LogoutResponse>"),
        signed(assertion()),
    ],
    ids=["nothing", "nul", "half", "small", "deep", "wide", "large", "saml-1", "logout", "bare"],
)
def test_what_is_no_answer_is_refused(xml: str | bytes) -> None:
    with pytest.raises(NotAccepted):
        told(xml)


@pytest.mark.parametrize("text", ["", "!!!", "PHNhbWw+%", "é", posted(HONEST)[:-3] + "==="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(NotAccepted):
        judge(text, expected())


def test_names_of_other_namespaces_mean_nothing() -> None:
    refused(HONEST.replace(NAMES["saml"], "urn:evil"), "exactly one assertion|is of")


def test_every_single_element_that_is_taken_out_of_a_signed_answer_is_missed() -> None:
    """Nothing in a signed assertion can be left out, and nothing outside of it makes a refusal into a yes."""
    count = sum(1 for _ in parsed(HONEST).find(f"{A}Assertion").iter()) - 1
    for index in range(count):
        root = parsed(HONEST)
        gone = list(root.find(f"{A}Assertion").iter())[index + 1]
        parent = gone.getparent()
        assert parent is not None
        if re.search("KeyInfo|X509|KeyValue|Modulus|Exponent", str(gone.tag)):
            continue  # what a signature says of its key is not looked at
        parent.remove(gone)
        with pytest.raises(NotAccepted):
            told(written(root))


def test_the_provider_is_named_in_full() -> None:
    refused(response(signed(assertion(issuer=PROVIDER + "/"))), "the assertion is of")
