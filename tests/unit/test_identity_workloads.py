"""Jobs of a cluster and of a SPIFFE trust domain: their tokens, and keys that are rotated on disk or served."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.identity.discovery import FRESH, MAX_AGE, PAUSE, OnlineKeys
from hoopx_broker.identity.pinned import LOOK, FileKeys
from hoopx_broker.terms.errors import BadInput, Unauthenticated, Unreachable
from hoopx_broker.terms.settings import OidcIssuer, Rule
from tests.peers.job_issuers import IssuerDouble
from tests.unit.identity_stage import EC_KEY, ED_KEY, NOW, RSA_KEY, Door, jwk, jwks, signed, workload
from tests.unit.job_claims import kubernetes, svid

BUNDLE = jwks(jwk(EC_KEY, "s1", use="jwt-svid"), jwk(RSA_KEY, "x1", use="x509-svid"))
TIMES = {"iat": NOW - 5, "exp": NOW + 300}
ID = "spiffe://example.org/ns/prod/sa/deployer"


def trust_domain(**changes: Any) -> OidcIssuer:
    return workload(**({"issuer": "spiffe://example.org", "jwks": BUNDLE} | changes))


def svid_token(kid: str | None = "s1", header: dict[str, Any] | None = None, **changes: Any) -> str:
    return signed(svid(**changes) | TIMES, EC_KEY, "ES256", kid, **(header or {}))


def refused(door: Door, token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        door.who(token)
    assert refusal.value.message == "this token is not accepted"
    return door.notes[-1]


# --- SPIFFE ---------------------------------------------------------------------------------------------------


def test_a_workload_is_named_by_its_spiffe_id() -> None:
    who = Door(trust_domain()).who(svid_token())
    assert (who.user, who.kind, who.issuer) == (ID, "job", "spiffe://example.org")


@pytest.mark.parametrize("issuer", ["https://spire.example.org", "anything", ""])
def test_who_issued_it_is_no_matter(issuer: str) -> None:
    assert Door(trust_domain()).who(svid_token(iss=issuer)).user == ID


@pytest.mark.parametrize("kind", ["JWT", "JOSE", None])
def test_the_types_of_the_standard_are_taken(kind: str | None) -> None:
    assert Door(trust_domain()).who(svid_token(header={"typ": kind})).user == ID


def test_rules_tell_workloads_apart() -> None:
    rule = Rule({"sub": ("spiffe://example.org/ns/prod/**",)}, ("deployers",))
    assert Door(trust_domain(rules=(rule,))).who(svid_token()).groups == ("deployers",)
    assert "`sub` is" in refused(
        Door(trust_domain(rules=(rule,))), svid_token(sub="spiffe://example.org/ns/dev/sa/deployer")
    )


@pytest.mark.parametrize(
    "subject",
    [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org//a",
        "spiffe://example.org/a/",
        "spiffe://example.org/../a",
        "spiffe://example.org/a/.",
        "spiffe://example.org/a?b",
        "spiffe://example.org/%61",
        "spiffe://example.org/a b",
        "spiffe://example.org/a\n",
    ],
)
def test_what_is_no_spiffe_id_is_refused(subject: str) -> None:
    refused(Door(trust_domain()), svid_token(sub=subject))


@pytest.mark.parametrize(
    "subject",
    [
        "spiffe://example.org.evil.com/ns/prod",
        "spiffe://evil.org/ns/prod",
        "spiffe://Example.org/ns/prod",
        "spiffe://example.org@evil.org/x",
        "spiffe://example.org:80/x",
        "https://example.org/ns/prod",
        "deployer",
        7,
    ],
)
def test_a_workload_of_another_trust_domain_is_refused(subject: object) -> None:
    assert "is not known" in refused(Door(trust_domain()), svid_token(sub=subject))


def test_a_token_must_name_its_key() -> None:
    assert "names no key" in refused(Door(trust_domain()), svid_token(kid=None))


def test_other_types_and_algorithms_are_none_of_svids() -> None:
    door = Door(trust_domain(jwks=jwks(jwk(ED_KEY, "o1", use="jwt-svid"))))
    assert "algorithm" in refused(door, signed(svid() | TIMES, ED_KEY, "EdDSA", "o1"))
    assert "of type" in refused(Door(trust_domain()), svid_token(header={"typ": "at+jwt"}))


def test_a_key_for_certificates_signs_no_token() -> None:
    assert "its key 'x1'" in refused(Door(trust_domain()), signed(svid() | TIMES, RSA_KEY, "RS256", "x1"))


def test_a_key_for_svids_signs_no_other_token() -> None:
    with pytest.raises(BadInput):
        Door(workload(jwks=jwks(jwk(RSA_KEY, "r1", use="jwt-svid"))))


def test_an_issuer_beside_the_trust_domain_speaks_for_none_of_its_workloads() -> None:
    other = workload(issuer="https://ci.example.com", jwks=jwks(jwk(RSA_KEY, "s1", alg="RS256")))
    door = Door(trust_domain(), other)
    forged = signed(svid(iss="https://ci.example.com") | TIMES, RSA_KEY, "RS256", "s1")
    assert "not exactly one use" in refused(door, forged)
    apart = Door(trust_domain(), workload(issuer="https://ci.example.com", audience="elsewhere", jwks=other.jwks))
    assert "its key 's1'" in refused(apart, forged)


# --- Kubernetes -----------------------------------------------------------------------------------------------

CLUSTER = workload(
    issuer="https://kubernetes.default.svc.cluster.local",
    rules=(
        Rule({"kubernetes.io": {"namespace": ("prod",), "serviceaccount": {"name": ("deployer",)}}}, ("deployers",)),
    ),
)


def test_a_projected_token_is_a_job() -> None:
    who = Door(CLUSTER).who(signed(kubernetes() | TIMES))
    assert (who.user, who.groups) == ("system:serviceaccount:prod:deployer", ("deployers",))


def test_the_token_for_the_clusters_own_api_is_refused() -> None:
    api = kubernetes(aud=["https://kubernetes.default.svc.cluster.local"])
    assert "audience" in refused(Door(CLUSTER), signed(api | TIMES))


def test_another_service_account_is_refused() -> None:
    other = kubernetes(**{"kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "deployer-evil"}}})
    assert "serviceaccount → name" in refused(Door(CLUSTER), signed(other | TIMES))


# --- keys that are served ------------------------------------------------------------------------------------


def test_keys_at_a_url_need_no_discovery_and_age_as_others_do() -> None:
    url, now, is_down, heard = "https://spire.example.org/keys", [NOW], [False], []

    async def fetch(asked: str) -> bytes:
        heard.append(asked)
        if is_down[0]:
            raise Unreachable("down")
        return BUNDLE

    keys = OnlineKeys("spiffe://example.org", fetch, lambda: now[0], url, frozenset({"jwt-svid"}))
    assert asyncio.run(keys.find("s1", "ES256"))
    assert heard == [url]
    is_down[0] = True
    now[0] += max(FRESH, PAUSE)
    assert asyncio.run(keys.find("s1", "ES256"))
    now[0] += MAX_AGE
    with pytest.raises(Unreachable):
        asyncio.run(keys.find("s1", "ES256"))


def test_served_keys_prove_tokens_over_a_real_line() -> None:
    double = IssuerDouble()
    with double.running():
        cluster = workload(
            issuer="https://kubernetes.default.svc.cluster.local", jwks=None, jwks_url=double.url + double.keys_path
        )
        who = Door(cluster, now=time.time()).who(double.sign(kubernetes()))
    assert who.user == "system:serviceaccount:prod:deployer"
    assert double.heard == [double.keys_path]  # and nothing by discovery


@pytest.mark.parametrize("url", ["http://spire.example.org/keys", "file:///etc/passwd", "https://a@b/keys"])
def test_keys_are_fetched_by_https_alone(url: str) -> None:
    async def fetch(asked: str) -> bytes:
        raise AssertionError(asked)

    with pytest.raises(BadInput):
        OnlineKeys("spiffe://example.org", fetch, lambda: NOW, url)


# --- keys that are rotated on disk ---------------------------------------------------------------------------


class Rotating:
    """A key file on a held clock, and what was noted of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        self.now = NOW
        self.notes: list[str] = []
        self.path.write_bytes(jwks(jwk(RSA_KEY, "old")))
        self.keys = FileKeys(self.path, self.path.read_bytes(), lambda: self.now, self.notes.append)

    def knows(self, kid: str, after: float = LOOK) -> bool:
        self.now += after
        return asyncio.run(self.keys.find(kid, "RS256")) is not None


