"""What is kept in Vault's KV engine: logins of `vault-kv`, and references `vault:PATH#field` of the configuration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.errors import BackendFailed, BadInput
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_plugins.static import StaticOptions
from hoopx_plugins.vault_kv import VaultKvIssuer, VaultKvOptions
from hoopx_plugins.vault_reference import VaultReader
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port
from tests.peers.vault.peer import DoubleVault, Vault
from tests.unit.vault_stage import Pins, VaultStage, by_the_double, lease_of, login_of, written

FIRST, SECOND = "first-password-of-the-app", "second-password-of-the-app"


class Keeping(VaultStage):
    """A KV engine with the login of an application."""

    def __init__(self, vault: Vault, postgres: Postgres) -> None:
        super().__init__(vault, postgres)
        self.kv = vault.enable(vault.fresh("kv"), "kv", options={"version": "2"})
        self.keep(FIRST)
        vault.policy(self.reader, f'path "{self.kv}/data/app/*" {{ capabilities = ["read"] }}')

    @property
    def path(self) -> str:
        return f"{self.kv}/app/db"

    def keep(self, password: str) -> None:
        data = {"username": "app", "password": password, "port": 5432, "empty": ""}
        self.vault.write(f"{self.kv}/data/app/db", {"data": data})

    def read(self, **options: str) -> DatabaseLogin:
        order = self.order(VaultKvOptions(self.path, vault=self.server(), **options), source="vault-kv")
        pins = Pins()
        issued = asyncio.run(VaultKvIssuer().issue(order, pins))
        assert not self.lives(pins.handle["accessor"])  # the login is given back: nothing hangs on it
        assert issued.handle == {}
        asyncio.run(VaultKvIssuer().revoke(lease_of(order, issued.handle), order.target))
        return login_of(issued)


@pytest.fixture
def stage(each_vault: Vault, postgres: Postgres) -> Keeping:
    return Keeping(each_vault, postgres)


def test_each_session_gets_the_login_that_is_kept_just_then(stage: Keeping) -> None:
    first = stage.read()
    stage.keep(SECOND)
    second = stage.read(user="somebody", password_field="password")
    assert (first.user, first.password.reveal()) == ("app", FIRST)
    assert (second.user, second.password.reveal()) == ("somebody", SECOND)


@by_the_double
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password_field": "passwort"}, "no text in the field `passwort`"),
        ({"user_field": "port"}, "no text in the field `port`"),
        ({"user_field": "empty"}, "no text in the field `empty`"),
    ],
)
def test_a_field_that_is_not_there_is_told(stage: Keeping, options: dict[str, str], said: str) -> None:
    with pytest.raises(BackendFailed, match="source `vault-kv` of target `db`") as failed:
        stage.read(**options)
    assert said in failed.value.message
    assert FIRST not in failed.value.message


def test_a_deleted_secret_is_no_login(stage: Keeping) -> None:
    stage.vault.delete(f"{stage.kv}/data/app/db")
    with pytest.raises(BackendFailed, match="nothing at"):
        stage.read()


@by_the_double
def test_a_broker_that_died_while_it_read_leaves_no_login_at_vault(stage: Keeping) -> None:
    order = stage.order(VaultKvOptions(stage.path, vault=stage.server()), source="vault-kv")

    async def killed_and_come_back() -> None:
        pins = Pins(dies_after=1)
        killed = asyncio.ensure_future(VaultKvIssuer().issue(order, pins))
        await pins.died.wait()
        assert stage.lives(pins.handle["accessor"])
        await VaultKvIssuer().revoke(lease_of(order, pins.handle), order.target)
        assert not stage.lives(pins.handle["accessor"])
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)

    asyncio.run(killed_and_come_back())


# References


def test_a_reference_is_read_and_its_login_ended(stage: Keeping) -> None:
    assert VaultReader(stage.server()).read(f"{stage.path}#password") == FIRST


def test_version_1_of_the_engine_and_deep_mounts_are_read_where_vault_tells_of_them(stage: Keeping) -> None:
    if isinstance(stage.vault, DoubleVault):
        assert VaultReader(stage.server()).read(f"{stage.path}#username") == "app"  # it has version 2 alone
        return
    place = stage.vault.enable(stage.vault.fresh("team/kv"), "kv", options={"version": "1"})
    stage.vault.write(f"{place}/app/db", {"password": SECOND})
    stage.vault.policy(stage.reader, f'path "{place}/*" {{ capabilities = ["read"] }}')
    assert VaultReader(stage.server()).read(f"{place}/app/db#password") == SECOND


@pytest.mark.parametrize("text", ["kv/app/db", "kv/app/db#", "#password", "kv#password", "kv/../sys/x#y", "kv//x#y"])
def test_what_is_no_reference_is_told_without_asking_vault(text: str) -> None:
    with pytest.raises(BadInput, match="MOUNT/PATH#FIELD"):
        VaultReader(object()).read(text)  # type: ignore[arg-type]


def configuration(stage: Keeping, folder: Path, *passwords: str) -> Path:
    targets = "".join(
        f"  db{number}:\n    kind: postgres\n    address: localhost\n    database: app\n"
        f"    credentials: {{from: static, user: app, password: '{password}'}}\n"
        for number, password in enumerate(passwords)
    )
    (folder / "secret-id").write_text(stage.secret_id)
    return written(
        folder,
        "hoopx.yaml",
        f"""\
policies: .
vault:
  address: {stage.vault.url}
  ca: {stage.vault.ca}
  approle: {{mount: {stage.approle}, role_id: {stage.role_id}, secret_id: file:secret-id}}
identity:
  - {{issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}}
targets:
{targets}""",
    )


def test_values_of_the_configuration_may_lie_in_vault(stage: Keeping, tmp_path: Path) -> None:
    config = load(configuration(stage, tmp_path, f"vault:{stage.path}#password"), {})
    options = config.targets["db0"].credentials
    assert isinstance(options, StaticOptions)
    assert options.password.reveal() == FIRST


@by_the_double
def test_references_that_lead_nowhere_are_told_with_their_lines(stage: Keeping, tmp_path: Path) -> None:
    file = configuration(stage, tmp_path, f"vault:{stage.path}#pw", f"vault:{stage.kv}/app/none#pw", "vault:kv")
    with pytest.raises(BadConfig) as bad:
        load(file, {})
    first, second, third = (str(each).removeprefix(str(file)) for each in bad.value.problems)
    assert first.startswith(":13: targets.db0.credentials.password: cannot be read (`")
    assert "no text in the field `pw`" in first
    assert second.startswith(":18: targets.db1.credentials.password: cannot be read (the broker cannot read `")
    assert third.startswith(":23: targets.db2.credentials.password: cannot be read (it is not MOUNT/PATH#FIELD)")
    assert stage.secret_id not in "".join(map(str, bad.value.problems))


@by_the_double
def test_a_vault_that_is_down_is_waited_for_once_and_told_of_for_each_value(stage: Keeping, tmp_path: Path) -> None:
    file = configuration(stage, tmp_path, f"vault:{stage.path}#password", f"vault:{stage.path}#username")
    file.write_text(file.read_text().replace(stage.vault.url, f"https://127.0.0.1:{closed_port()}"))
    with pytest.raises(BadConfig) as bad:
        load(file, {})
    assert ["nothing listens there" in str(each) for each in bad.value.problems] == [True, True]
