"""`vault-database`: logins that a real database gets from Vault and loses again, whatever happens in between."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_database import VaultDatabaseIssuer
from hoopx_plugins.vault_server import Kubernetes, Person
from tests.peers.certificates import Authority
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.vault.answers import Json
from tests.peers.vault.peer import Reply, Vault
from tests.unit.test_vault_contract_logins import Signer, Site
from tests.unit.vault_stage import (
    ANN,
    CREATE,
    People,
    Pins,
    VaultStage,
    by_the_double,
    lease_of,
    login_of,
    may_log_in,
    written,
)

PAGE = (Path(__file__).parents[2] / "docs" / "credentials" / "vault-database.md").read_text()


@pytest.fixture
def stage(each_vault: Vault, postgres: Postgres) -> VaultStage:
    return VaultStage(each_vault, postgres)


def test_a_session_has_a_login_of_its_own_that_is_gone_when_it_ends(stage: VaultStage) -> None:
    order = stage.database_order()
    issued = stage.issue(order)
    login = login_of(issued)
    assert may_log_in(stage.postgres, login)
    assert stage.made() == {login.user}
    assert set(issued.handle) == {"accessor", "lease"}
    stage.revoke(order, issued.handle)
    assert not may_log_in(stage.postgres, login)
    assert stage.made() == set()
    assert not stage.lives(issued.handle["accessor"])
    stage.revoke(order, issued.handle)  # what is gone already is a success


@by_the_double
def test_two_sessions_do_not_end_each_other(stage: VaultStage) -> None:
    first, second = stage.database_order(), stage.database_order()
    issuer = VaultDatabaseIssuer()
    one, other = stage.issue(first, issuer), stage.issue(second, issuer)
    stage.revoke(first, one.handle, issuer)
    assert stage.made() == {login_of(other).user}
    stage.revoke(second, other.handle, issuer)
    stage.nothing_remains()


@pytest.mark.parametrize("seconds", [60, 3600], ids=["shorter than the role's", "longer than the role's"])
def test_vault_itself_ends_the_login_when_it_was_to_end(stage: VaultStage, seconds: int) -> None:
    order = stage.database_order(seconds=seconds)
    issued = stage.issue(order)
    assert issued.expires_at == pytest.approx(order.expires_at, abs=6)
    asked = f"SELECT extract(epoch FROM rolvaliduntil) FROM pg_roles WHERE rolname = '{login_of(issued).user}'"
    [[valid_until]] = stage.postgres.sql(asked)
    assert float(valid_until) == pytest.approx(order.expires_at, abs=15)  # Vault gives the database some seconds more
    lease = stage.vault.write("sys/leases/lookup", {"lease_id": issued.handle["lease"]})["data"]
    token = stage.vault.write("auth/token/lookup-accessor", {"accessor": issued.handle["accessor"]})["data"]
    assert [lease["ttl"], token["ttl"]] == pytest.approx([seconds, seconds], abs=6)
    stage.revoke(order, issued.handle)


@by_the_double
def test_a_role_that_may_not_live_so_long_says_when_it_ends(stage: VaultStage) -> None:
    stage.role("ro", ttl="2m", most="3m")
    order = stage.database_order(seconds=3600)
    issued = stage.issue(order)
    assert issued.expires_at == pytest.approx(time.time() + 180, abs=6)
    renewed = asyncio.run(VaultDatabaseIssuer().renew(lease_of(order, issued.handle), issued.credential, order, Pins()))
    assert renewed.expires_at == pytest.approx(time.time() + 180, abs=6)
    stage.revoke(order, issued.handle)


def test_a_renewed_login_is_the_same_and_lives_on(stage: VaultStage) -> None:
    order = stage.database_order(seconds=60)
    issued = stage.issue(order)
    longer = replace(order, expires_at=time.time() + 1200)
    renewed = asyncio.run(
        VaultDatabaseIssuer().renew(lease_of(order, issued.handle), issued.credential, longer, Pins())
    )
    assert (renewed.credential, renewed.handle) == (issued.credential, issued.handle)
    assert renewed.expires_at == pytest.approx(longer.expires_at, abs=6)
    stage.revoke(order, issued.handle)
    with pytest.raises(BackendFailed, match="cannot renew the lease"):
        asyncio.run(VaultDatabaseIssuer().renew(lease_of(order, issued.handle), issued.credential, longer, Pins()))


# A broker that is killed between two steps


@pytest.mark.parametrize(
    ("dies", "is_made"),
    [
        ({"dies_before": 1}, False),
        ({"dies_after": 1}, False),
        ({"dies_before": 2}, True),
        ({"dies_after": 2}, True),
    ],
    ids=["logged in, nothing stored", "login stored", "credential made", "credential stored"],
)
def test_what_a_killed_broker_left_is_revoked_by_what_it_stored(
    stage: VaultStage, dies: dict[str, int], is_made: bool
) -> None:
    order = stage.database_order()

    async def killed_and_come_back() -> None:
        pins = Pins(**dies)
        killed = asyncio.ensure_future(VaultDatabaseIssuer().issue(order, pins))
        await pins.died.wait()
        assert len(stage.made()) == is_made
        await VaultDatabaseIssuer().revoke(lease_of(order, pins.handle), order.target)
        await asyncio.to_thread(stage.nothing_remains)
        assert not pins.handle or not stage.lives(pins.handle["accessor"])
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)

    asyncio.run(killed_and_come_back())


def test_a_creation_that_fails_half_way_leaves_nothing(stage: VaultStage) -> None:
    stage.role("ro", CREATE + '; GRANT no_such_role TO "{{name}}"')
    order, pins = stage.database_order(), Pins()
    with pytest.raises(BackendFailed, match="source `vault-database` of target `db` cannot get a login") as failed:
        asyncio.run(VaultDatabaseIssuer().issue(order, pins))
    assert "no_such_role" in failed.value.message
    assert not stage.lives(pins.handle["accessor"])
    stage.nothing_remains()


@by_the_double
def test_a_pin_that_cannot_be_stored_leaves_nothing(stage: VaultStage) -> None:
    accessors: list[str] = []

    async def full_disk(handle: dict[str, str]) -> None:
        accessors.append(handle["accessor"])
        if len(accessors) == 2:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        asyncio.run(VaultDatabaseIssuer().issue(stage.database_order(), full_disk))
    assert not stage.lives(accessors[0])
    stage.nothing_remains()


# Who logs in


def audited(stage: VaultStage, path: str) -> set[str]:
    return {each["auth"].get("display_name", "") for each in stage.vault.audit() if each["request"]["path"] == path}


def test_vaults_audit_names_the_person_and_the_broker_does_the_revoking(stage: VaultStage) -> None:
    people = People(stage)
    order = stage.database_order(server=stage.server(person=Person("people", people.mount)), token=people.token())
    issued = stage.issue(order)
    path = f"{stage.database}/creds/ro"
    assert audited(stage, path) == {f"{people.mount}-{ANN.user}"}
    stage.revoke(order, issued.handle)
    stage.nothing_remains()
    assert all(each.startswith("approle") for each in audited(stage, "sys/leases/revoke"))


@by_the_double
def test_a_session_without_the_persons_token_is_told_so(stage: VaultStage) -> None:
    people = People(stage)
    order = stage.database_order(server=stage.server(person=Person("people", people.mount)))
    with pytest.raises(BackendFailed, match=r"without a token of `ann@example.com`") as failed:
        stage.issue(order)
    assert "hoopx login" in failed.value.hint


def test_a_child_of_an_agents_token_says_what_it_is_for(stage: VaultStage, tmp_path: Path) -> None:
    child = stage.vault.policy(stage.vault.fresh("child"), 'path "auth/token/create" { capabilities = ["update"] }')
    parent = stage.vault.token(stage.reader, stage.revoker, child)["client_token"]
    file = written(tmp_path, "token", f"{parent}\n")
    order = stage.database_order(server=stage.server(approle=None, token_file=file))
    issued = stage.issue(order)
    told = stage.vault.write("auth/token/lookup-accessor", {"accessor": issued.handle["accessor"]})["data"]
    assert told["meta"] == {"session": order.session, "target": "db", "user": ANN.user}
    stage.revoke(order, issued.handle)
    stage.nothing_remains()
    assert stage.vault.ask("GET", "auth/token/lookup-self", token=parent).status == 200


def test_a_service_account_gets_logins_where_its_cluster_stands_by_it(stage: VaultStage, tmp_path: Path) -> None:
    vault, cluster = stage.vault, Site(Signer.make())
    place = vault.enable_login(vault.fresh("kubernetes"), "kubernetes")
    ca = Authority.make("cluster").write(tmp_path / "ca.pem").read_text()
    vault.write(f"auth/{place}/config", {"kubernetes_host": cluster.url, "kubernetes_ca_cert": ca})
    bound = {"bound_service_account_names": "hoopx", "bound_service_account_namespaces": "prod", "audience": "vault"}
    vault.write(f"auth/{place}/role/broker", {**bound, "token_policies": [stage.reader, stage.revoker]})
    account = {"namespace": "prod", "serviceaccount": {"name": "hoopx", "uid": "uid-1"}}
    claims = {"sub": "system:serviceaccount:prod:hoopx", "aud": ["vault"], "kubernetes.io": account}
    file = written(tmp_path, "token", cluster.signer.sign(**claims))
    order = stage.database_order(server=stage.server(approle=None, kubernetes=Kubernetes("broker", place, file)))
    try:
        issued = stage.issue(order)
        assert audited(stage, f"{stage.database}/creds/ro") == {f"{place}-prod-hoopx"}
        stage.revoke(order, issued.handle)
    finally:
        cluster.close()
    stage.nothing_remains()


class Namespace(Vault):
    """A part of another Vault, as if it were all of it."""

    def __init__(self, outer: Vault, name: str) -> None:
        super().__init__(outer.home)
        self.port = outer.port
        self._outer, self._name = outer, name

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        token: str | None = Vault.root_token,
        namespace: str = "",
    ) -> Reply:
        assert not namespace
        return self._outer.ask(method, path, body, token, self._name)


def test_all_of_it_may_lie_in_a_namespace(each_vault: Vault, postgres: Postgres) -> None:
    name = each_vault.fresh("team")
    each_vault.write(f"sys/namespaces/{name}")
    stage = VaultStage(Namespace(each_vault, name), postgres)
    order = stage.database_order(server=stage.server(namespace=name))
    issued = stage.issue(order)
    assert stage.made() == {login_of(issued).user}
    with pytest.raises(BackendFailed):
        stage.issue(stage.database_order())  # the same without its namespace
    stage.revoke(order, issued.handle)
    assert not stage.lives(issued.handle["accessor"])
    stage.nothing_remains()


def test_an_agents_token_that_has_ended_is_told_apart_from_one_that_may_not(stage: VaultStage, tmp_path: Path) -> None:
    kept = stage.vault.token(stage.reader)["client_token"]
    server = stage.server(approle=None, token_file=written(tmp_path, "token", kept))
    order, known = stage.database_order(server=server), {"accessor": "an-accessor"}
    with pytest.raises(BackendFailed, match="do not allow `auth/token/create`"):
        stage.issue(order)
    stage.vault.write("auth/token/revoke", {"token": kept})
    for work in (lambda: stage.issue(order), lambda: stage.revoke(order, known)):
        with pytest.raises(
            BackendFailed, match=r"`vault-database` of target `db` has a token in .* has ended"
        ) as failed:
            work()
        assert "Vault Agent" in failed.value.hint
        assert kept not in failed.value.message
    assert stage.made() == set()


@by_the_double
def test_a_token_of_the_brokers_that_ended_is_replaced(stage: VaultStage) -> None:
    issuer = VaultDatabaseIssuer()
    orders = [stage.database_order() for _ in range(2)]
    handles = [stage.issue(order, issuer).handle for order in orders]
    stage.revoke(orders[0], handles[0], issuer)
    stage.vault.write(f"sys/leases/revoke-prefix/auth/{stage.approle}/login")
    stage.revoke(orders[1], handles[1], issuer)
    stage.nothing_remains()


@pytest.fixture
def paged(stage: VaultStage) -> Iterator[VaultStage]:
    """All as the page has it: the statements, and an administrator that may do what it says, and no more."""
    creation, revocation, grants = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    postgres, mere = stage.postgres, "an-administrators-password"
    postgres.sql(
        "CREATE ROLE app_owner; CREATE SCHEMA paged; GRANT USAGE, CREATE ON SCHEMA paged TO app_owner, app_read"
    )
    postgres.sql(grants.replace("…", mere))
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/app?sslmode=verify-full"
    stage.vault.database(stage.database, "mere", f"{url}&sslrootcert={postgres.ca}", "vault_admin", mere)
    stage.role("ro", creation, revocation=revocation, database="mere")
    yield stage
    postgres.sql("DROP SCHEMA paged CASCADE; DROP OWNED BY app_owner, vault_admin; DROP ROLE app_owner, vault_admin")


def test_what_a_killed_broker_left_connected_is_cut_by_the_statements_of_the_page(paged: VaultStage) -> None:
    order = paged.database_order()
    issued = paged.issue(order)
    login = login_of(issued)
    with psycopg.connect(paged.postgres.dsn(login.user, login.password.reveal()), autocommit=True) as connection:
        connection.execute("CREATE TABLE paged.left_behind ()")
        paged.revoke(order, issued.handle)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert login.user not in paged.postgres.roles()


@by_the_double
def test_the_secrets_of_a_lease_are_in_no_error_and_no_handle(stage: VaultStage) -> None:
    order: Order = stage.database_order()
    issued = stage.issue(order)
    told = repr(issued) + repr(order) + repr(lease_of(order, issued.handle))
    for secret in (login_of(issued).password, Secret(stage.secret_id), Secret(stage.role_id)):
        assert secret.reveal() not in told
    stage.revoke(order, issued.handle)
    eventually(lambda: not stage.made(), "the role is gone")
