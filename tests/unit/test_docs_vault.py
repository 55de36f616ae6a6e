"""The pages on Vault hold: Vault takes their commands, and their policies are enough."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.terms.targets import Target
from tests.peers.certificates import Authority
from tests.peers.vault import peer
from tests.peers.vault.peer import DoubleVault, Vault
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


# What Vault's own program is not typed against here, and why.
ELSEWHERE = {
    "kubernetes.default.svc": "a cluster",
    "oidc.example.com": "an issuer",
    "login.example.com": "an issuer",
}


@pytest.mark.parametrize("page", ["vault.md", "vault-kv.md", "vault-ssh.md"])
@pytest.mark.parametrize("each_vault", ["real"], indirect=True)
def test_vaults_own_program_takes_the_commands_of_the_page(tmp_path: Path, each_vault: Vault, page: str) -> None:
    """In their order, with the policies of the page beside them."""
    program = peer.program()
    assert program is not None
    (tmp_path / "vault").symlink_to(program)
    for number, policy in enumerate(hcl(page)):
        each_vault.policy(f"page-{number}", policy)
        if "revoke-accessor" in policy:
            (tmp_path / "hoopx-revokes.hcl").write_text(policy)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for name in ("VAULT", "BAO"):
        environ |= {f"{name}_ADDR": each_vault.url, f"{name}_CACERT": str(each_vault.ca)}
        environ |= {f"{name}_TOKEN": each_vault.root_token}
    for block in re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        if not any(name in block for name in ELSEWHERE):
            script = ["timeout", "60", "sh", "-euc", block]
            done = subprocess.run(script, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (block, done.stderr)
