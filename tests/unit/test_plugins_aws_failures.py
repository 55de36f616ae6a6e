"""What goes wrong at AWS, told with the source, the target and a remedy, and never in AWS's own words."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, ReadTimeoutError

from hoopx_broker.seams.issuer import Issuer
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins import aws_calls
from hoopx_plugins.aws_account import AwsAccount
from hoopx_plugins.aws_assume_role import AwsAssumeRoleIssuer, AwsAssumeRoleOptions
from hoopx_plugins.aws_failures import NothingMade, told
from hoopx_plugins.aws_rds_iam import AwsRdsIamIssuer, AwsRdsIamOptions
from hoopx_plugins.aws_secretsmanager import AwsSecretsManagerIssuer, AwsSecretsManagerOptions
from hoopx_plugins.aws_ssm import AwsSsmIssuer, AwsSsmOptions
from hoopx_plugins.aws_web_identity import AwsWebIdentityIssuer, AwsWebIdentityOptions
from tests.peers.aws_double import Answer, Door, aws_door
from tests.peers.certificates import Authority
from tests.peers.processes import closed_port
from tests.unit.aws_stage import Pins, order, target

ROLE = "arn:aws:iam::123456789012:role/hoopx-read"
KEY = "AKIABROKER"
SECRET = "broker-secret-0123456789abcdef"
TOKEN = "eyJ.the-token-of-ann.sig"
WHO = "User: arn:aws:sts::123456789012:assumed-role/broker/i-1 is not authorized to perform: {} on resource: x"


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with aws_door() as standing:
        yield standing


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials and no settings of the machine that the tests run on."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def account(endpoint: str, **changes: Any) -> AwsAccount:
    login: dict[str, Any] = {"access_key_id": KEY, "secret_access_key": Secret(SECRET)}
    return AwsAccount(**({"region": "eu-central-1", "endpoint": endpoint} | login | changes))


def failure_of(source: str, aws: AwsAccount) -> BackendFailed:
    """What opening a session comes to."""
    issuer: Issuer
    where: Target
    match source:
        case "aws-assume-role":
            issuer, where = AwsAssumeRoleIssuer(), target(source, AwsAssumeRoleOptions(role=ROLE, aws=aws))
        case "aws-web-identity":
            issuer, where = AwsWebIdentityIssuer(), target(source, AwsWebIdentityOptions(role=ROLE, aws=aws))
        case "aws-secretsmanager":
            issuer, where = (
                AwsSecretsManagerIssuer(),
                target(source, AwsSecretsManagerOptions(secret="app/db", aws=aws)),
            )
        case "aws-ssm":
            issuer, where = AwsSsmIssuer(), target(source, AwsSsmOptions(parameter="/app/db", aws=aws))
        case _:
            options = AwsRdsIamOptions(user="app", aws=aws)
            issuer = AwsRdsIamIssuer()
            where = Target("prod-aws", "postgres", "db", 5432, "app", UpstreamTls(), source, credentials=options)
    with pytest.raises(BackendFailed) as failure:
        asyncio.run(issuer.issue(order(where, token=Secret(TOKEN)), Pins()))
    assert f"`{source}`" in failure.value.message
    assert "`prod-aws`" in failure.value.message
    assert failure.value.hint
    shown = f"{failure.value!r} {failure.value.message} {failure.value.hint} {failure.value.__cause__!r}"
    assert SECRET not in shown
    assert TOKEN not in shown
    assert "Signature=" not in shown
    return failure.value


ROLE_SOURCE = "aws-assume-role"
TOO_LONG = "The requested DurationSeconds exceeds the {} set for this role."
CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."


def refusal(status: int) -> ClientError:
    said: Any = {"Error": {"Code": "X", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "AssumeRole")


@pytest.mark.parametrize(
    ("source", "answer", "message", "hint"),
    [
        (ROLE_SOURCE, Answer("AccessDenied", WHO.format("sts:AssumeRole"), 403), "sts:AssumeRole", "trust policy"),
        (ROLE_SOURCE, Answer("AccessDenied", WHO.format("sts:TagSession"), 403), "sts:TagSession", "`tags: off`"),
        (
            ROLE_SOURCE,
            Answer("AccessDenied", WHO.format("sts:SetSourceIdentity"), 403),
            "sts:SetSourceIdentity",
            "`source_identity: off`",
        ),
        (ROLE_SOURCE, Answer("AccessDenied", f"{TOKEN} Signature=abc", 403), "refuses access", "trust policy"),
        (ROLE_SOURCE, Answer("ExpiredToken", "", 403), "have expired", "give the broker credentials"),
        (ROLE_SOURCE, Answer("InvalidClientTokenId", "", 403), "does not know", "give the broker credentials"),
        (ROLE_SOURCE, Answer("SignatureDoesNotMatch", f"… {SECRET}", 403), "signature", "clock"),
        (ROLE_SOURCE, Answer("RequestTimeTooSkewed", "", 403), "clock", "NTP"),
        (ROLE_SOURCE, Answer("RegionDisabledException", "", 403), "switched off", "aws.region"),
        (ROLE_SOURCE, Answer("MalformedPolicyDocument"), "session policy", "session_policy"),
        (ROLE_SOURCE, Answer("PackedPolicyTooLarge"), "too large", "shorten"),
        (ROLE_SOURCE, Answer("ValidationError", TOO_LONG.format("MaxSessionDuration")), "shorter", "max_duration"),
        (ROLE_SOURCE, Answer("ValidationError", CHAINED), "one hour", "max_duration: 1h"),
        (ROLE_SOURCE, Answer("NobodyKnows", TOKEN), "`NobodyKnows`", "CloudTrail"),
        (ROLE_SOURCE, Answer(f"{SECRET} x", TOKEN), "an unknown code", "CloudTrail"),
        ("aws-web-identity", Answer("ExpiredTokenException"), "person's token has expired", "hoopx login"),
        ("aws-web-identity", Answer("InvalidIdentityToken", TOKEN), "does not take", "OIDC provider"),
        ("aws-web-identity", Answer("IDPRejectedClaim", "", 403), "says of the person", "`sub`"),
        (
            "aws-secretsmanager",
            Answer("AccessDeniedException", WHO.format("secretsmanager:GetSecretValue"), 400, is_json=True),
            "secretsmanager:GetSecretValue",
            "allow `secretsmanager:GetSecretValue`",
        ),
        ("aws-secretsmanager", Answer("DecryptionFailure", is_json=True), "decrypt", "kms:Decrypt"),
        ("aws-ssm", Answer("ParameterNotFound", is_json=True), "no parameter `/app/db`", "`parameter`"),
    ],
)
def test_each_error_of_aws_has_its_words(door: Door, source: str, answer: Answer, message: str, hint: str) -> None:
    door.answer = answer
    failure = failure_of(source, account(door.endpoint))
    assert message in failure.message
    assert hint in failure.hint


@pytest.mark.parametrize(
    ("error", "is_certain"),
    [
        (refusal(400), True),
        (refusal(403), True),
        (refusal(500), False),
        (NoCredentialsError(), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (ReadTimeoutError(endpoint_url="x"), False),
        (ValueError("who knows"), False),
    ],
)
def test_that_nothing_was_made_is_said_only_where_it_is_certain(error: Exception, is_certain: bool) -> None:
    assert isinstance(told(error, ROLE_SOURCE, "prod-aws", account("http://127.0.0.1:1")), NothingMade) is is_certain


def test_a_throttled_broker_tries_again_a_few_times_and_then_says_so(door: Door) -> None:
    door.answer, before, began = Answer("Throttling", "Rate exceeded"), door.calls, time.monotonic()
    failure = failure_of(ROLE_SOURCE, account(door.endpoint))
    assert "throttles" in failure.message
    assert door.calls - before == aws_calls.ATTEMPTS
    assert time.monotonic() - began < aws_calls.PATIENCE


def test_an_aws_that_hangs_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_calls, "PATIENCE", 0.3)
    monkeypatch.setattr(aws_calls, "READ_SECONDS", 1)
    door.answer = Answer("", hangs=True)
    failure = failure_of(ROLE_SOURCE, account(door.endpoint, region="eu-west-1"))
    assert "no answer" in failure.message


def test_an_endpoint_that_nobody_is_at_is_named() -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    failure = failure_of(ROLE_SOURCE, account(endpoint))
    assert endpoint in failure.message
    assert "aws.region" in failure.hint


def test_an_endpoint_is_believed_by_its_authority_alone(tmp_path: Path) -> None:
    ours, theirs = Authority.make("ours"), Authority.make("theirs")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*ours.write_server(tmp_path))
    with aws_door(tls) as secured:
        secured.answer = Answer("AccessDenied", WHO.format("sts:AssumeRole"), 403)
        right, wrong = ours.write(tmp_path / "ours.pem"), theirs.write(tmp_path / "theirs.pem")
        assert "sts:AssumeRole" in failure_of(ROLE_SOURCE, account(secured.endpoint, ca=right)).message
        refused = failure_of(ROLE_SOURCE, account(secured.endpoint, ca=wrong))
        assert "certificate" in refused.message
        assert "aws.ca" in refused.hint
        assert secured.calls == 1


@pytest.mark.parametrize("source", ["aws-assume-role", "aws-secretsmanager", "aws-rds-iam"])
def test_a_broker_without_credentials_is_told_where_to_put_them(door: Door, source: str) -> None:
    nobody = account(door.endpoint, access_key_id=None, secret_access_key=None)
    failure = failure_of(source, nobody)
    assert "no AWS credentials" in failure.message
    assert "aws.profile" in failure.hint


def test_credentials_that_come_later_are_found(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.answer = Answer("AccessDenied", WHO.format("sts:AssumeRole"), 403)
    around = account(door.endpoint, access_key_id=None, secret_access_key=None)
    assert "no AWS credentials" in failure_of(ROLE_SOURCE, around).message
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "sts:AssumeRole" in failure_of(ROLE_SOURCE, around).message


def test_a_profile_that_is_not_there_is_named(door: Door) -> None:
    failure = failure_of(ROLE_SOURCE, account(door.endpoint, access_key_id=None, secret_access_key=None, profile="x"))
    assert "no such profile" in failure.message


def test_a_person_without_a_token_is_asked_to_log_in(door: Door) -> None:
    where = target("aws-web-identity", AwsWebIdentityOptions(role=ROLE, aws=account(door.endpoint)))
    before = door.calls
    with pytest.raises(BackendFailed, match="has none") as failure:
        asyncio.run(AwsWebIdentityIssuer().issue(order(where), Pins()))
    assert "hoopx login" in failure.value.hint
    assert door.calls == before


def test_a_broker_that_never_asks_aws_never_imports_its_library() -> None:
    issuers = "import sys, hoopx_plugins.aws_assume_role, hoopx_plugins.aws_rds_iam, hoopx_plugins.aws_ssm;"
    ask = f"{issuers} print(sorted({{'boto3', 'botocore'}} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "[]\n"
