"""Keys of AWS in the hands of the keeper of leases: never called ended before they are worth nothing, killed or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_plugins.aws_assume_role import AwsAssumeRoleIssuer, AwsAssumeRoleOptions
from hoopx_plugins.aws_ended_list import POLICY_NAME
from tests.peers.aws import Aws, allow
from tests.peers.lease_list import leases
from tests.unit.aws_stage import order, target
from tests.unit.leases_stage import Time, running
from tests.unit.test_plugins_aws_ended import denies

Revoke = Literal["deny-policy"] | None


class Killed(AwsAssumeRoleIssuer):
    """Its broker dies when AWS has made the keys, and before anybody hears of them."""

    async def issue(self, order: Order, pin: Any) -> Issued:
        await super().issue(order, pin)
        raise asyncio.CancelledError


class Scene:
    """A keeper on a state of its own, and a clock that begins now and moves when somebody sleeps."""

    def __init__(self, aws: Aws, role: str, revoke: Revoke, store: Store) -> None:
        self.time = Time()
        self.time.now = time.time()
        self.alarms: list[Lease] = []
        options = AwsAssumeRoleOptions(role=role, aws=aws.account(), revoke=revoke)
        self.order = order(target("aws-assume-role", options))
        self.store = store

    def keeper(self, kind: type[AwsAssumeRoleIssuer] = AwsAssumeRoleIssuer) -> Keeper:
        return Keeper(
            self.store,
            {"prod-aws": kind(self.time.clock, self.time.sleep)},
            {"prod-aws": self.order.target},
            clock=self.time.clock,
            sleep=self.time.sleep,
            random=lambda: 1.0,
            on_alarm=self.alarms.append,
        )


@asynccontextmanager
async def scene(folder: Path, aws: Aws, role: str, revoke: Revoke = None) -> AsyncIterator[Scene]:
    store = await Store.open(folder / "state.db")
    try:
        yield Scene(aws, role, revoke, store)
    finally:
        await store.close()


async def until_ended(keeper: Keeper) -> Lease:
    while (lease := (await leases(keeper))[0]).state != "ended":  # noqa: ASYNC110 - the keeper tells nobody
        await asyncio.sleep(0.001)
    return lease


def test_a_lease_ends_with_its_keys_and_raises_no_alarm_until_then(tmp_path: Path, aws: Aws) -> None:
    role = aws.role("hoopx-fading", allow("s3:ListAllMyBuckets"))

    async def act() -> None:
        async with scene(tmp_path, aws, role) as s:
            keeper = s.keeper()
            made, _ = await keeper.lease(s.order)
            assert await keeper.end(made.id) is False
            (lease,) = await leases(keeper)
            assert lease.state == "ending"
            assert lease.fades_at is not None
            assert abs(lease.fades_at - made.expires_at) <= 1
            async with running(keeper):
                await until_ended(keeper)
            assert s.time.now >= made.expires_at - 1
            assert s.alarms == []

    asyncio.run(act())


@pytest.mark.parametrize("revoke", [None, "deny-policy"])
def test_keys_made_while_their_broker_was_killed_are_ended_by_the_next(
    tmp_path: Path, aws: Aws, revoke: Revoke
) -> None:
    role = aws.role(f"hoopx-orphan-{revoke}", allow("s3:ListAllMyBuckets"))

    async def act() -> None:
        async with scene(tmp_path, aws, role, revoke) as s:
            began = s.time.now
            with pytest.raises(asyncio.CancelledError):
                await s.keeper(Killed).lease(s.order)
            after = s.keeper()
            (left,) = await after.recover()
            assert left.handle["session"] == f"hoopx-{s.order.session}"
            async with running(after):
                await until_ended(after)
            if revoke is None:
                assert s.time.now - began >= 1790  # not before the keys
                return
            assert s.time.now - began < 600
            iam = aws.client("iam")
            role_id = iam.get_role(RoleName=role.rpartition("/")[2])["Role"]["RoleId"]
            listed = iam.get_role_policy(RoleName=role.rpartition("/")[2], PolicyName=POLICY_NAME)["PolicyDocument"]
            assert denies(listed, f"{role_id}:hoopx-{s.order.session}")

    asyncio.run(act())
