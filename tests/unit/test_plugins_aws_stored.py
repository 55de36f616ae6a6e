"""Logins that lie at AWS, and tokens that AWS takes for one: read at each opening. Against moto, IAM enforced."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hoopx_broker.seams.issuer import Refreshes
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.targets import Target, TlsModeName, UpstreamTls
from hoopx_plugins.aws_rds_iam import AwsRdsIamIssuer, AwsRdsIamOptions
from hoopx_plugins.aws_secretsmanager import AwsSecretsManagerIssuer, AwsSecretsManagerOptions
from hoopx_plugins.aws_ssm import AwsSsmIssuer, AwsSsmOptions
from tests.peers.aws import Aws, allow
from tests.unit.aws_stage import Pins, lease_of, order
from tests.unit.minting import login_of

PASSWORD = "wren-4-harbour-7-lantern"
RDS = "app.c0ffee.eu-central-1.rds.amazonaws.com"


def at(options: Any, source: str, mode: TlsModeName = "verify-full") -> Target:
    return Target("app-db", "postgres", RDS, 5432, "app", UpstreamTls(mode), source, credentials=options)


@pytest.fixture(scope="module")
def reader(aws: Aws) -> str:
    """A role that may read what these tests store; the broker itself may not."""
    return aws.role("hoopx-reader", allow("secretsmanager:GetSecretValue", "ssm:GetParameter"))


def secret(aws: Aws, reader: str, stored: str, name: str, **options: Any) -> DatabaseLogin:
    aws.client("secretsmanager").create_secret(Name=name, SecretString=stored)
    made = AwsSecretsManagerOptions(secret=name, aws=aws.account(), role=reader, **options)
    return login_of(asyncio.run(AwsSecretsManagerIssuer().issue(order(at(made, "aws-secretsmanager")), Pins())))


def parameter(aws: Aws, reader: str, stored: str, name: str, **options: Any) -> DatabaseLogin:
    aws.client("ssm").put_parameter(Name=name, Value=stored, Type="SecureString")
    made = AwsSsmOptions(parameter=name, aws=aws.account(), role=reader, **options)
    return login_of(asyncio.run(AwsSsmIssuer().issue(order(at(made, "aws-ssm")), Pins())))


@pytest.mark.parametrize("kept", [secret, parameter], ids=["secretsmanager", "ssm"])
def test_a_login_is_read_as_an_object_or_as_the_password_alone(aws: Aws, reader: str, kept: Any) -> None:
    stored = json.dumps({"username": "app", "password": PASSWORD, "host": RDS})
    login = kept(aws, reader, stored, "/app/whole")
    assert (login.user, login.password.reveal()) == ("app", PASSWORD)
    other = json.dumps({"name": "app2", "word": PASSWORD})
    login = kept(aws, reader, other, "/app/named", username_key="name", password_key="word")
    assert (login.user, login.password.reveal()) == ("app2", PASSWORD)
    login = kept(aws, reader, PASSWORD, "/app/alone", user="app3")
    assert (login.user, login.password.reveal()) == ("app3", PASSWORD)


@pytest.mark.parametrize("kept", [secret, parameter], ids=["secretsmanager", "ssm"])
@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (PASSWORD, "not a JSON object"),
        (json.dumps({"username": "app", "Password": PASSWORD}), "`password`"),
        (json.dumps({"username": "", "password": PASSWORD}), "`username`"),
        (json.dumps([PASSWORD]), "not a JSON object"),
    ],
)
def test_what_is_no_login_is_told_without_a_piece_of_it(
    aws: Aws, reader: str, kept: Any, stored: str, said: str
) -> None:
    name = f"/app/bad-{len(stored)}"
    with pytest.raises(BackendFailed) as failure:
        kept(aws, reader, stored, name)
    assert said in failure.value.message
    assert "`app-db`" in failure.value.message
    assert PASSWORD not in f"{failure.value.message} {failure.value.hint} {failure.value!r}"


def test_a_rotated_secret_is_the_next_sessions(aws: Aws, reader: str) -> None:
    first = secret(aws, reader, json.dumps({"username": "app", "password": "one"}), "rotating")
    made = AwsSecretsManagerOptions(secret="rotating", aws=aws.account(), role=reader)
    rotated = json.dumps({"username": "app", "password": "two"})
    aws.client("secretsmanager").put_secret_value(SecretId="rotating", SecretString=rotated)
    issued = asyncio.run(AwsSecretsManagerIssuer().issue(order(at(made, "aws-secretsmanager")), Pins()))
    assert (first.password.reveal(), login_of(issued).password.reveal()) == ("one", "two")
    assert issued.handle["secret"].startswith("arn:aws:secretsmanager:")


def test_what_is_not_there_is_named(aws: Aws, reader: str) -> None:
    absent = AwsSecretsManagerOptions(secret="nowhere", aws=aws.account(), role=reader)
    with pytest.raises(BackendFailed, match="no secret `nowhere`"):
        asyncio.run(AwsSecretsManagerIssuer().issue(order(at(absent, "aws-secretsmanager")), Pins()))
    missing = AwsSsmOptions(parameter="/no/where", aws=aws.account(), role=reader)
    with pytest.raises(BackendFailed, match="no parameter `/no/where`"):
        asyncio.run(AwsSsmIssuer().issue(order(at(missing, "aws-ssm")), Pins()))


def test_a_broker_that_may_not_read_is_refused(aws: Aws) -> None:
    """In words, or by a 403 without any: moto says now this, now that."""
    unread = AwsSecretsManagerOptions(secret="rotating", aws=aws.account())
    with pytest.raises(BackendFailed, match=r"refuses access|do `secretsmanager:GetSecretValue`"):
        asyncio.run(AwsSecretsManagerIssuer().issue(order(at(unread, "aws-secretsmanager")), Pins()))


def test_each_connection_to_rds_gets_a_token_of_its_own_time(aws: Aws, reader: str) -> None:
    """What the token says; that RDS takes it nobody can see here, only that it is signed as botocore signs it."""
    issuer, where = AwsRdsIamIssuer(), at(AwsRdsIamOptions(user="app", aws=aws.account(), role=reader), "aws-rds-iam")
    issued = asyncio.run(issuer.issue(order(where), Pins()))
    again = asyncio.run(issuer.fresh(issued.credential, where))
    assert isinstance(issuer, Refreshes)
    for login in (login_of(issued), again):
        token = login.password.reveal()
        told = parse_qs(urlsplit(f"https://{token}").query)
        assert login.user == "app"
        assert len(token) > 255
        assert token.startswith(f"{RDS}:5432/?")
        assert told["Action"] == ["connect"]
        assert told["DBUser"] == ["app"]
        assert told["X-Amz-Expires"] == ["900"]
        assert "X-Amz-Security-Token" in told  # of the role
        assert token not in f"{issued!r} {login!r}"
    assert asyncio.run(issuer.revoke(lease_of(order(where), {}), where)) is None


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_token_is_made_for_no_server_that_nobody_verifies(aws: Aws, mode: TlsModeName) -> None:
    where = at(AwsRdsIamOptions(user="app", aws=aws.account()), "aws-rds-iam", mode)
    with pytest.raises(BackendFailed, match=f"in the mode `{mode}`") as failure:
        asyncio.run(AwsRdsIamIssuer().issue(order(where), Pins()))
    assert "verify-full" in failure.value.hint
