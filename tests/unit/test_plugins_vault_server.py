"""The section `vault`: shared by targets, or a target's own; every problem of it is told with its line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_plugins.vault_database import VaultDatabaseOptions
from hoopx_plugins.vault_server import AppRole, Jwt, Kubernetes, Person, VaultServer
from tests.peers.certificates import Authority

IDENTITY = "identity:\n  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}\n"
TARGET = "targets:\n  db:\n    kind: postgres\n    address: db.internal\n    database: app\n"
LEASED = "    credentials: {from: vault-database, role: app-read, mount: team/database}\n"
APPROLE = "approle: {role_id: env:ROLE_ID, secret_id: file:secret-id}"
ENVIRON = {"ROLE_ID": "the-role-id"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secret-id").write_text("the-secret-id\n")
    (tmp_path / "token").write_text("a.b.c\n")
    Authority.make("vault").write(tmp_path / "ca.pem")
    return tmp_path


def loaded(home: Path, vault: str, credentials: str = LEASED) -> VaultDatabaseOptions:
    section = f"vault: {{{vault}}}\n" if vault else ""
    (home / "hoopx.yaml").write_text(f"policies: .\n{section}{IDENTITY}{TARGET}{credentials}")
    options = load(home / "hoopx.yaml", ENVIRON).targets["db"].credentials
    assert isinstance(options, VaultDatabaseOptions)
    return options


def told(home: Path, vault: str, credentials: str = LEASED) -> list[str]:
    with pytest.raises(BadConfig) as bad:
        loaded(home, vault, credentials)
    return [str(each).removeprefix(f"{home / 'hoopx.yaml'}:") for each in bad.value.problems]


def test_a_section_at_the_top_stands_in_for_every_target(home: Path) -> None:
    options = loaded(home, f"address: 'https://vault.example.com:8200', ca: ca.pem, namespace: team/a, {APPROLE}")
    server = options.server
    assert (server.address, server.ca, server.namespace) == (
        "https://vault.example.com:8200",
        home / "ca.pem",
        "team/a",
    )
    assert isinstance(server.approle, AppRole)
    assert (server.approle.role_id.reveal(), server.approle.secret_id.reveal()) == ("the-role-id", "the-secret-id")
    assert (options.mount, options.role, server.seconds) == ("team/database", "app-read", 6)
    assert "the-secret-id" not in repr(options)


def test_a_target_may_have_a_vault_of_its_own(home: Path) -> None:
    own = "{address: 'http://127.0.0.1:8100', token_file: token}"
    credentials = f"    credentials: {{from: vault-database, role: r, vault: {own}}}\n"
    server = loaded(home, f"address: https://vault.example.com, {APPROLE}", credentials).server
    assert server == VaultServer(address="http://127.0.0.1:8100", token_file=home / "token")


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("jwt: {role: broker, token_file: token}", ("jwt", Jwt("broker", Path("token")))),
        ("kubernetes: {role: broker, mount: k8s, token_file: token}", ("kubernetes", Kubernetes("broker", "k8s"))),
        ("token_file: token, person: {role: people}", ("person", Person("people", "jwt"))),
    ],
)
def test_each_login_is_read(home: Path, login: str, expected: tuple[str, object]) -> None:
    server = loaded(home, f"address: https://vault.example.com, timeout: 3s, {login}").server
    name, shape = expected
    found = getattr(server, name)
    assert (found.role, found.mount) == (shape.role, shape.mount)  # type: ignore[attr-defined]
    assert server.seconds == 3


PROBLEMS = [
    ("", "9: targets.db.credentials: must say where Vault is: add a section `vault` at the top of the file"),
    (APPROLE, "2: vault.address: is missing"),
    ("address: https://v", "2: vault: must hold exactly one login of the broker (`approle`, `kubernetes`, `jwt`,"),
    (f"address: https://v, {APPROLE}, token_file: token", "it holds `approle` and `token_file`"),
    (f"address: v.example.com, {APPROLE}", "2: vault: `address` is not the URL of a Vault"),
    (f"address: http://v.example.com, {APPROLE}", "2: vault: `address` must begin with https; http is for"),
    (f"address: 'https://me:pw@v', {APPROLE}", "2: vault: `address` is not the URL of a Vault"),
    (f"address: 'https://[v', {APPROLE}", "2: vault: `address` is not a URL"),
    (f"address: https://v, ca: none.pem, {APPROLE}", "2: vault.ca: `none.pem` cannot be read"),
    (f"address: https://v, timeout: soon, {APPROLE}", "2: vault.timeout: "),
    (f"address: https://v, namespace: ../a, {APPROLE}", "2: vault.namespace: "),
    (f"address: https://v, adress: x, {APPROLE}", "2: vault.adress: is not a known key; did you mean `address`?"),
    ("address: https://v, approle: {role_id: r}", "2: vault.approle.secret_id: is missing"),
    ("address: https://v, approle: {role_id: env:NONE, secret_id: s}", "2: vault.approle.role_id: refers to"),
    ("address: https://v, approle: {role_id: 'vault:a/b#c', secret_id: s}", "2: vault.approle.role_id: refers to"),
    ("address: https://v, jwt: {role: ../x, token_file: token}", "2: vault.jwt.role: "),
    ("address: https://v, token_file: none", "2: vault.token_file: `none` cannot be read"),
]


@pytest.mark.parametrize(("vault", "problem"), PROBLEMS, ids=[problem for _, problem in PROBLEMS])
def test_what_is_wrong_is_told_once_with_its_line(home: Path, vault: str, problem: str) -> None:
    [only] = told(home, vault)
    assert problem in only
    assert "me:pw" not in only


def test_a_kind_that_a_source_does_not_serve_is_told(home: Path) -> None:
    credentials = "    credentials: {from: vault-ssh, role: dev, user: app}\n"
    [only] = told(home, f"address: https://v, {APPROLE}", credentials)
    assert "`vault-ssh` makes no logins for a target of kind `postgres`; it is for `ssh`" in only


def test_a_machine_without_hvac_is_told_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "hvac" else found(name))
    [only] = told(home, f"address: https://v, {APPROLE}")
    assert only == "2: vault: needs the package hvac: `pip install 'hoopx[vault]'`"
