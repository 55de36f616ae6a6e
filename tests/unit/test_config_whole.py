"""A sound configuration: the documented sample, the defaults, and references to values elsewhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from hoopx_broker.daemon import config_targets
from hoopx_broker.daemon.certificate import self_made
from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.plugins import issuer_class
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import BrokerConfig, Claims, LocalAgent, ServerTls
from hoopx_broker.terms.targets import ColumnName, UpstreamTls
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions
from hoopx_plugins.static import StaticIssuer, StaticOptions
from tests.unit.leases_stage import SourceDouble

DOCS = Path(__file__).parents[2] / "docs"

SMALL = """\
identity:
  - kind: embedded
    users: {ann: {password: one}}
targets:
  db: {kind: postgres, address: localhost, database: app, credentials: {from: static, user: u, password: p}}
"""


def sample(page: str, number: int = 0) -> str:
    found: list[str] = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return found[number]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The files that the sample names, really made."""
    for directory in ("policies", "tls", "secrets"):
        (tmp_path / directory).mkdir()
    both = self_made(tmp_path / "tls", datetime.now(UTC)).read_text()
    cut = both.index("-----BEGIN PRIVATE KEY")
    (tmp_path / "tls" / "cert.pem").write_text(both[:cut])
    (tmp_path / "tls" / "key.pem").write_text(both[cut:])
    for name in ("db-ca.pem", "login-ca.pem"):
        (tmp_path / name).write_text(both[:cut])
    key = ECAlgorithm.to_jwk(generate_private_key(SECP256R1()).public_key(), as_dict=True)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "AA"}, key]}))
    (tmp_path / "secrets" / "dora").write_text("dora's\n")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "reviewer.jwks").write_text(json.dumps({"keys": [key]}))
    (tmp_path / "secrets" / "legacy").write_text(" spaces count \r\n")
    return tmp_path


def loaded(home: Path, text: str, **environ: str) -> BrokerConfig:
    (home / "hoopx.yaml").write_text(text)
    return load(home / "hoopx.yaml", environ)


@pytest.fixture
def whole(home: Path) -> BrokerConfig:
    known = {"ANN_PASSWORD": "ann's", "DB_ADMIN_PASSWORD": "admin's", "REPORT_BOT_SECRET": "report bot's secret"}
    return loaded(home, sample("configuration.md"), **known)


def test_the_documented_sample_says_where_things_are(whole: BrokerConfig, home: Path) -> None:
    assert (whole.host, whole.port, whole.public_url) == ("0.0.0.0", 8443, "https://broker.example.com:8443")
    assert whole.tls == ServerTls(cert=home / "tls/cert.pem", key=home / "tls/key.pem")
    assert (whole.state, whole.recordings) == (home / "state.db", home / "recordings")
    assert (whole.policies, whole.source) == (home / "policies", home / "hoopx.yaml")


def test_the_documented_sample_says_whom_to_believe(whole: BrokerConfig, home: Path) -> None:
    people, jobs = whole.identity
    assert (people.kind, people.client_id, people.ca) == ("human", "hoopx-cli", home / "login-ca.pem")
    assert people.claims == Claims(user="email", groups="groups")
    assert people.scopes == ("openid", "email", "groups", "offline_access")
    assert (jobs.kind, jobs.client_id, jobs.issuer) == ("workload", None, "https://ci.example.com")
    assert jobs.jwks == (home / "keys.json").read_bytes()


def test_the_documented_sample_knows_second_accounts(whole: BrokerConfig, home: Path) -> None:
    assert whole.accounts == (("ann@example.com", "ann"), ("dora@example.com", "dora", "dora-admin@example.com"))
    assert loaded(home, SMALL).accounts == ()
    assert loaded(home, SMALL + sample("identity.md")).accounts[0][-1] == "dora-admin@example.com"
    claims = "claims: {user: email, person: employee_id}"
    issuer = f"{{issuer: https://login.example.com, client_id: c, audience: hoopx, {claims}}}"
    config = loaded(home, SMALL.replace("identity:\n", f"identity:\n  - {issuer}\n"))
    assert config.identity[0].claims == Claims("email", None, "employee_id")


def test_the_documented_sample_has_local_users(whole: BrokerConfig) -> None:
    assert whole.embedded is not None
    ann, dora = whole.embedded.users["ann"], whole.embedded.users["dora"]
    assert (ann.groups, ann.email, ann.password.reveal()) == (("developers",), "ann@example.com", "ann's")
    assert dora.password.reveal() == "dora's"


def test_the_documented_sample_has_agents(whole: BrokerConfig, home: Path) -> None:
    assert whole.embedded is not None
    reviewer, report, claude = (whole.embedded.agents[name] for name in ("reviewer-bot", "report-bot", "claude"))
    assert (reviewer.jwks, reviewer.secret) == ((home / "agents" / "reviewer.jwks").read_bytes(), None)
    assert report.secret is not None
    assert (report.secret.reveal(), report.jwks) == ("report bot's secret", None)
    assert claude == LocalAgent("claude", ("agents",))


@pytest.mark.parametrize("users", ["", "    users: {}\n"])
def test_an_issuer_may_have_agents_and_no_users(home: Path, users: str) -> None:
    config = loaded(home, SMALL.replace("    users: {ann: {password: one}}\n", f"{users}    agents: {{bot: {{}}}}\n"))
    assert config.embedded is not None
    assert (config.embedded.users, config.embedded.agents) == ({}, {"bot": LocalAgent("bot")})


