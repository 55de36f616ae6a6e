"""Read who the broker is at an identity provider when people log in there for the broker's own pages."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import cast
from urllib.parse import urlsplit

from hoopx_broker.daemon.config_names import address_of, button_name
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer, PageClient

EMBEDDED = "embedded"  # the issuer inside the broker has this address


def read_page(section: Section, issuer: str, client_id: str, before: Sequence[OidcIssuer]) -> PageClient | None:
    """As `page` says; else the public client of `hoopx login`, under the provider's own address."""
    taken = {each.page.slug for each in before if each.page is not None} | {EMBEDDED}
    inner = section.section_or_none("page")
    if inner is None:
        return _client(client_id, _place_apart(issuer, client_id, taken), None)
    client = inner.text_or("client_id", client_id)
    name = inner.parsed_or("name", button_name, _place_apart(issuer, client, taken))
    page = _client(client, name, inner.secret_or_none("client_secret"))
    if page is not None and page.slug in taken:
        inner.note("name", f"has the address `/login/{page.slug}`, as another issuer has", "name it another way")
    inner.close()
    return page


def _client(client_id: str, name: str, secret: Secret | None) -> PageClient | None:
    return None if HOLE in (client_id, name) else PageClient(client_id, name, address_of(name), secret)


def _place_apart(issuer: str, client_id: str, taken: Set[str]) -> str:
    """`login.example.com/realms/main`, and with two clients of one provider something that tells them apart."""
    if HOLE in (issuer, client_id):
        return cast(str, HOLE)
    parts = urlsplit(issuer)
    place = (parts.netloc + parts.path).rstrip("/")
    return f"{place} ({client_id})" if address_of(place) in taken else place
