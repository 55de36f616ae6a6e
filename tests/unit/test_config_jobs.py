"""Identity entries of jobs: rules, trust domains and where keys are, as written and as mistaken."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.settings import OidcIssuer, Rule
from tests.unit.identity_stage import EC_KEY, RSA_KEY, jwk, jwks

GITHUB = """\
identity:
  - issuer: https://token.actions.githubusercontent.com
    kind: workload
    audience: https://broker.example.com
"""
OTHER = GITHUB.replace("token.actions.githubusercontent.com", "ci.example.com")
SPIFFE = """\
identity:
  - issuer: spiffe://example.org
    kind: workload
    audience: https://broker.example.com
"""
REST = """\
policies: .
targets:
  db: {kind: postgres, address: localhost, database: app, credentials: {from: static, user: u, password: p}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_bytes(jwks(jwk(EC_KEY, "s1", use="jwt-svid"), jwk(RSA_KEY, "x", use="x509-svid")))
    (tmp_path / "certificates.json").write_bytes(jwks(jwk(RSA_KEY, "x", use="x509-svid")))
    (tmp_path / "keys.json").write_bytes(jwks(jwk(RSA_KEY, "r1")))
    return tmp_path


def read(home: Path, identity: str) -> OidcIssuer:
    (home / "hoopx.yaml").write_text(identity + REST)
    (issuer,) = load(home / "hoopx.yaml", {}).identity
    return issuer


def told(home: Path, identity: str) -> list[str]:
    with pytest.raises(BadConfig) as bad:
        read(home, identity)
    return [str(each).removeprefix(str(home / "hoopx.yaml")).lstrip(":") for each in bad.value.problems]


def test_rules_are_read_as_they_stand(home: Path) -> None:
    rules = """\
    rules:
      - when: {repository: acme/shop, ref: [refs/heads/main, 'refs/tags/*'], environment: production}
        groups: [deployers]
      - when: {repository: 'acme/*'}
        pull_requests: true
        groups: [ci-readers]
      - when: {repository: acme/shop, workflow: review}
        kind: agent
"""
    assert read(home, GITHUB + rules).rules == (
        Rule(
            {
                "repository": ("acme/shop",),
                "ref": ("refs/heads/main", "refs/tags/*"),
                "environment": ("production",),
            },
            ("deployers",),
        ),
        Rule({"repository": ("acme/*",)}, ("ci-readers",), pull_requests=True),
        Rule({"repository": ("acme/shop",), "workflow": ("review",)}, agent=True),
    )


def test_nested_claims_and_names_with_dots_and_slashes_are_read(home: Path) -> None:
    rules = """\
    rules:
      - when:
          kubernetes.io: {namespace: prod, serviceaccount: {name: deployer}}
          oidc.circleci.com/vcs-ref: refs/heads/main
"""
    (rule,) = read(home, OTHER + rules).rules
    assert rule.when == {
        "kubernetes.io": {"namespace": ("prod",), "serviceaccount": {"name": ("deployer",)}},
        "oidc.circleci.com/vcs-ref": ("refs/heads/main",),
    }


def test_a_value_of_a_rule_is_never_a_reference(home: Path) -> None:
    (rule,) = read(home, OTHER + "    rules: [{when: {sub: 'env:prod', a: [file:x]}}]\n").rules
    assert rule.when == {"sub": ("env:prod",), "a": ("file:x",)}


def test_people_can_have_rules(home: Path) -> None:
    people = OTHER.replace("kind: workload", "client_id: c") + "    rules: [{when: {email: '*@example.com'}}]\n"
    assert read(home, people).rules == (Rule({"email": ("*@example.com",)}),)


WHERE = "identity[0].rules[0]"
RULES = [
    ("    rules: []\n", "5: identity[0].rules: is empty"),
    ("    rules: {when: {a: b}}\n", "5: identity[0].rules: must be a list of sections, not a section"),
    ("    ruls: []\n", "5: identity[0].ruls: is not a known key; did you mean `rules`?"),
    ("    rules: [{groups: [a]}]\n", f"5: {WHERE}.when: is missing"),
    ("    rules: [{when: {}}]\n", f"5: {WHERE}.when: names no claim"),
    ("    rules: [{when: {a: b}, group: [g]}]\n", f"5: {WHERE}.group: is not a known key; did you mean `groups`?"),
    ("    rules: [{when: {a: b}, pull_request: true}]\n", "did you mean `pull_requests`?"),
    ("    rules: [{whenn: {a: b}}]\n", f"5: {WHERE}.whenn: is not a known key; did you mean `when`?"),
    (
        "    rules: [{when: {a: b}, pull_requests: 'true'}]\n",
        f"5: {WHERE}.pull_requests: must be yes or no, not text",
    ),
    ("    rules: [{when: {a: b}, kind: job}]\n", f"5: {WHERE}.kind: `job` is not a kind that a rule can give"),
    ("    rules: [{when: {a: b}, kind: human}]\n", f"5: {WHERE}.kind: `human` is not a kind that a rule can give"),
    ("    rules: [{when: {a: b}, groups: ['x ']}]\n", f"5: {WHERE}.groups[0]: `x ` is not the name of a group"),
    ("    rules: [{when: {a: true}}]\n", f"5: {WHERE}.when.a: must be text, not a yes or no; put it in quotes"),
    ("    rules: [{when: {a: 7}}]\n", f"5: {WHERE}.when.a: must be text, not a number; put it in quotes"),
    ("    rules: [{when: {a: }}]\n", f"5: {WHERE}.when.a: must be text, not empty"),
    ("    rules: [{when: {a: []}}]\n", f"5: {WHERE}.when.a: is empty"),
    ("    rules: [{when: {a: {}}}]\n", f"5: {WHERE}.when.a: is empty"),
    ("    rules: [{when: {a: [b, 7]}}]\n", f"5: {WHERE}.when.a[1]: must be text, not a number"),
    ("    rules: [{when: {a: {b: [7]}}}]\n", f"5: {WHERE}.when.a.b[0]: must be text, not a number"),
    ("    rules: [{when: {a: 'acme**'}}]\n", f"5: {WHERE}.when.a: `acme**` has `**` within a part of a name"),
    ("    rules: [{when: {a: '**/x'}}]\n", f"5: {WHERE}.when.a: `**/x` has `**` elsewhere than at its end"),
    (
        "    rules:\n      - when: {a: b}\n      - when:\n          ref: refs/pull/*\n",
        "7: identity[0].rules[1].when: never holds: with this `ref` every token is one of a proposed change; add `pull",
    ),
    ("    rules: [{when: {event_name: [pull_request]}}]\n", f"5: {WHERE}.when: never holds: with this `event_name`"),
]


@pytest.mark.parametrize(("rules", "problem"), RULES, ids=[rules for rules, _ in RULES])
def test_a_mistaken_rule_is_told_with_its_line(home: Path, rules: str, problem: str) -> None:
    problems = told(home, OTHER + rules)
    assert len(problems) == (2 if "whenn" in rules else 1)
    assert any(problem in each for each in problems)


STRANGERS = [
    ("https://token.actions.githubusercontent.com", "{ref: refs/heads/main}"),
    ("https://token.actions.githubusercontent.com", "{repository: '*/shop'}"),
    ("https://token.actions.githubusercontent.com", "{repository: 'acme*/shop'}"),
    ("https://token.actions.githubusercontent.com", "{repository: ['acme/shop', '**']}"),
    ("https://token.actions.githubusercontent.com", "{sub: 'repo:*/shop:environment:production'}"),
    (
        "https://token.actions.githubusercontent.com",
        "{job_workflow_ref: acme/shop/.github/workflows/x.yml@refs/heads/main}",
    ),
    ("https://gitlab.com", "{ref_protected: 'true'}"),
    ("https://agent.buildkite.com", "{pipeline_slug: shop}"),
    ("https://oidc.circleci.com/org/5e1c2f6e", "{oidc.circleci.com/vcs-ref: refs/heads/main}"),
]


@pytest.mark.parametrize(("issuer", "when"), STRANGERS)
def test_a_rule_that_holds_for_jobs_of_strangers_is_refused(home: Path, issuer: str, when: str) -> None:
    entry = GITHUB.replace("https://token.actions.githubusercontent.com", issuer)
    (only,) = told(home, f"{entry}    rules: [{{when: {when}}}]\n")
    assert only.startswith(f"5: {WHERE}.when: holds for the jobs of strangers")


OWN = [
    ("https://token.actions.githubusercontent.com", "{repository_owner: acme}"),
    ("https://token.actions.githubusercontent.com", "{sub: 'repo:acme/*:environment:production'}"),
    ("https://token.actions.githubusercontent.com/acme", "{ref: refs/heads/main}"),
    ("https://gitlab.com", "{project_path: acme/backend/shop}"),
    ("https://gitlab.example.com", "{ref_protected: 'true'}"),
    ("https://agent.buildkite.com", "{organization_slug: acme}"),
    ("https://oidc.circleci.com/org/5e1c2f6e", "{oidc.circleci.com/vcs-origin: github.com/acme/*}"),
]


@pytest.mark.parametrize(("issuer", "when"), OWN)
def test_a_rule_that_names_an_owner_is_taken(home: Path, issuer: str, when: str) -> None:
    entry = GITHUB.replace("https://token.actions.githubusercontent.com", issuer)
    assert len(read(home, f"{entry}    rules: [{{when: {when}}}]\n").rules) == 1


# --- trust domains and keys -----------------------------------------------------------------------------------


def test_a_trust_domain_is_an_issuer_with_its_bundle(home: Path) -> None:
    issuer = read(home, SPIFFE + "    jwks_file: bundle.json\n")
    assert (issuer.issuer, issuer.jwks_file) == ("spiffe://example.org", home / "bundle.json")


def test_keys_may_be_served_without_discovery(home: Path) -> None:
    url = "https://spire.example.org/keys"
    assert read(home, SPIFFE + f"    jwks_url: {url}\n").jwks_url == url
    assert read(home, OTHER + f"    jwks_url: {url}\n").jwks_url == url


KEYS = [
    (SPIFFE, "2: identity[0].issuer: has no keys; add `jwks_file`"),
    (
        OTHER + "    jwks_url: http://spire.example.org/keys\n",
        "5: identity[0].jwks_url: `http://spire.example.org/keys`",
    ),
    (OTHER + "    jwks_url: https://a.example/k\n    jwks_file: keys.json\n", "jwks_url: stands beside `jwks_file`"),
    (SPIFFE + "    jwks_file: certificates.json\n", "`certificates.json` holds no key that can verify a token"),
    (OTHER + "    jwks_file: bundle.json\n", "`bundle.json` holds no key that can verify a token"),
    (SPIFFE.replace("example.org", "Example.org"), "`spiffe://Example.org` is not a SPIFFE trust domain"),
    (SPIFFE.replace("example.org", "example.org/ns"), "`spiffe://example.org/ns` is not a SPIFFE trust domain"),
    (SPIFFE.replace("example.org", "example.org:8443"), "is not a SPIFFE trust domain"),
    (SPIFFE.replace("spiffe://example.org", "'spiffe:'"), "is not a SPIFFE trust domain"),
    (SPIFFE.replace("kind: workload", "client_id: c"), "`spiffe://example.org` is not an https URL"),
]


@pytest.mark.parametrize(("identity", "problem"), KEYS, ids=[problem for _, problem in KEYS])
def test_keys_that_cannot_be_had_are_told(home: Path, identity: str, problem: str) -> None:
    assert any(problem in each for each in told(home, identity))