def test_the_documented_sample_leads_to_targets(whole: BrokerConfig, home: Path) -> None:
    prod = whole.targets["prod-db"]
    assert (prod.host, prod.port, prod.database, prod.ttl) == ("db.internal", 5432, "app", 900)
    assert prod.tls == UpstreamTls("verify-full", str(home / "db-ca.pem"))
    assert prod.labels == {"env": "prod", "team": "payments"}
    assert isinstance(prod.credentials, PostgresRoleOptions)
    assert prod.credentials.password.reveal() == "admin's"
    assert (prod.source, prod.credentials.roles, prod.credentials.read_only) == ("postgres-role", ("app_read",), True)
    assert prod.classify == {
        ColumnName("public", "customers", "email"): "email",
        ColumnName("public", "customers", "ssn"): "national-id",
        ColumnName("billing", "Card.Data", "number"): "card-number",
    }


def test_the_documented_sample_has_a_target_with_a_fixed_login(whole: BrokerConfig) -> None:
    legacy = whole.targets["legacy-db"]
    assert (legacy.host, legacy.port, legacy.ttl) == ("fd00::17", 6432, 3600)
    assert legacy.tls == UpstreamTls("verify-full", None)
    assert isinstance(legacy.credentials, StaticOptions)
    assert legacy.credentials.password.reveal() == " spaces count "


def test_a_session_lasts_as_long_as_one_lease_unless_it_says_otherwise(home: Path) -> None:
    longer = SMALL.replace("credentials: {from: static,", "session: 8h, credentials: {ttl: 15m, from: static,")
    assert longer != SMALL
    targets = [next(iter(loaded(home, text).targets.values())) for text in (SMALL, longer)]
    assert [(target.ttl, target.longest) for target in targets] == [(3600, 3600), (900, 8 * 3600)]


def test_a_session_is_not_longer_than_a_lease_that_nobody_can_renew(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once(SourceDouble):
        Options = StaticOptions

    monkeypatch.setattr(config_targets, "issuer_class", lambda _: Once)
    longer = SMALL.replace("credentials: {from: static,", "session: 8h, credentials: {from: static,")
    with pytest.raises(BadConfig, match=r"longer than `credentials.ttl`, and `static` cannot renew what it gives"):
        loaded(home, longer)


@pytest.mark.parametrize("secret", ["ann's", "dora's", "admin's", "spaces count"])
def test_a_printed_configuration_shows_no_secret(whole: BrokerConfig, secret: str) -> None:
    assert secret not in repr(whole)


def test_little_needs_to_be_said(home: Path) -> None:
    config = loaded(home, SMALL)
    assert (config.host, config.port, config.public_url) == ("127.0.0.1", 8443, "https://127.0.0.1:8443")
    assert config.tls is None
    assert (config.state, config.recordings) == (home / "state.db", home / "recordings")
    assert config.embedded is not None
    assert (config.embedded.client_id, config.embedded.audience) == ("hoopx-cli", "hoopx")
    assert config.targets["db"].port == 5432


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("'[::1]:8443'", "https://[::1]:8443"),
        ("localhost:443", "https://localhost:443"),
        ("127.0.0.1:0", "https://127.0.0.1:0"),
        ("127.9.9.9:1", "https://127.9.9.9:1"),
    ],
)
def test_every_loopback_address_may_do_without_a_certificate(home: Path, listen: str, url: str) -> None:
    assert loaded(home, f"listen: {listen}\n{SMALL}").public_url == url


def test_any_value_may_be_a_reference(home: Path) -> None:
    text = SMALL.replace("localhost", "env:WHERE").replace("user: u", "user: env:WHO").replace("app,", "file:name,")
    (home / "name").write_text("orders\n")
    target = loaded(home, text, WHERE="[::1]:5433", WHO="reader").targets["db"]
    assert (target.host, target.port, target.database) == ("::1", 5433, "orders")
    assert target.credentials.user == "reader"


def test_a_value_of_a_reference_is_taken_as_it_is(home: Path) -> None:
    config = loaded(home, SMALL.replace("password: p", "password: env:SECRET"), SECRET="env:OTHER")
    assert config.targets["db"].credentials.password.reveal() == "env:OTHER"


def test_absolute_paths_stay_and_the_working_directory_does_not_matter(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "hoopx.yaml").write_text(f"state: sqlite:{tmp_path}/elsewhere.db\n{SMALL}")
    monkeypatch.chdir(home)
    config = load(Path("hoopx.yaml"), {})
    assert (config.state, config.policies) == (tmp_path / "elsewhere.db", home / "policies")
    assert config.policies.is_absolute()


def test_words_that_yaml_would_bend_stay_as_written(home: Path) -> None:
    day = loaded(home, SMALL.replace("database: app", "database: 2024-01-02"))
    assert day.targets["db"].database == "2024-01-02"


def test_an_alias_saves_repeating(home: Path) -> None:
    text = SMALL + "  two: {kind: postgres, address: b, database: c, labels: &l {a: b}, credentials: &c {from: static"
    text += (
        ", user: u, password: p}}\n  three: {kind: postgres, address: b, database: d, labels: *l, credentials: *c}\n"
    )
    config = loaded(home, text)
    assert config.targets["two"].credentials.user == config.targets["three"].credentials.user
    assert config.targets["three"].labels == {"a": "b"}


def test_plugins_are_found_by_the_names_they_are_announced_with() -> None:
    assert issuer_class("static") is StaticIssuer
    assert issuer_class("postgres-role") is PostgresRoleIssuer


def test_a_secret_of_a_plugin_is_a_secret(home: Path) -> None:
    assert isinstance(loaded(home, SMALL).targets["db"].credentials.password, Secret)
