"""The AWS engine of the double of Vault, which OpenBao has not: real users and sessions, at moto's IAM and STS.

Sources: the page `secret/aws` of Vault's API documentation.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tests.peers.processes import bound_to_us, closed_port, eventually
from tests.peers.vault.peer import DoubleVault

READ_ONLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]}


class Cloud:
    """moto's server, asked as its administrator or by somebody's keys."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: str, keys: dict[str, Any] | None = None) -> Any:
        told = keys or {"access_key": "AKIAADMIN", "secret_key": "admin"}
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=told["access_key"],
            aws_secret_access_key=told["secret_key"],
            aws_session_token=told.get("session_token"),
        )

    def whoami(self, keys: dict[str, Any]) -> str:
        return str(self.client("sts", keys).get_caller_identity()["Arn"])

    def users(self) -> set[str]:
        return {user["UserName"] for user in self.client("iam").list_users()["Users"]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    port, home = closed_port(), tmp_path_factory.mktemp("moto")
    command = [*bound_to_us(), sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (home / "server.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        running = Cloud(f"http://127.0.0.1:{port}")
        eventually(lambda: _answers(running), "moto's server answers")
        yield running
        server.kill()


def _answers(cloud: Cloud) -> bool:
    try:
        cloud.users()
    except EndpointConnectionError:
        return False
    return True


@pytest.fixture
def place(vault: DoubleVault, cloud: Cloud) -> str:
    place = vault.enable(vault.fresh("aws"), "aws")
    endpoints = {"iam_endpoint": cloud.url, "sts_endpoint": cloud.url, "region": "us-east-1"}
    vault.write(f"{place}/config/root", {"access_key": "AKIAADMIN", "secret_key": "admin", **endpoints})
    return place


def test_an_assumed_role_is_a_session_that_no_lease_calls_back(vault: DoubleVault, cloud: Cloud, place: str) -> None:
    arn = "arn:aws:iam::123456789012:role/deploy"
    vault.write(f"{place}/roles/deploy", {"credential_type": "assumed_role", "role_arns": [arn]})
    told = vault.read(f"{place}/creds/deploy")
    assert (told["renewable"], told["lease_duration"]) == (False, 3600)
    assert told["data"]["arn"].startswith("arn:aws:sts::123456789012:assumed-role/deploy/vault-token-deploy-")
    assert vault.ask("PUT", "sys/leases/renew", {"lease_id": told["lease_id"]}).errors == ["lease is not renewable"]
    assert vault.ask("PUT", "sys/leases/revoke", {"lease_id": told["lease_id"]}).status == 204
    assert "assumed-role/deploy/" in cloud.whoami(told["data"])  # as documented: it lives until its own end
    named = vault.write(f"{place}/sts/deploy", {"ttl": "20m", "role_session_name": "hoopx-s1"})
    assert (named["lease_duration"], named["data"]["arn"].rsplit("/", 1)[1]) == (1200, "hoopx-s1")


def test_a_user_is_made_with_its_policy_and_gone_with_its_lease(vault: DoubleVault, cloud: Cloud, place: str) -> None:
    role = {"credential_type": "iam_user", "policy_document": json.dumps(READ_ONLY)}
    vault.write(f"{place}/roles/reader", role)
    told = vault.read(f"{place}/creds/reader")
    user = cloud.whoami(told["data"]).rsplit("/", 1)[1]
    assert user in cloud.users()
    assert cloud.client("iam").list_user_policies(UserName=user)["PolicyNames"] == [user]
    assert vault.ask("PUT", "sys/leases/revoke", {"lease_id": told["lease_id"], "sync": True}).status == 204
    assert user not in cloud.users()


def test_a_user_ends_with_the_token_that_asked_for_it(vault: DoubleVault, cloud: Cloud, place: str) -> None:
    vault.write(f"{place}/roles/reader", {"credential_type": "iam_user", "policy_document": json.dumps(READ_ONLY)})
    policy = vault.policy(vault.fresh("aws"), f'path "{place}/creds/*" {{ capabilities = ["read"] }}')
    auth = vault.token(policy, ttl="5m", display_name="ann")
    user = cloud.whoami(vault.read(f"{place}/creds/reader", token=auth["client_token"])["data"]).rsplit("/", 1)[1]
    assert user.startswith("vault-token-ann-reader-")
    vault.ask("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    eventually(lambda: user not in cloud.users(), "the user goes after its token", 10)


def test_a_user_whose_policy_is_refused_is_not_left_behind(vault: DoubleVault, cloud: Cloud, place: str) -> None:
    vault.write(f"{place}/roles/bad", {"credential_type": "iam_user", "policy_document": "no JSON"})
    before = cloud.users()
    assert vault.ask("GET", f"{place}/creds/bad").status == 400
    assert cloud.users() == before
    assert vault.ask("GET", f"{place}/creds/none").status == 400
