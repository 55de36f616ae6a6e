"""A session whose login Vault makes: Vault knows the person, and nobody keeps what it gave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.journeys.stage import Stage, playing, running
from tests.journeys.tokens import AUDIENCE, ISSUER, TokenMint
from tests.peers import clients, found
from tests.peers.postgres import Foundry, Postgres, installations
from tests.peers.processes import command_lines, eventually
from tests.peers.vault import peer
from tests.peers.vault.peer import Vault
from tests.unit.vault_stage import CREATE, VaultStage

# The database itself tells what password Vault gave it, so that it can be looked for.
TELLING = CREATE.strip() + "; INSERT INTO told VALUES ('{{password}}')"
TOKEN = re.compile(rb"\b(?:hvs\.[A-Za-z0-9_-]{24,}|s\.[A-Za-z0-9]{24})\b")


class VaultJourney(Stage):
    """One target, whose logins a Vault makes for whom it knows by their own token."""

    def __init__(self, home: Path, postgres: Postgres, vault: Vault) -> None:
        postgres.sql("CREATE TABLE told (password text)")
        self.scene = VaultStage(vault, postgres)
        self.scene.role("ro", TELLING)
        self.people = vault.enable_login(vault.fresh("jwt"), "jwt")
        super().__init__(home, postgres)
        vault.write(f"auth/{self.people}/config", {"jwt_validation_pubkeys": [pem_of(self.mint, home)]})
        role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "token_ttl": "5m"}
        vault.write(
            f"auth/{self.people}/role/people",
            {**role, "bound_claims": {"iss": ISSUER}, "token_policies": [self.scene.reader], "token_max_ttl": "1h"},
        )

    def configuration(self) -> str:
        self._secret("secret-id", self.scene.secret_id)
        own = f"{{mount: {self.scene.approle}, role_id: {self.scene.role_id}, secret_id: file:secret-id}}"
        return f"""\
{super().configuration()}
vault:
  address: {self.scene.vault.url}
  ca: {self.scene.vault.ca}
  approle: {own}
  person: {{mount: {self.people}, role: people}}
"""

    def _targets(self) -> Iterator[str]:
        credentials = f"{{from: vault-database, mount: {self.scene.database}, role: ro, ttl: 15m}}"
        yield self._target("shop-dev", "{env: dev}", credentials)

    def kept(self) -> bytes:
        """All that the broker has written: state, recordings, log."""
        files = [each for each in self.home.rglob("*") if each.is_file() and "home-" not in str(each)]
        return b"".join(each.read_bytes() for each in files if each.name != "secret-id")


@pytest.fixture(scope="module")
def stage(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultJourney]:
    """At a real OpenBao or Vault where there is one, else at the double."""
    found.require("psql")
    home, program = tmp_path_factory.mktemp("vault"), peer.program()
    with ExitStack() as stack:
        vault: Vault = stack.enter_context(peer.real(home, program) if program else peer.double(home))
        postgres = stack.enter_context(foundry.server(installations()[0]))
        yield stack.enter_context(playing(VaultJourney(tmp_path_factory.mktemp("journey"), postgres, vault)))


def test_vault_knows_the_person_and_nobody_keeps_what_it_gave(stage: VaultJourney) -> None:
    stage.postgres.sql("DELETE FROM told")
    token = stage.mint.token("ann", ("developers",))
    command = ("exec", "shop-dev", "--", *clients.lingering("SELECT current_user"))
    with running(stage, *command, HOOPX_TOKEN=token) as session:
        login = session.says(r"(v-\S+)").group(1)
        assert stage.scene.made() == {login}
        [[password]] = stage.postgres.sql("SELECT password FROM told")
        assert not [name for name in (password, token, stage.scene.secret_id) if name.encode() in command_lines()]
        session.process.terminate()
    eventually(lambda: not stage.scene.made(), "the role is gone")
    eventually(lambda: not stage.postgres.backends("v-%"), "its connections are gone")
    asked = {each["auth"]["display_name"] for each in audited(stage, f"{stage.scene.database}/creds/ro")}
    assert asked == {f"{stage.people}-ann"}
    kept = stage.kept()
    assert login.encode() in kept
    assert not [name for name in (password, token, stage.scene.secret_id) if name.encode() in kept]
    assert not TOKEN.findall(kept)


def test_a_broker_killed_with_a_session_ends_its_login_when_it_comes_back(stage: VaultJourney) -> None:
    with running(stage, "exec", "shop-dev", "--", *clients.lingering("SELECT current_user")) as session:
        login = session.says(r"(v-\S+)").group(1)
        stage.kill_broker()
        assert stage.scene.made() == {login}
        stage.start_broker()
        eventually(lambda: not stage.scene.made(), "the role is gone")


def test_a_sealed_vault_ends_the_command_with_15_and_says_what_to_do(stage: VaultJourney) -> None:
    stage.scene.vault.seal()
    try:
        outcome = stage.hoopx("exec", "shop-dev", "--", "true")
    finally:
        stage.scene.vault.unseal()
    assert outcome.code == 15
    first, remedy = outcome.err.splitlines()
    assert first.startswith("hoopx: the source `vault-database` of target `shop-dev` cannot log in to Vault as `ann`: ")
    assert "it is sealed" in first
    assert "unseal it" in remedy
    assert stage.listed("leases", "ls") == []


def test_a_role_that_is_not_there_ends_the_command_with_15_and_is_named(stage: VaultJourney) -> None:
    stage.scene.vault.delete(f"{stage.scene.database}/roles/ro")
    try:
        outcome = stage.hoopx("exec", "shop-dev", "--", "true")
    finally:
        stage.scene.role("ro", TELLING)
    assert outcome.code == 15
    assert "`vault-database` of target `shop-dev`" in outcome.err
    assert "there is no such role" in outcome.err
    assert f"vault write {stage.scene.database}/roles/ro" in outcome.err


def audited(stage: VaultJourney, path: str) -> list[dict[str, dict[str, str]]]:
    return [each for each in stage.scene.vault.audit() if each["request"]["path"] == path]


def pem_of(mint: TokenMint, folder: Path) -> str:
    keys = jwt.PyJWKSet.from_json(mint.write_keys(folder / "published.json").read_text()).keys
    return str(keys[0].key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
