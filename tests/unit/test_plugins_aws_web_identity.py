"""Keys by the person's own token. moto verifies no such token, and takes unsigned calls only without enforcement."""

from __future__ import annotations

import asyncio
import time

from hoopx_broker.seams.issuer import Renews
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.aws_web_identity import AwsWebIdentityIssuer, AwsWebIdentityOptions
from tests.peers.aws import Aws, allow, policy
from tests.unit.aws_stage import Pins, keys_of, lease_of, order, target

TOKEN = "eyJ.the-token-of-ann.sig"
ISSUER = AwsWebIdentityIssuer()


def test_the_persons_token_opens_the_role_and_nothing_is_signed_by_the_broker(aws: Aws) -> None:
    role = aws.role("hoopx-people", allow("s3:ListAllMyBuckets"))
    account = aws.account(access_key_id=None, secret_access_key=None)
    options = AwsWebIdentityOptions(role=role, aws=account, session_policy=policy(allow("s3:*")))
    made, pins = order(target("aws-web-identity", options), token=Secret(TOKEN)), Pins()
    with aws.without_enforcement():
        issued = asyncio.run(ISSUER.issue(made, pins))
    asked = aws.asked("AssumeRoleWithWebIdentity")[-1]
    assert (asked["WebIdentityToken"], asked["RoleSessionName"]) == (TOKEN, f"hoopx-{made.session}")
    assert "s3:*" in asked["Policy"]
    assert pins.handles[0]["session"] == f"hoopx-{made.session}"
    assert TOKEN not in f"{issued!r} {issued.handle} {pins.handles} {made!r}"
    aws.client("s3", keys_of(issued)).list_buckets()


def test_such_keys_end_by_themselves_and_are_not_renewed(aws: Aws) -> None:
    options = AwsWebIdentityOptions(role=aws.role("hoopx-people-2", allow("s3:Get*")), aws=aws.account())
    made = order(target("aws-web-identity", options), token=Secret(TOKEN))
    with aws.without_enforcement():
        issued = asyncio.run(ISSUER.issue(made, Pins()))
    end = asyncio.run(ISSUER.revoke(lease_of(made, issued.handle, issued), made.target))
    assert end is not None
    assert end > time.time() + 1700
    assert not isinstance(ISSUER, Renews)
