"""The pages on Vault hold: the policies in them are enough for what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.terms.targets import Target
from tests.peers.certificates import Authority
from tests.peers.vault.peer import DoubleVault
from tests.unit.vault_stage import REVOKER

DOCS = Path(__file__).parents[2] / "docs" / "credentials"
PAGES = sorted(path.name for path in DOCS.glob("vault*.md"))
SAMPLES = [
    (name, number, sample)
    for name in PAGES
    for number, sample in enumerate(re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(), re.DOTALL))
]
REST = """\
policies: .
identity:
  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}
"""
TARGETS = """\
targets:
  db: {kind: postgres, address: h, database: d, credentials: {from: vault-database, role: r}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    for name in ("secrets/vault-secret-id", "workload-token", "vault-agent-token"):
        (tmp_path / name).write_text("from-a-file\n")
    Authority.make("vault").write(tmp_path / "vault-ca.pem")
    return tmp_path


def read(home: Path, sample: str, role_id: str = "r") -> dict[str, Target]:
    text = REST + sample + ("" if "targets:" in sample else TARGETS)
    (home / "hoopx.yaml").write_text(text)
    return dict(load(home / "hoopx.yaml", {"VAULT_ROLE_ID": role_id}).targets)


def test_the_reference_of_the_page_is_followed_with_the_policy_of_the_page(home: Path, vault: DoubleVault) -> None:
    [sample] = [sample for _, _, sample in SAMPLES if "vault:secret/" in sample]
    [policy] = [each for each in hcl("vault.md") if "secret/data" in each]
    vault.write("secret/data/hoopx/prod-db", {"data": {"admin_password": "kept-in-vault"}})
    role_id, secret_id = vault.approle("hoopx", vault.policy("reads", policy))
    (home / "secrets/vault-secret-id").write_text(secret_id)
    (home / "vault-ca.pem").write_bytes(vault.ca.read_bytes())
    targets = read(home, sample.replace("https://vault.example.com:8200", vault.url), role_id)
    assert targets["prod-db"].credentials.password.reveal() == "kept-in-vault"


def test_the_policy_for_the_brokers_login_is_the_one_that_all_is_tested_with() -> None:
    [page] = [each for each in hcl("vault.md") if "revoke-accessor" in each]
    assert " ".join(page.split()) == " ".join(REVOKER.split())


def hcl(page: str) -> list[str]:
    return re.findall(r"```hcl\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
