"""The faults of the double of Vault, which tests of our own issuers set, and its AWS engine, which OpenBao has not."""

from __future__ import annotations

import time

import httpx2
import pytest

from tests.peers.postgres import Postgres
from tests.peers.vault.peer import DoubleVault

CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"


@pytest.fixture
def place(vault: DoubleVault, postgres: Postgres) -> str:
    """A database engine with a role `ro`."""
    place = vault.enable(vault.fresh("db"), "database")
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/app?sslmode=require"
    vault.database(place, "pg", url, postgres.superuser, postgres.superuser_password)
    vault.write(f"{place}/roles/ro", {"db_name": "pg", "creation_statements": [CREATE]})
    return place


def test_it_comes_back_from_a_kill_with_all_it_knew(vault: DoubleVault, postgres: Postgres, place: str) -> None:
    token = vault.token("default", ttl="1h")["client_token"]
    told, url = vault.read(f"{place}/creds/ro"), vault.url
    vault.die()
    with pytest.raises(httpx2.ConnectError):
        vault.ask("GET", "sys/health")
    vault.start()
    assert vault.url == url
    assert vault.ask("GET", "auth/token/lookup-self", token=token).status == 200
    assert told["data"]["username"] in postgres.roles()
    assert vault.ask("PUT", "sys/leases/revoke", {"lease_id": told["lease_id"]}).status == 204
    assert told["data"]["username"] not in postgres.roles()


def test_it_lies_when_told_and_then_tells_the_truth_again(vault: DoubleVault, postgres: Postgres, place: str) -> None:
    told = vault.read(f"{place}/creds/ro")
    vault.lie()
    assert vault.ask("PUT", "sys/leases/revoke", {"lease_id": told["lease_id"], "sync": True}).status == 204
    assert told["data"]["username"] in postgres.roles()
    vault.be_well()
    assert vault.ask("PUT", "sys/leases/revoke", {"lease_id": told["lease_id"], "sync": True}).status == 204
    assert told["data"]["username"] not in postgres.roles()


def test_it_refuses_so_many_requests_and_no_more(vault: DoubleVault, place: str) -> None:
    vault.refuse(429, 2, path=f"{place}/creds")
    assert [vault.ask("GET", f"{place}/creds/ro").status for _ in range(3)] == [429, 429, 200]
    vault.refuse(500, 1)
    assert [vault.ask("GET", "sys/mounts").status for _ in range(2)] == [500, 200]


def test_it_is_slow_where_it_is_told(vault: DoubleVault) -> None:
    vault.be_slow(0.3, path="sys/mounts")
    started = time.monotonic()
    vault.ask("GET", "sys/auth")
    quick = time.monotonic() - started
    vault.ask("GET", "sys/mounts")
    assert time.monotonic() - started - quick >= 0.3
    vault.be_well()


def test_nobody_trusts_it_who_has_not_its_authority(vault: DoubleVault) -> None:
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(f"{vault.url}/v1/sys/health")
