"""AWS in the configuration: one shared section, one per target, and what is wrong told with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.people import Principal
from hoopx_plugins import aws_account
from hoopx_plugins.aws_account import AwsAccount
from hoopx_plugins.aws_assume_role import AwsAssumeRoleOptions
from hoopx_plugins.aws_names import source_identity, tags_of
from hoopx_plugins.aws_times import key_seconds
from tests.peers.aws import allow, policy
from tests.unit.aws_stage import order, target

ROLE = "arn:aws:iam::123456789012:role/hoopx-read"


def account(**options: Any) -> AwsAccount:
    return AwsAccount(**({"region": "eu-central-1"} | options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"region": "frankfurt"}, "not the name of a region"),
        ({"endpoint": "http://sts.example.com"}, "must be https"),
        ({"endpoint": "sts.example.com"}, "must be a URL"),
        ({"endpoint": "https://me:pw@sts.example.com"}, "must be a URL"),
        ({"access_key_id": "AKIA"}, "come together"),
        ({"role": "hoopx-read"}, "not the ARN of a role"),
        ({"external_id": "abc"}, "belongs to a `role`"),
    ],
)
def test_what_is_wrong_with_an_account_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        account(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aws": None}, "needs a section `aws`"),
        ({"role": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "not the ARN of a role"),
        ({"max_duration": "5m"}, "from `15m` to `12h`"),
        ({"max_duration": "13h"}, "from `15m` to `12h`"),
        ({"max_duration": "2h", "aws": account(role=ROLE)}, "at most `1h` behind"),
        ({"session_policy": "ReadOnlyAccess"}, "`session_policy` is not JSON"),
        ({"session_policy": '{"Version": "2012-10-17", "Statement": ['}, "`session_policy` is not JSON"),
        ({"session_policy": json.dumps({"Statement": [allow("s3:*")]})}, "`session_policy` must have"),
        ({"session_policy": policy({"Effect": "Allow", "Action": "s3:*"})}, "either `Resource` or"),
        ({"session_policy": policy({"Effect": "allow", "Action": "*", "Resource": "*"})}, "`Effect`"),
        ({"policy_arns": ("ReadOnlyAccess",)}, "`policy_arns` is neither the ARN"),
        ({"policy_arns": tuple(f"arn:aws:iam::aws:policy/P{n}" for n in range(11))}, "names 11 managed policies"),
    ],
)
def test_what_is_wrong_with_a_role_is_said_before_the_start(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AwsAssumeRoleOptions(**{"role": ROLE, "aws": account(), **options})


def test_without_boto3_the_broker_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_account, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'hoopx\[aws\]'"):
        account()


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("ann@example.com", "ann@example.com"),
        ("repo:acme/app:ref:refs/heads/main", "repo_acme_app_ref_refs_heads_main-"),
        ("Ann Ørsted", "Ann__rsted-"),
        ("a", "a-"),
        ("x" * 70, "x" * 55 + "-"),
    ],
)
def test_a_person_is_named_in_the_characters_that_aws_takes(user: str, identity: str) -> None:
    named = source_identity(Principal(user, "human"))
    assert named.startswith(identity)
    assert 2 <= len(named) <= 64


def test_people_whose_names_look_alike_at_aws_stay_apart() -> None:
    named = {source_identity(Principal(user, "human")) for user in ("a b", "a:b", "a_b")}
    assert len(named) == 3


def test_tags_are_within_what_aws_takes() -> None:
    made: Order = order(target("aws-assume-role", None), principal=Principal("ü" * 300, "human"))
    assert all(len(value) <= 256 and value.isascii() for value in tags_of(made).values())


@pytest.mark.parametrize(("wished", "asked"), [(1, 900), (899.9, 900), (1000.7, 1000), (99999, 3600)])
def test_keys_live_for_what_sts_gives(wished: float, asked: int) -> None:
    assert key_seconds(wished, "1h") == asked
