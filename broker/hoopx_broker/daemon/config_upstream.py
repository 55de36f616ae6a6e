"""Read the list `upstream` of the embedded issuer: providers at which its people log in."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Literal

from hoopx_broker.daemon.config_claims import claims_in
from hoopx_broker.daemon.config_names import address_of, button_name
from hoopx_broker.daemon.pem import certificates_in
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.daemon.values import issuer_url
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import Claims, OidcIssuer, OidcUpstream, SamlUpstream, Upstream

MAX_CA = 1024 * 1024
# A provider's metadata with its certificates is a fortieth of this; a whole federation's is not meant for this file.
MAX_METADATA = 192 * 1024
SCOPES = ("openid", "profile", "email", "offline_access")

_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9-]{1,63})+")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}[/.:+_-]")


def read_upstreams(section: Section) -> tuple[Upstream, ...]:
    """The upstreams in the order of the file; none where the key is absent."""
    upstreams: list[Upstream] = []
    for each in section.items("upstream") if section.has("upstream") else []:
        upstream = _upstream(each)
        if upstream is not None:
            _check_apart(each, upstream, upstreams)
            upstreams.append(upstream)
        each.close()
    return tuple(upstreams)


def _upstream(section: Section) -> Upstream | None:
    name, kind = section.parsed("name", button_name), section.parsed("kind", _kind)
    prefix, domains = section.parsed_or("prefix", _prefix, ""), section.texts_or("domains", ())
    for domain in domains:
        if domain is not HOLE and not _DOMAIN.fullmatch(domain):
            section.note("domains", f"`{domain}` is not a domain", "write for example `[example.com]`, in lower case")
    slug = address_of(name) if name is not HOLE else HOLE
    claims = _claims(section)
    match kind:
        case "oidc":
            # A public client has no secret: PKCE alone binds its codes.
            secret = section.secret_or_none("client_secret")
            return OidcUpstream(name, slug, _provider(section, claims), secret, prefix, domains)
        case "saml":
            _, metadata = section.path("metadata", MAX_METADATA, _check_metadata) or (HOLE, HOLE)
            return SamlUpstream(name, slug, metadata, claims, prefix, domains)
        case _:
            return None


def _provider(section: Section, claims: Claims) -> OidcIssuer:
    client = section.text("client_id")
    ca, _ = section.path_or_none("ca", MAX_CA, certificates_in)
    scopes = section.texts_or("scopes", SCOPES)
    if "openid" not in scopes and HOLE not in scopes:
        section.note("scopes", "lack `openid`", "add it: without it there is no ID token")
    issuer = section.parsed("issuer", issuer_url)
    return OidcIssuer(issuer, client, "human", claims, client, scopes, ca=ca)


def _claims(section: Section) -> Claims:
    inner = section.section_or_none("claims")
    if inner is None:
        return Claims()
    claims = claims_in(inner)
    inner.close()
    return claims


def _kind(text: str) -> Literal["oidc", "saml"]:
    match text:
        case "oidc" | "saml":
            return text
        case _:
            raise Wrong("is not a kind of upstream", "write `oidc` or `saml`")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise Wrong("is not a prefix of names", "write a word that ends with a sign, for example `corp/`")
    return text


def _check_metadata(content: bytes) -> None:
    if find_spec("signxml") is None or find_spec("lxml") is None:
        raise Wrong("is for SAML, and the library for that is not installed", "run: pip install 'hoopx[broker,saml]'")
    # Only here: brokers without SAML do without these libraries.
    from hoopx_broker.identity.embedded.upstream.saml_metadata import read_metadata

    try:
        read_metadata(content)
    except BadInput as error:
        raise Wrong(f"is not the metadata of an identity provider: {error.message}", error.hint) from None


def _check_apart(section: Section, upstream: Upstream, before: list[Upstream]) -> None:
    """Each has an address of its own, and names that none of the others may give."""
    for other in before:
        if HOLE in (upstream.slug, other.slug, upstream.prefix, other.prefix, *upstream.domains, *other.domains):
            continue
        if upstream.slug == other.slug:
            section.note("name", f"has the same address as `{other.name}`: `{upstream.slug}`", "name it another way")
        if not _are_apart(upstream, other):
            section.note(
                "name",
                f"could give the same names to its people as `{other.name}`",
                "give each of them its own `domains: [example.com]` or `prefix: corp/`",
            )


def _are_apart(one: Upstream, other: Upstream) -> bool:
    """Domains that differ, or prefixes of which none begins the other. What still meets is refused at the login."""
    if one.domains and other.domains and one.prefix == other.prefix:
        return not {each.casefold() for each in one.domains} & {each.casefold() for each in other.domains}
    first, second = one.prefix.casefold(), other.prefix.casefold()
    if first and second:
        return not first.startswith(second) and not second.startswith(first)
    return bool((first or one.domains) and (second or other.domains))
