"""`vault-aws`: keys that Vault gets from AWS, whose IAM and STS are moto's here."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hoopx_broker.terms.leases import AwsKeys, Issued
from hoopx_plugins.vault_aws import VaultAwsIssuer, VaultAwsOptions
from tests.peers.postgres import Postgres
from tests.peers.vault.peer import DoubleVault
from tests.unit.test_vault_double_aws import Cloud, cloud  # noqa: F401
from tests.unit.vault_stage import Pins, VaultStage, lease_of

ARN = "arn:aws:iam::123456789012:role/deploy"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]}'


class Keys(VaultStage):
    """An AWS engine with a role to assume and a role that makes users."""

    def __init__(self, vault: DoubleVault, postgres: Postgres, cloud: Cloud) -> None:  # noqa: F811
        super().__init__(vault, postgres)
        self.cloud = cloud
        self.aws = vault.enable(vault.fresh("aws"), "aws")
        root = {"access_key": "AKIAADMIN", "secret_key": "admin", "region": "us-east-1"}
        vault.write(f"{self.aws}/config/root", {**root, "iam_endpoint": cloud.url, "sts_endpoint": cloud.url})
        vault.write(f"{self.aws}/roles/deploy", {"credential_type": "assumed_role", "role_arns": [ARN]})
        vault.write(f"{self.aws}/roles/robot", {"credential_type": "iam_user", "policy_document": POLICY})
        allowed = '{ capabilities = ["read", "update"] }'
        vault.policy(self.reader, f'path "{self.aws}/sts/*" {allowed} path "{self.aws}/creds/*" {allowed}')

    def options(self, role: str, **more: Any) -> VaultAwsOptions:
        return VaultAwsOptions(role, mount=self.aws, vault=self.server(), **more)

    def whoami(self, issued: Issued) -> str:
        keys = issued.credential
        assert isinstance(keys, AwsKeys)
        session = keys.session_token.reveal() if keys.session_token else None
        told = {"access_key": keys.access_key_id, "secret_key": keys.secret_access_key.reveal()}
        return self.cloud.whoami({**told, "session_token": session})


@pytest.fixture
def stage(vault: DoubleVault, postgres: Postgres, cloud: Cloud) -> Keys:  # noqa: F811
    return Keys(vault, postgres, cloud)


def test_the_keys_of_a_session_say_in_aws_whose_they_are(stage: Keys) -> None:
    order = stage.order(stage.options("deploy"), source="vault-aws")
    issued = stage.issue(order, VaultAwsIssuer())
    assert stage.whoami(issued) == f"arn:aws:sts::123456789012:assumed-role/deploy/hoopx-{order.session}"
    assert issued.expires_at == pytest.approx(order.expires_at, abs=6)
    ends = asyncio.run(VaultAwsIssuer().revoke(lease_of(order, issued.handle), order.target))
    assert ends == issued.expires_at  # nobody can call them back, and that is said
    assert not stage.lives(issued.handle["accessor"])


def test_temporary_keys_are_never_shorter_than_aws_has_them_and_say_so(stage: Keys) -> None:
    order = stage.order(stage.options("deploy"), seconds=60, source="vault-aws")
    issued = stage.issue(order, VaultAwsIssuer())
    assert issued.expires_at == pytest.approx(time.time() + 900, abs=6)
    stage.revoke(order, issued.handle, VaultAwsIssuer())


def test_a_user_made_for_a_session_is_gone_after_it(stage: Keys) -> None:
    order = stage.order(stage.options("robot", type="iam-user"), source="vault-aws")
    before = stage.cloud.users()
    issued = stage.issue(order, VaultAwsIssuer())
    [user] = stage.cloud.users() - before
    assert stage.whoami(issued).endswith(user)
    assert asyncio.run(VaultAwsIssuer().revoke(lease_of(order, issued.handle), order.target)) is None
    assert stage.cloud.users() == before


def test_a_user_of_a_killed_broker_is_gone_when_it_comes_back(stage: Keys) -> None:
    order = stage.order(stage.options("robot", type="iam-user"), source="vault-aws")
    before = stage.cloud.users()

    async def killed_and_come_back() -> None:
        pins = Pins(dies_after=2)
        killed = asyncio.ensure_future(VaultAwsIssuer().issue(order, pins))
        await pins.died.wait()
        assert len(stage.cloud.users() - before) == 1
        await VaultAwsIssuer().revoke(lease_of(order, pins.handle), order.target)
        assert stage.cloud.users() == before
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)

    asyncio.run(killed_and_come_back())
