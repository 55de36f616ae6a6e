"""Read XML of strangers: one document in UTF-8, without anything that could expand, load or hide."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lxml import etree

from hoopx_broker.identity.jws import NotAccepted, shown

PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
ASSERTION = "{urn:oasis:names:tc:SAML:2.0:assertion}"
METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}"

MAX_DOCUMENT = 196_608  # bytes; answers with hundreds of groups have 100,000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def read_document(content: bytes) -> etree._Element:
    """The root of the document. Raises `NotAccepted`.

    Declarations, entities, comments, CDATA and processing instructions are refused before a parser sees them: nothing
    in SAML needs them, and what a signature covers is then just what is read.
    """
    if len(content) > MAX_DOCUMENT:
        raise NotAccepted("the document is too large")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff").lstrip()
    except UnicodeDecodeError:
        raise NotAccepted("the document is not UTF-8") from None
    body = text.partition("?>")[2] if text.startswith("<?xml ") else text
    if "<!" in body or "<?" in body or "\0" in body:
        raise NotAccepted("the document holds declarations, comments or instructions")
    # The encoding is ours to say: a declared one could make other characters of the same bytes.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        return etree.fromstring(body.encode(), parser)
    except etree.XMLSyntaxError:
        raise NotAccepted("the document is not XML") from None


def one(parent: etree._Element, tag: str) -> etree._Element:
    """The one child of that name. Raises `NotAccepted` for none or several."""
    found = parent.findall(tag)
    if len(found) != 1:
        raise NotAccepted(f"it has {len(found)} `{etree.QName(tag).localname}` where one must be")
    return found[0]


def text_of(element: etree._Element) -> str:
    """The text of an element that holds nothing but text."""
    if len(element):
        raise NotAccepted(f"`{etree.QName(element).localname}` holds more than text")
    return (element.text or "").strip()


def moment(element: etree._Element, name: str) -> float | None:
    """An attribute as seconds since the Unix epoch; SAML writes times in UTC (core, section 1.3.3)."""
    said = element.get(name)
    if said is None:
        return None
    if not _TIME.fullmatch(said):
        raise NotAccepted(f"its `{name}` is not a time: {shown(said)}")
    try:
        return datetime.strptime(said[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise NotAccepted(f"its `{name}` is not a time: {shown(said)}") from None
