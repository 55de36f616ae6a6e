"""A role's session that ends before its keys do. Against moto, and a double of the one judgement that moto lacks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hoopx_broker.seams.issuer import Wide
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_plugins import aws_calls, aws_ended
from hoopx_plugins.aws_assume_role import AwsAssumeRoleIssuer, AwsAssumeRoleOptions
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended import deny
from hoopx_plugins.aws_ended_list import MAX_CHARACTERS, POLICY_NAME, extended, read, written
from tests.peers.aws import ACCOUNT, Aws, allow
from tests.unit.aws_stage import Pins, keys_of, lease_of, order, target


async def at_once(_: float) -> None:
    """moto's lists are settled as soon as they are written."""


ISSUER = AwsAssumeRoleIssuer(pause=at_once)


def denies(document: Any, user: str) -> bool:
    """A double of IAM's judgement on this one kind of statement; moto takes every condition for met."""
    return any(
        (each["Effect"], each["Action"], each["Resource"]) == ("Deny", "*", "*")
        and list(each["Condition"]) == ["StringEquals"]
        and user in each["Condition"]["StringEquals"]["aws:userid"]
        for each in document["Statement"]
    )


def session(aws: Aws, role: str, seconds: float = 1800) -> tuple[Order, Issued, Lease]:
    options = AwsAssumeRoleOptions(role=role, aws=aws.account(), revoke="deny-policy")
    made = order(target("aws-assume-role", options), seconds=seconds)
    issued = asyncio.run(ISSUER.issue(made, Pins()))
    return made, issued, lease_of(made, issued.handle, issued)


def listed(aws: Aws, role: str) -> Any:
    name = role.rpartition("/")[2]
    return aws.client("iam").get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"]


def caller(made: Order) -> Caller:
    return Caller("aws-assume-role", made.target, made.target.credentials.aws)


def test_the_keys_of_an_ended_session_are_refused_everything(aws: Aws) -> None:
    role = aws.role("hoopx-ended", allow("s3:ListAllMyBuckets"))
    (made, issued, lease), (_, other, _) = session(aws, role), session(aws, role)
    s3 = aws.client("s3", keys_of(issued))
    s3.list_buckets()
    for _ in range(2):  # it can be repeated
        assert asyncio.run(ISSUER.revoke(lease, made.target)) is None
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_buckets()
    assert denies(listed(aws, role), issued.handle["user_id"])
    assert not denies(listed(aws, role), other.handle["user_id"])


def test_a_session_whose_broker_was_killed_while_it_asked_is_ended_by_what_was_pinned(aws: Aws) -> None:
    role = aws.role("hoopx-killed", allow("s3:ListAllMyBuckets"))
    made, issued, _ = session(aws, role)
    handle = {key: issued.handle[key] for key in ("role", "session", "ends_at")}
    assert asyncio.run(ISSUER.revoke(lease_of(made, handle), made.target)) is None
    assert denies(listed(aws, role), issued.handle["user_id"])


def test_many_that_end_at_once_are_all_on_the_list_with_few_writes(aws: Aws) -> None:
    role = aws.role("hoopx-many", allow("s3:ListAllMyBuckets"))
    assert isinstance(ISSUER, Wide)  # the keeper lets that many come at once
    sessions = [session(aws, role) for _ in range(8)]
    before = len(aws.asked("PutRolePolicy"))

    async def end_all() -> None:
        await asyncio.gather(*(ISSUER.revoke(lease, made.target) for made, _, lease in sessions))

    asyncio.run(end_all())
    assert all(denies(listed(aws, role), issued.handle["user_id"]) for _, issued, _ in sessions)
    assert len(aws.asked("PutRolePolicy")) - before <= 3


def test_what_another_broker_overwrites_is_written_again(aws: Aws) -> None:
    role = aws.role("hoopx-two", allow("s3:ListAllMyBuckets"))
    made, issued, lease = session(aws, role)
    theirs = written({"AROATHEIRS:hoopx-s_1": int(time.time()) + 900})
    races = [theirs]

    async def meanwhile(_: float) -> None:
        if races:
            document = races.pop()
            aws.client("iam").put_role_policy(RoleName="hoopx-two", PolicyName=POLICY_NAME, PolicyDocument=document)

    asyncio.run(deny(caller(made), lease, time.time() + 1800, meanwhile))
    assert denies(listed(aws, role), issued.handle["user_id"])
    assert denies(listed(aws, role), "AROATHEIRS:hoopx-s_1")


