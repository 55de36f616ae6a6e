"""The list `upstream` of the configuration: what it means, and how it can be wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.settings import Claims, OidcUpstream, SamlUpstream, Upstream
from tests.unit.saml_stage import CERTIFICATE, certificate

HEAD = """\
policies: rules
identity:
  - kind: embedded
    upstream:
"""
TARGETS = """\
targets:
  db: {kind: postgres, address: db.internal, database: app, credentials: {from: static, user: app, password: plain}}
"""
OIDC = "      - {name: Example Corp, kind: oidc, issuer: https://idp.example.com, client_id: hoopx}\n"
SAML = "      - {name: Old Corp, kind: saml, metadata: idp.xml}\n"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


def metadata(
    pem: str = "".join(CERTIFICATE.public_bytes(Encoding.PEM).decode().splitlines()[1:-1]),
    attributes: str = "",
    binding: str = REDIRECT,
    location: str = "https://idp.example.com/sso",
    use: str = ' use="signing"',
) -> str:
    return f"""<?xml version="1.0"?>
<!-- as the provider publishes it -->
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml">
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"{attributes}>
<KeyDescriptor{use}><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{pem}</X509Certificate>
</X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="{binding}" Location="{location}"/></IDPSSODescriptor></EntityDescriptor>"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[Upstream, ...]]:
    """The upstreams of a file with this list."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "idp.xml").write_text(metadata())

    def run(entries: str) -> tuple[Upstream, ...]:
        file = tmp_path / "hoopx.yaml"
        file.write_text(HEAD + entries + TARGETS)
        embedded = load(file, {"SECRET": "word"}).embedded
        assert embedded is not None
        return embedded.upstreams

    return run


def told(read: Callable[[str], object], entries: str) -> str:
    with pytest.raises(BadConfig) as bad:
        read(entries)
    return bad.value.message


def test_an_upstream_of_openid_connect(read: Callable[[str], tuple[Upstream, ...]]) -> None:
    entry = """\
      - name: Example Corp
        kind: oidc
        issuer: https://idp.example.com
        client_id: hoopx
        client_secret: env:SECRET
        claims: {user: email, groups: roles}
        scopes: [openid, email]
        domains: [example.com]
