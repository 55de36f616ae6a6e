"""Sessions of AWS roles as leases: what is asked for them, what is stored of them, and what their end comes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

from msgspec import Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import AwsKeys, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount, account_of, check_role
from hoopx_plugins.aws_bounds import OBLIGATION, bounds_for, bounds_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended import LANES, Pause, deny
from hoopx_plugins.aws_failures import NothingMade
from hoopx_plugins.aws_names import session_name
from hoopx_plugins.aws_times import key_seconds, seconds_of


class RoleOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`role` is assumed for each session, at most for `max_duration` at once: no more than the role's own maximum.

    `revoke: deny-policy` ends the keys with the session, by an inline policy of the role that the broker writes.

    `session_policy` (a policy in JSON, or `file:PATH`) and `policy_arns` bound what the keys may do of what the role
    may, where no rule says so by `aws_policy`.
    """

    role: str
    aws: AwsAccount | None = None
    max_duration: str = "1h"
    session_policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    revoke: Literal["deny-policy"] | None = None

    def __post_init__(self) -> None:
        check_role(self.role)
        account_of(self.aws)
        seconds_of(self.max_duration)
        bounds_of(self.policy_arns, self.session_policy)


class RoleSessions:
    """What the sources of such sessions share.

    Keys end by themselves: AWS takes none back, but refuses whatever is asked with them where it is told to.
    `meanings` are of errors that mean something else to this source than to others.
    """

    name: ClassVar[str]
    meanings: ClassVar[dict[str, tuple[str, str]]] = {}
    kinds: ClassVar[frozenset[str]] = frozenset({"aws"})
    exclusive: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = frozenset({OBLIGATION})
    lanes: ClassVar[int] = LANES

    def __init__(self, clock: Callable[[], float] = time.time, pause: Pause = asyncio.sleep) -> None:
        self._clock = clock
        self._pause = pause

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """None when the keys have ended, are denied everything, or were never asked for; else when they end."""
        return await end_of(lease, self._caller(target), self._clock(), self._pause)

    def _request(self, order: Order) -> dict[str, Any]:
        """For keys until the order's end, within what AWS and the role allow: 15 minutes to `max_duration`."""
        options: RoleOptions = order.target.credentials
        return {
            "RoleArn": options.role,
            "RoleSessionName": session_name(order.session),
            "DurationSeconds": key_seconds(order.expires_at - self._clock(), options.max_duration),
            **bounds_for(order, self.name, options.policy_arns, options.session_policy),
        }

    def _pinned(self, order: Order, request: Mapping[str, Any]) -> dict[str, str]:
        return pinned(request["RoleArn"], order, self._clock() + request["DurationSeconds"])

    def _caller(self, target: Target) -> Caller:
        return Caller(self.name, target, account_of(target.credentials.aws), self.meanings)


def pinned(role: str, order: Order, end: float) -> dict[str, str]:
    """What is known before AWS is asked."""
    return {"role": role, "session": session_name(order.session), "ends_at": str(int(end))}


async def made(pin: Pin, handle: dict[str, str], ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """AWS's answer. What it may make is pinned before it is asked, and forgotten where it certainly made nothing."""
    await pin(handle)
    try:
        return await ask()
    except NothingMade:
        await pin({})
        raise


def issued_from(answer: dict[str, Any], role: str, order: Order, not_before: float = 0.0) -> Issued:
    """`not_before` is when older keys of the session end."""
    keys, user = answer["Credentials"], answer["AssumedRoleUser"]
    end = keys["Expiration"].timestamp()
    handle = pinned(role, order, max(end, not_before)) | {"user_id": user["AssumedRoleId"], "arn": user["Arn"]}
    credential = AwsKeys(keys["AccessKeyId"], Secret(keys["SecretAccessKey"]), Secret(keys["SessionToken"]))
    return Issued(credential, handle, end)


def ends_at(lease: Lease) -> float:
    """When the last keys of a lease end; 0 for a lease for which none were asked for."""
    written = lease.handle.get("ends_at")
    return float(written) if written else 0.0


async def end_of(lease: Lease, caller: Caller, now: float, pause: Pause) -> float | None:
    """See to it that a lease's keys are worth nothing: None where they are, else from when on they will be."""
    end = ends_at(lease)
    if end <= now:
        return None
    if caller.target.credentials.revoke is None:
        return end
    await deny(caller, lease, end, pause)
    return None
