"""`vault-ssh`: a key made for one session, signed by Vault, and read by OpenSSH itself."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import SshCertificate
from hoopx_plugins.vault_ssh import VaultSshIssuer, VaultSshOptions
from tests.peers.postgres import Postgres
from tests.peers.vault.peer import Vault
from tests.unit.vault_stage import Pins, VaultStage, by_the_double, lease_of


class Signing(VaultStage):
    """An SSH engine whose role lets `app` and `deploy` in for ten minutes at most."""

    def __init__(self, vault: Vault, postgres: Postgres) -> None:
        super().__init__(vault, postgres)
        self.ssh = vault.enable(vault.fresh("ssh"), "ssh")
        vault.write(f"{self.ssh}/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
        kind = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "app,deploy"}
        vault.write(f"{self.ssh}/roles/dev", {**kind, "default_user": "app", "ttl": "5m", "max_ttl": "10m"})
        signs = f'path "{self.ssh}/sign/*" {{ capabilities = ["update"] }}'
        vault.policy(self.reader, signs)

    def options(self, user: str = "app", **more: tuple[str, ...]) -> VaultSshOptions:
        return VaultSshOptions("dev", user, mount=self.ssh, vault=self.server(), **more)


@pytest.fixture
def stage(each_vault: Vault, postgres: Postgres) -> Signing:
    return Signing(each_vault, postgres)


def test_a_session_gets_a_certificate_for_its_time_and_its_user(stage: Signing, tmp_path: Path) -> None:
    order = stage.order(stage.options(), seconds=120, source="vault-ssh")
    pins = Pins()
    issued = asyncio.run(VaultSshIssuer().issue(order, pins))
    assert isinstance(issued.credential, SshCertificate)
    assert issued.expires_at == pytest.approx(order.expires_at, abs=6)
    (tmp_path / "key").write_text(issued.credential.private_key.reveal())
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "cert.pub").write_text(issued.credential.certificate)
    told = _openssh("-L", "-f", tmp_path / "cert.pub")
    assert "user certificate" in told
    assert f"Serial: {issued.handle['serial']}" in told
    assert told[told.index("Principals") : told.index("Critical")].split()[1:] == ["app"]
    own = _openssh("-y", "-f", tmp_path / "key").split()[1]
    assert _fingerprint(tmp_path, own) in told
    assert not stage.lives(pins.handle["accessor"])  # the login is given back: nothing hangs on it
    # Nobody can call it back, and that is said.
    ends = asyncio.run(VaultSshIssuer().revoke(lease_of(order, issued.handle), order.target))
    assert ends == issued.expires_at


def test_a_role_for_shorter_certificates_says_when_they_end(stage: Signing) -> None:
    order = stage.order(stage.options(), seconds=3600, source="vault-ssh")
    issued = stage.issue(order, VaultSshIssuer())
    assert issued.expires_at == pytest.approx(time.time() + 300, abs=6)


@by_the_double
def test_a_user_whom_the_role_does_not_let_in_gets_nothing(stage: Signing) -> None:
    pins = Pins()
    order = stage.order(stage.options("root"), source="vault-ssh")
    with pytest.raises(BackendFailed, match="root is not a valid value for valid_principals"):
        asyncio.run(VaultSshIssuer().issue(order, pins))
    assert not stage.lives(pins.handle["accessor"])


@by_the_double
def test_each_principal_is_asked_for(stage: Signing) -> None:
    options = stage.options("app", valid_principals=("app", "deploy"))
    issued = stage.issue(stage.order(options, source="vault-ssh"), VaultSshIssuer())
    assert isinstance(issued.credential, SshCertificate)
    assert issued.credential.user == "app"


def _openssh(*arguments: str | Path) -> str:
    return subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout


def _fingerprint(folder: Path, key: str) -> str:
    (folder / "own.pub").write_text(f"ssh-ed25519 {key}\n")
    return _openssh("-l", "-f", folder / "own.pub").split()[1]
