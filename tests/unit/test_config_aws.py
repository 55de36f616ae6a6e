"""A target of kind `aws` in the configuration: what it has, and what only databases have."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig

ROLE = "arn:aws:iam::123456789012:role/hoopx-read"
WHOLE = f"""\
listen: 127.0.0.1:8443
policies: rules
aws: {{region: eu-central-1}}
identity:
  - {{issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}}
targets:
  prod-aws:
    kind: aws
    region: eu-west-1
    account: "123456789012"
    labels: {{env: prod}}
    credentials: {{from: aws-assume-role, role: '{ROLE}', ttl: 15m}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "hoopx.yaml"


def problems(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(BadConfig) as bad:
        load(file, {})
    return [str(each).removeprefix(f"{file}:") for each in bad.value.problems]


def test_an_account_is_a_target_without_an_address(file: Path) -> None:
    file.write_text(WHOLE)
    target = load(file, {}).targets["prod-aws"]
    assert (target.kind, target.region, target.account, target.ttl) == ("aws", "eu-west-1", "123456789012", 900)
    assert (target.host, target.database, target.labels) == ("", "", {"env": "prod"})
    assert target.credentials.role == ROLE


@pytest.mark.parametrize(
    "line",
    [
        "address: db.internal",
        "database: app",
        "tls: {mode: disable}",
        "classify: {a.b.c: email}",
        "masks: {email: hash}",
        "mask_key: abc",
        "detect: all",
        "idle: 5m",
    ],
)
def test_what_only_databases_have_is_refused_by_name(file: Path, line: str) -> None:
    key = line.partition(":")[0]
    (found,) = problems(file, WHOLE + f"    {line}\n")
    assert found.startswith(f"13: targets.prod-aws.{key}: does not belong to a target of kind `aws`")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("    region: eu-west-1\n", "", "region: is missing"),
        ("eu-west-1", "Frankfurt", "is not the name of a region"),
        ('"123456789012"', '"1234"', "is not the number of an account"),
        (f"aws-assume-role, role: '{ROLE}', ttl: 15m", "static, user: a, password: b", "makes no logins for a target"),
    ],
)
def test_what_is_wrong_is_told(file: Path, before: str, after: str, told: str) -> None:
    assert any(told in each for each in problems(file, WHOLE.replace(before, after)))