"""
    [upstream] = read(entry)
    assert isinstance(upstream, OidcUpstream)
    assert (upstream.slug, upstream.domains, upstream.prefix) == ("example-corp", ("example.com",), "")
    assert upstream.secret is not None
    assert upstream.secret.reveal() == "word"
    provider = upstream.provider
    assert (provider.issuer, provider.audience, provider.client_id) == ("https://idp.example.com", "hoopx", "hoopx")
    assert (provider.claims, provider.scopes) == (Claims("email", "roles"), ("openid", "email"))


def test_an_upstream_of_saml(read: Callable[[str], tuple[Upstream, ...]]) -> None:
    [upstream] = read(SAML)
    assert isinstance(upstream, SamlUpstream)
    assert upstream.metadata.decode() == metadata()
    assert upstream.claims == Claims()


def test_upstreams_beside_users_and_alone(read: Callable[[str], tuple[Upstream, ...]]) -> None:
    assert len(read(OIDC)) == 1
    assert len(read(OIDC + "    users: {ann: {password: x}}\n")) == 1


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ("      []\n", "upstream: is empty; add at least one entry"),
        ("      - {kind: oidc, issuer: https://x.example, client_id: x}\n", "upstream[0].name: is missing"),
        (OIDC.replace("oidc", "ldap"), "`ldap` is not a kind of upstream; write `oidc` or `saml`"),
        (OIDC.replace("https:", "http:"), "is not https"),
        (OIDC.replace(", client_id: hoopx", ""), "client_id: is missing"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, client_secrt: x"), "did you mean `client_secret`?"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, scopes: [email]"), "scopes: lack `openid`"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, metadata: idp.xml"), "metadata: is not a known key"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, domains: [Example.com]"), "`Example.com` is not a domain"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, domains: [com]"), "`com` is not a domain"),
        (OIDC.replace("client_id: hoopx", "client_id: hoopx, prefix: corp"), "`corp` is not a prefix"),
        (OIDC.replace("Example Corp", "中文"), "has no letter or digit of a URL"),
        (OIDC.replace("Example Corp", "x" * 61), "is not a name of at most 60"),
        (OIDC + OIDC, "has the same address as `Example Corp`: `example-corp`"),
        (OIDC + OIDC.replace("Example Corp", "example  CORP!"), "has the same address"),
        (OIDC + SAML, "could give the same names to its people as `Example Corp`; give each of them its own `domains"),
        (SAML.replace("idp.xml", "nowhere.xml"), "cannot be read"),
        (SAML.replace(", metadata: idp.xml", ""), "metadata: is missing"),
        (SAML.replace("idp.xml}", "idp.xml, issuer: https://x.example}"), "issuer: is not a known key"),
    ],
)
def test_what_is_wrong_is_told(read: Callable[[str], object], entries: str, line: str) -> None:
    assert line in told(read, entries)


@pytest.mark.parametrize(
    ("first", "second", "are_apart"),
    [
        ("domains: [a.example]", "domains: [b.example]", True),
        ("domains: [a.example]", "domains: [b.example, a.example]", False),
        ("prefix: a/", "prefix: b/", True),
        ("prefix: old-", "prefix: old-er-", False),
        ("prefix: a/", "prefix: A/", False),
        ("prefix: a/, domains: [a.example]", "prefix: a/, domains: [b.example]", True),
        ("prefix: a/", "domains: [b.example]", True),
        ("prefix: a/", "scopes: [openid]", False),
        ("domains: [a.example]", "scopes: [openid]", False),
    ],
)
def test_two_upstreams_must_not_give_the_same_names(
    read: Callable[[str], object], first: str, second: str, are_apart: bool
) -> None:
    other = OIDC.replace("Example Corp", "New Corp")
    entries = OIDC.replace("hoopx}", f"hoopx, {first}}}") + other.replace("hoopx}", f"hoopx, {second}}}")
    if are_apart:
        read(entries)
    else:
        assert "could give the same names" in told(read, entries)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no xml", "it is not XML"),
        ("<a/>", "does not describe one entity"),
        (metadata(pem="AAAA"), "a certificate in it cannot be read"),
        (metadata(use=' use="encryption"'), "no signing key that is strong enough"),
        (
            metadata(binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
            "no SingleSignOnService for HTTP-Redirect",
        ),
        (metadata(location="http://idp.example.com/sso"), "is not an https URL"),
        (metadata(location="javascript:alert(1)"), "is not"),
        (metadata(attributes=' WantAuthnRequestsSigned="true"'), "hoopx signs none"),
        ('<!DOCTYPE a [<!ENTITY x "y">]>' + metadata().partition("?>")[2], "it declares a document type"),
        (metadata().replace("IDPSSODescriptor", "SPSSODescriptor"), "0 `IDPSSODescriptor`"),
    ],
)
def test_metadata_that_does_not_serve(read: Callable[[str], object], tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "idp.xml").write_text(content)
    problem = told(read, SAML)
    assert "is not the metadata of an identity provider" in problem
    assert why in problem


def test_a_short_key_proves_nothing(read: Callable[[str], object], tmp_path: Path) -> None:
    short = certificate(rsa.generate_private_key(65537, 1024))
    pem = "".join(short.public_bytes(Encoding.PEM).decode().splitlines()[1:-1])
    (tmp_path / "idp.xml").write_text(metadata(pem=pem))
    assert "no signing key that is strong enough" in told(read, SAML)


def test_a_broker_without_saml_loads_nothing_of_it() -> None:
    loaded = "{name.partition('.')[0] for name in sys.modules}"
    look = f"import sys, hoopx_broker.daemon.run; sys.exit(bool({loaded} & {{'lxml', 'signxml'}}))"
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=60).returncode == 0


def test_where_the_library_is_missing_the_start_says_how_to_get_it(
    read: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "hoopx_broker.daemon.config_upstream.find_spec", lambda name: None if name == "signxml" else found(name)
    )
    assert "the library for that is not installed; run: pip install 'hoopx[broker,saml]'" in told(read, SAML)
    read(OIDC)
