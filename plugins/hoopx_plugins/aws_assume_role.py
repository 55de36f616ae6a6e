"""Keys of an AWS role for each session: bound by a session policy, named after the person, and short."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from msgspec import Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import Credential, Issued, Lease, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount, account_of, check_external_id, check_role
from hoopx_plugins.aws_bounds import OBLIGATION, bounds_for, bounds_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended import LANES, Pause
from hoopx_plugins.aws_names import session_name, source_identity, tags_of
from hoopx_plugins.aws_sessions import end_of, ends_at, issued_from, made, pinned
from hoopx_plugins.aws_times import CHAINED_SECONDS, key_seconds, seconds_of

_NAME = "aws-assume-role"


class AwsAssumeRoleOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`role` is assumed for each session, at most for `max_duration` at once: no more than the role's own maximum.

    `revoke: deny-policy` ends the keys with the session, by an inline policy of the role that the broker writes.

    `session_policy` (a policy in JSON, or `file:PATH`) and `policy_arns` bound what the keys may do of what the role
    may, where no rule says so by `aws_policy`. `tags` and `source_identity` are for roles whose trust policy
    does not allow them: with `off`, AWS does not know the person.
    """

    role: str
    aws: AwsAccount | None = None
    external_id: str | None = None
    max_duration: str = "1h"
    session_policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    tags: bool = True
    source_identity: bool = True
    revoke: Literal["deny-policy"] | None = None

    def __post_init__(self) -> None:
        check_role(self.role)
        check_external_id(self.external_id, self.role)
        check_duration(self.max_duration, account_of(self.aws))
        bounds_of(self.policy_arns, self.session_policy)


class AwsAssumeRoleIssuer:
    """Keys end by themselves: AWS takes none back, but refuses whatever is asked with them where it is told to."""

    Options: ClassVar[type[AwsAssumeRoleOptions]] = AwsAssumeRoleOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"aws"})
    exclusive: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = frozenset({OBLIGATION})
    lanes: ClassVar[int] = LANES

    def __init__(self, clock: Callable[[], float] = time.time, pause: Pause = asyncio.sleep) -> None:
        self._clock = clock
        self._pause = pause

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """Keys until the order's end, within what AWS and the role allow: 15 minutes to `max_duration`."""
        options: AwsAssumeRoleOptions = order.target.credentials
        seconds = key_seconds(order.expires_at - self._clock(), options.max_duration)
        request, caller = _request(order, options, seconds), _caller(order.target)
        handle = pinned(options.role, order, self._clock() + seconds)
        answer = await made(pin, handle, lambda: caller.ask("sts", lambda sts: sts.assume_role(**request)))
        return issued_from(answer, options.role, order)

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """New keys for the same session; the old ones live until their own end."""
        options: AwsAssumeRoleOptions = order.target.credentials
        seconds = key_seconds(order.expires_at - self._clock(), options.max_duration)
        request = _request(order, options, seconds)
        await pin(lease.handle | pinned(options.role, order, max(self._clock() + seconds, ends_at(lease))))
        answer = await _caller(order.target).ask("sts", lambda sts: sts.assume_role(**request))
        return issued_from(answer, options.role, order, ends_at(lease))

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """None when the keys have ended, are denied everything, or were never asked for; else when they end."""
        return await end_of(lease, _caller(target), self._clock(), self._pause)


def check_duration(written: str, account: AwsAccount) -> None:
    """Raises `ValueError`."""
    if seconds_of(written) > CHAINED_SECONDS and account.role is not None:
        raise ValueError("`max_duration` is at most `1h` behind `aws.role`: AWS gives no more to a role of a role")


def _request(order: Order, options: AwsAssumeRoleOptions, seconds: int) -> dict[str, Any]:
    request: dict[str, Any] = {
        "RoleArn": options.role,
        "RoleSessionName": session_name(order.session),
        "DurationSeconds": seconds,
        **bounds_for(order, _NAME, options.policy_arns, options.session_policy),
    }
    if options.external_id is not None:
        request["ExternalId"] = options.external_id
    if options.source_identity:
        request["SourceIdentity"] = source_identity(order.principal)
    if options.tags:
        tags = tags_of(order)
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        request["TransitiveTagKeys"] = list(tags)
    return request


def _caller(target: Target) -> Caller:
    return Caller(_NAME, target, account_of(target.credentials.aws))