def test_a_write_that_nobody_waits_for_any_more_overwrites_no_later_one(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS throttles, and the thread that writes tries again for longer than the broker waits for it."""
    role = aws.role("hoopx-late", allow("s3:ListAllMyBuckets"))
    (late, one, of_late), (next_, other, of_next) = session(aws, role), session(aws, role)
    throttled, wrote = threading.Event(), threading.Event()
    write = aws_ended._write

    def slowly(iam: Any, *more: Any) -> None:
        class Throttled:
            exceptions = iam.exceptions
            get_role_policy = staticmethod(iam.get_role_policy)

            def put_role_policy(self, **put: Any) -> None:
                throttled.wait(10)
                iam.put_role_policy(**put)

        write(Throttled(), *more)
        wrote.set()

    async def play() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(aws_ended, "_write", slowly)
            patch.setattr(aws_calls, "PATIENCE", 0.5)
            with pytest.raises(BackendFailed, match="no answer from AWS"):
                await ISSUER.revoke(of_late, late.target)
        asyncio.get_running_loop().call_later(0.5, throttled.set)
        assert await ISSUER.revoke(of_next, next_.target) is None

    asyncio.run(play())
    throttled.set()
    assert wrote.wait(10)
    assert denies(listed(aws, role), other.handle["user_id"])
    assert denies(listed(aws, role), one.handle["user_id"])


def test_a_writer_that_never_stops_is_told_of(aws: Aws) -> None:
    role = aws.role("hoopx-war", allow("s3:ListAllMyBuckets"))
    made, _, lease = session(aws, role)

    async def always(_: float) -> None:
        aws.client("iam").put_role_policy(
            RoleName="hoopx-war", PolicyName=POLICY_NAME, PolicyDocument=written({"A:b": 9})
        )

    with pytest.raises(BackendFailed, match="it is not there"):
        asyncio.run(deny(caller(made), lease, time.time() + 1800, always))


def test_a_role_with_no_room_left_says_so(aws: Aws) -> None:
    role = aws.role("hoopx-full", allow("s3:ListAllMyBuckets"))
    made, _, lease = session(aws, role)
    end = int(time.time()) + 3600
    most = max(number for number in range(250) if fits(users(number, end)))
    full = written(users(most, end))
    aws.client("iam").put_role_policy(RoleName="hoopx-full", PolicyName=POLICY_NAME, PolicyDocument=full)
    with pytest.raises(BackendFailed, match="are full") as failure:
        asyncio.run(ISSUER.revoke(lease, made.target))
    assert "`aws-assume-role`" in failure.value.message
    assert "max_duration" in failure.value.hint


def test_a_namesake_in_the_brokers_own_account_is_not_taken_for_the_role(aws: Aws) -> None:
    role = aws.role("hoopx-namesake", allow("s3:ListAllMyBuckets"))
    made, issued, _ = session(aws, role)
    foreign = lease_of(made, issued.handle | {"role": role.replace(ACCOUNT, "999999999999")}, issued)
    with pytest.raises(BackendFailed, match="in another account"):
        asyncio.run(ISSUER.revoke(foreign, made.target))


def test_a_broker_that_may_not_write_the_list_is_told_what_it_needs(aws: Aws) -> None:
    role = aws.role("hoopx-unwritten", allow("s3:ListAllMyBuckets"))
    _, _, lease = session(aws, role)
    weak = aws.account(role=aws.role("hoopx-weak", allow("iam:GetRole", "iam:GetRolePolicy")))
    options = AwsAssumeRoleOptions(role=role, aws=weak, revoke="deny-policy")
    with pytest.raises(BackendFailed, match="iam:PutRolePolicy"):
        asyncio.run(ISSUER.revoke(lease, target("aws-assume-role", options)))


def test_entries_whose_keys_have_ended_are_left_out_by_the_next_write() -> None:
    now = 1_000_000.0
    ended = extended({"A:old": 999_000, "A:live": 1_000_800}, {"A:new": now + 100}, now)
    assert set(ended) == {"A:live", "A:new"}
    assert all(until >= now for until in ended.values())
    assert read(json.loads(written(ended))) == ended


def test_a_session_stays_on_the_list_until_its_last_keys_end() -> None:
    renewed = extended({"A:one": 1_800_000}, {"A:one": 1_000_000.0}, 999_000.0)
    assert renewed == {"A:one": 1_800_000}


def test_the_list_holds_180_sessions_of_an_hour() -> None:
    assert fits(users(180, 1_800_000))
    assert not fits(users(250, 1_800_000))


def users(count: int, until: int) -> dict[str, int]:
    return {f"AROA{number:017}:hoopx-s_{number:016}": until for number in range(count)}


def fits(ended: dict[str, int]) -> bool:
    try:
        return len(written(ended)) <= MAX_CHARACTERS
    except ValueError:
        return False