@pytest.fixture
def rotating(tmp_path: Path) -> Rotating:
    return Rotating(tmp_path)


NEW = jwks(jwk(RSA_KEY, "new"))


def test_a_rotated_bundle_is_read_again(rotating: Rotating) -> None:
    assert rotating.knows("old")
    rotating.path.write_bytes(NEW)
    assert rotating.knows("new")
    assert not rotating.knows("old")
    assert rotating.notes == []


def test_a_bundle_swapped_by_a_link_is_read_again(rotating: Rotating) -> None:
    other = rotating.path.with_name("other.json")
    other.write_bytes(NEW)
    other.replace(rotating.path)
    assert rotating.knows("new")


def test_the_file_is_looked_at_once_in_a_while_only(rotating: Rotating) -> None:
    assert rotating.knows("old")
    rotating.path.write_bytes(NEW)
    assert not rotating.knows("new", after=LOOK - 0.1)
    assert rotating.knows("new", after=0.1)


def test_a_file_is_looked_at_though_the_clock_was_set_back(rotating: Rotating) -> None:
    assert rotating.knows("old")
    rotating.path.write_bytes(NEW)
    assert not rotating.knows("old", after=-3600)


@pytest.mark.parametrize("broken", [b"", b"{", b'{"keys": []}', b"\xff", jwks(jwk(RSA_KEY, "x", use="enc"))])
def test_a_broken_file_keeps_the_keys_before_and_is_told_once(rotating: Rotating, broken: bytes) -> None:
    rotating.path.write_bytes(broken)
    assert rotating.knows("old")
    assert rotating.knows("old")
    assert len(rotating.notes) == 1
    assert "the keys before hold" in rotating.notes[0]
    rotating.path.write_bytes(NEW)
    assert rotating.knows("new")


def test_a_file_that_is_gone_keeps_the_keys_before(rotating: Rotating) -> None:
    rotating.path.unlink()
    assert rotating.knows("old")
    assert rotating.knows("old")
    assert len(rotating.notes) == 1
    rotating.path.write_bytes(NEW)
    assert rotating.knows("new")


def test_a_file_that_has_grown_beyond_bounds_is_not_taken(rotating: Rotating) -> None:
    rotating.path.write_bytes(b" " * 2_000_000 + NEW)
    assert rotating.knows("old")
    assert "larger" in rotating.notes[0]


def test_a_private_key_that_slips_into_the_file_proves_nothing(rotating: Rotating) -> None:
    rotating.path.write_bytes(jwks(jwk(RSA_KEY, "new", d="AQAB")))
    assert not rotating.knows("new")
    assert rotating.knows("old")
