"""Keys of a role for each session: what they may do, whose they are, and when they end. Against moto, IAM enforced."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from botocore.exceptions import ClientError

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import TARGETS_OWN, Issued, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_assume_role import AwsAssumeRoleIssuer, AwsAssumeRoleOptions
from tests.peers.aws import ACCOUNT, Aws, allow, policy
from tests.unit.aws_stage import Pins, keys_of, lease_of, order, target

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ISSUER = AwsAssumeRoleIssuer()


@pytest.fixture(scope="module")
def role(aws: Aws) -> str:
    aws.client("s3").create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return aws.role("hoopx-read", allow("s3:ListBucket"))


def options(aws: Aws, role: str, **changes: object) -> AwsAssumeRoleOptions:
    return AwsAssumeRoleOptions(**({"role": role, "aws": aws.account()} | changes))  # type: ignore[arg-type]


def issue(made: Order, pins: Pins | None = None) -> Issued:
    return asyncio.run(ISSUER.issue(made, pins or Pins()))


def at(aws: Aws, role: str, **changes: object) -> Target:
    return target("aws-assume-role", options(aws, role, **changes))


def test_the_keys_do_what_the_role_may_and_no_more(aws: Aws, role: str) -> None:
    s3 = aws.client("s3", keys_of(issue(order(at(aws, role)))))
    assert s3.list_objects_v2(Bucket="reports")["KeyCount"] == 0
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="reports", Key="a", Body=b"b")


def test_aws_hears_who_it_is_for_and_which_session(aws: Aws, role: str) -> None:
    who = Principal("bot", "agent", on_behalf_of="ann@example.com")
    made = order(at(aws, role), principal=who)
    issued = issue(made)
    asked = aws.asked("AssumeRole")[-1]
    assert asked["RoleSessionName"] == f"hoopx-{made.session}"
    assert asked["SourceIdentity"] == "ann@example.com"
    tags = {asked[f"Tags.member.{at}.Key"]: asked[f"Tags.member.{at}.Value"] for at in range(1, 5)}
    assert tags == {
        "hoopx:user": "bot",
        "hoopx:on-behalf-of": "ann@example.com",
        "hoopx:session": made.session,
        "hoopx:target": "prod-aws",
    }
    assert {asked[f"TransitiveTagKeys.member.{at}"] for at in range(1, 5)} == set(tags)
    assert issued.handle["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/hoopx-read/hoopx-{made.session}"
    assert issued.handle["user_id"].endswith(f":hoopx-{made.session}")


def test_a_role_that_trusts_no_tags_gets_none(aws: Aws, role: str) -> None:
    issue(order(at(aws, role, tags=False, source_identity=False)))
    assert not [key for key in aws.asked("AssumeRole")[-1] if "Tag" in key or "SourceIdentity" in key]


def test_what_several_rules_say_is_added_up(aws: Aws, role: str) -> None:
    told = (policy(allow("ec2:DescribeInstances") | {"Sid": "one"}), policy(allow("s3:ListBucket") | {"Sid": "one"}))
    issue(order(at(aws, role), obligations={"aws_policy": (*told, READ_ONLY)}))
    asked = aws.asked("AssumeRole")[-1]
    assert asked["PolicyArns.member.1.arn"] == READ_ONLY
    assert json.loads(asked["Policy"])["Statement"] == [allow("ec2:DescribeInstances"), allow("s3:ListBucket")]


def test_keys_may_do_no_more_than_the_rules_say_whatever_the_configuration_allows(aws: Aws, role: str) -> None:
    target = at(aws, role, session_policy=policy(allow("s3:*")), policy_arns=(READ_ONLY,))
    issue(order(target, obligations={"aws_policy": (policy(allow("ec2:DescribeInstances")),)}))
    asked = aws.asked("AssumeRole")[-1]
    assert "PolicyArns.member.1.arn" not in asked
    assert json.loads(asked["Policy"])["Statement"] == [allow("ec2:DescribeInstances")]
    issue(order(target))
    asked = aws.asked("AssumeRole")[-1]
    assert asked["PolicyArns.member.1.arn"] == READ_ONLY
    assert json.loads(asked["Policy"])["Statement"] == [allow("s3:*")]


def test_an_agent_is_bound_by_what_binds_its_human_alone_unless_the_target_has_policies_of_its_own(
    aws: Aws, role: str
) -> None:
    told = {"aws_policy": (READ_ONLY, TARGETS_OWN)}
    issue(order(at(aws, role), obligations=told))
    assert aws.asked("AssumeRole")[-1]["PolicyArns.member.1.arn"] == READ_ONLY
    with pytest.raises(BackendFailed, match="AWS intersects none"):
        issue(order(at(aws, role, session_policy=policy(allow("s3:*"))), obligations=told))


@pytest.mark.parametrize(
    ("obligation", "said"),
    [
        ("ReadOnlyAccess", "neither the ARN"),
        ('{"Version": "2012-10-17"}', "no `Statement`"),
        (policy(*[allow(f"service{at}:Do") | {"Condition": {"Bool": {"a": "b"}}} for at in range(30)]), "2048"),
        (policy(allow("s3:*") | {"Principal": "*"}), "`Principal`"),
    ],
)
def test_rules_that_bind_to_nothing_sound_open_no_session(aws: Aws, role: str, obligation: str, said: str) -> None:
    before = len(aws.asked("AssumeRole"))
    with pytest.raises(BackendFailed, match="`aws_policy`") as failure:
        issue(order(at(aws, role), obligations={"aws_policy": (obligation,)}))
    assert said in failure.value.message
    assert "`prod-aws`" in failure.value.message
    assert len(aws.asked("AssumeRole")) == before


def test_more_than_ten_managed_policies_are_too_many(aws: Aws, role: str) -> None:
    many = tuple(f"arn:aws:iam::aws:policy/P{number}" for number in range(11))
    with pytest.raises(BackendFailed, match="11 managed policies"):
        issue(order(at(aws, role), obligations={"aws_policy": many}))


@pytest.mark.parametrize(("wished", "given"), [(60, 900), (1800, 1800), (8 * 3600, 3600)])
def test_the_end_is_the_one_that_aws_gives(aws: Aws, role: str, wished: float, given: float) -> None:
    issued = issue(order(at(aws, role), seconds=wished))
    assert issued.expires_at is not None
    assert abs(issued.expires_at - time.time() - given) < 15


def test_what_may_be_made_is_pinned_before_aws_is_asked(aws: Aws, role: str) -> None:
    pins, made = Pins(), order(at(aws, role))
    asked = len(aws.asked("AssumeRole"))

    async def killed(handle: dict[str, str]) -> None:
        await pins(handle)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(ISSUER.issue(made, killed))
    assert len(aws.asked("AssumeRole")) == asked
    assert pins.handles[0]["session"] == f"hoopx-{made.session}"
    end = asyncio.run(ISSUER.revoke(lease_of(made, pins.handles[0]), made.target))
    assert end is not None
    assert end > time.time() + 1700


def test_keys_are_not_called_over_before_their_end(aws: Aws, role: str) -> None:
    made = order(at(aws, role))
    issued = issue(made)
    lease = lease_of(made, issued.handle, issued)
    end = asyncio.run(ISSUER.revoke(lease, made.target))
    assert end is not None
    assert abs(end - (issued.expires_at or 0)) <= 1
    later = AwsAssumeRoleIssuer(lambda: time.time() + 1900)
    assert asyncio.run(later.revoke(lease, made.target)) is None


def test_a_lease_that_never_asked_aws_for_anything_is_over(aws: Aws, role: str) -> None:
    made = order(at(aws, role))
    assert asyncio.run(ISSUER.revoke(lease_of(made, {}), made.target)) is None


def test_renewed_keys_are_the_same_sessions_until_the_later_end(aws: Aws, role: str) -> None:
    made = order(at(aws, role), seconds=1000)
    first = issue(made)
    again = Order(made.lease, made.session, made.target, made.principal, time.time() + 2000)
    pins = Pins()
    renewed = asyncio.run(ISSUER.renew(lease_of(made, first.handle, first), first.credential, again, pins))
    assert (
        float(pins.handles[0]["ends_at"]) >= float(renewed.handle["ends_at"]) - 1
    )  # a kill in between forgets nothing
    assert pins.handles[0]["user_id"] == first.handle["user_id"]
    assert keys_of(renewed).access_key_id != keys_of(first).access_key_id
    assert renewed.handle["user_id"] == first.handle["user_id"]
    assert float(renewed.handle["ends_at"]) > float(first.handle["ends_at"])


def test_no_key_is_printed_or_stored(aws: Aws, role: str) -> None:
    issued = issue(order(at(aws, role)))
    keys = keys_of(issued)
    assert keys.session_token is not None
    shown = f"{issued!r} {issued.handle} {keys}"
    assert keys.secret_access_key.reveal() not in shown
    assert keys.session_token.reveal() not in shown


def test_a_role_that_the_broker_may_not_assume_is_named_with_the_remedy(aws: Aws) -> None:
    pins = Pins()
    with pytest.raises(BackendFailed) as failure:
        issue(order(at(aws, f"arn:aws:iam::{ACCOUNT}:role/others")), pins)
    assert pins.handles[-1] == {}  # nothing was made, so nothing has to end
    assert "`aws-assume-role`" in failure.value.message
    assert "`prod-aws`" in failure.value.message
    assert "sts:AssumeRole" in failure.value.message
    assert "trust policy" in failure.value.hint


def test_a_role_whose_trust_policy_names_somebody_else_is_refused(aws: Aws) -> None:
    foreign = aws.role("hoopx-foreign", allow("*"), trusts=f"arn:aws:iam::{ACCOUNT}:user/somebody")
    with pytest.raises(BackendFailed, match="sts:AssumeRole"):
        issue(order(at(aws, foreign)))


def test_another_account_is_reached_by_its_role(aws: Aws, role: str) -> None:
    way = aws.role("hoopx-way", allow("sts:AssumeRole"))
    trusts = f"arn:aws:sts::{ACCOUNT}:assumed-role/hoopx-way/hoopx-broker"
    inner = aws.role("hoopx-inner", allow("s3:ListBucket"), trusts=trusts)
    across = AwsAssumeRoleOptions(role=inner, aws=aws.account(role=way))
    issued = issue(order(target("aws-assume-role", across)))
    assert aws.client("s3", keys_of(issued)).list_objects_v2(Bucket="reports")["KeyCount"] == 0
