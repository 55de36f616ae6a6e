"""Read the section `identity`: who says who people and jobs are."""

from __future__ import annotations

from functools import partial
from typing import Literal, assert_never

import msgspec

from hoopx_broker.approvals.persons import folded
from hoopx_broker.daemon import values
from hoopx_broker.daemon.config_claims import claims_in
from hoopx_broker.daemon.config_embedded import read_embedded
from hoopx_broker.daemon.config_pages import read_page
from hoopx_broker.daemon.config_rules import read_rules
from hoopx_broker.daemon.pem import certificates_in
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.identity.keys import read_key
from hoopx_broker.identity.spiffe import is_trust_domain, uses_of
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, OidcIssuer

# The key sets of large providers are a tenth of this.
MAX_JWKS = 1024 * 1024
# A system's whole bundle of roots is a quarter of this.
MAX_CA = 1024 * 1024

Kind = Literal["human", "workload", "embedded"]
_HUMAN: Kind = "human"

_DEFAULT = OidcIssuer(issuer="", audience="", kind="human", claims=Claims())


def read_identity(top: Section) -> tuple[tuple[OidcIssuer, ...], EmbeddedIssuer | None]:
    """The providers in the order of the file, and the embedded issuer where there is one."""
    issuers: list[OidcIssuer] = []
    embedded: EmbeddedIssuer | None = None
    for section in top.items("identity"):
        kind = section.parsed_or("kind", _kind, _HUMAN)
        if kind is HOLE:
            continue
        match kind:
            case "embedded":
                if embedded is not None:
                    section.note("kind", "stands twice", "one embedded issuer holds all local users")
                embedded = read_embedded(section)
            case "human" | "workload":
                issuers.append(_oidc(section, kind, issuers))
            case _:
                assert_never(kind)
        section.close()
    return tuple(issuers), embedded


def read_accounts(top: Section) -> tuple[tuple[str, ...], ...]:
    """The lists of `accounts`, each of them the names of one person; none where the key is absent."""
    lists = top.lists_or("accounts", ())
    seen: set[str] = set()
    for names in (each for each in lists if each is not HOLE and HOLE not in each):
        written = [folded(name) for name in names]
        if len(set(written)) < 2:
            top.note("accounts", "has a list of fewer than two names", "each list has all accounts of one person")
        for name in sorted(seen.intersection(written)):
            top.note("accounts", f"has `{name}` in two lists", "put all accounts of one person into one list")
        seen.update(written)
    return lists


def _kind(text: str) -> Kind:
    match text:
        case "human" | "workload" | "embedded":
            return text
        case _:
            raise Wrong("is not a kind of issuer", "write `human`, `workload` or `embedded`")


def _oidc(section: Section, kind: Literal["human", "workload"], before: list[OidcIssuer]) -> OidcIssuer:
    human = kind == "human"
    name = section.parsed("issuer", values.issuer_url if human else values.workload_issuer)
    jwks_file, jwks = section.path_or_none("jwks_file", MAX_JWKS, partial(_check_jwks, uses=uses_of(name or "")))
    ca, _ = section.path_or_none("ca", MAX_CA, certificates_in)
    client = section.text("client_id") if human else ""
    issuer = OidcIssuer(
        issuer=name,
        audience=section.text("audience"),
        kind=kind,
        claims=_claims(section.section_or_none("claims")),
        client_id=client if human else None,
        scopes=section.texts_or("scopes", _DEFAULT.scopes) if human else (),
        jwks=jwks,
        jwks_file=jwks_file,
        jwks_url=section.parsed_or("jwks_url", values.issuer_url, None),
        ca=ca,
        require_proof=section.flag_or("require_proof", _DEFAULT.require_proof),
        rules=read_rules(section, name),
        page=read_page(section, name, client, before) if human else None,
    )
    _check_keys(section, issuer)
    twin = (issuer.issuer, issuer.audience, issuer.kind)
    if HOLE not in twin and twin in [(each.issuer, each.audience, each.kind) for each in before]:
        section.note("issuer", f"`{issuer.issuer}` stands twice for the same audience", "keep one of the two")
    return issuer


def _check_keys(section: Section, issuer: OidcIssuer) -> None:
    """One place for the keys, and for a trust domain, which has no discovery, at least one."""
    if section.has("jwks_file") and section.has("jwks_url"):
        section.note("jwks_url", "stands beside `jwks_file`", "keep one of the two: where are the keys?")
    elif is_trust_domain(issuer.issuer or "") and not (section.has("jwks_file") or section.has("jwks_url")):
        section.note("issuer", "has no keys", "add `jwks_file`, the trust bundle, or `jwks_url`, where it is served")


def _claims(section: Section | None) -> Claims:
    if section is None:
        return Claims()
    claims = claims_in(section)
    section.close()
    return claims


def _check_jwks(content: bytes, uses: frozenset[str]) -> None:
    """At least one public key by which a token can be verified, and no private one lying about."""
    remedy = "store the provider's JSON Web Key Set, as its `jwks_uri` serves it"
    try:
        keys = msgspec.json.decode(content, type=dict[str, object]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Wrong("is not a JSON Web Key Set", remedy) from None
    if not isinstance(keys, list):
        raise Wrong("is not a JSON Web Key Set: it has no list `keys`", remedy)
    if any(isinstance(key, dict) and "d" in key for key in keys):
        raise Wrong("holds a private key", "keep only the public parts: whoever reads it could sign tokens")
    if not any(isinstance(key, dict) and read_key(key, uses) is not None for key in keys):
        raise Wrong("holds no key that can verify a token", "give RSA (2048 bits or more), EC or Ed25519 keys")
