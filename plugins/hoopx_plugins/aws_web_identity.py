"""Keys of an AWS role by the person's own token: AWS itself knows who it is, and the role need not trust the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from msgspec import Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount, account_of, check_role
from hoopx_plugins.aws_bounds import OBLIGATION, bounds_for, bounds_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended import LANES, Pause
from hoopx_plugins.aws_names import session_name
from hoopx_plugins.aws_sessions import end_of, issued_from, made, pinned
from hoopx_plugins.aws_times import key_seconds, seconds_of

_NAME = "aws-web-identity"
_LOG_IN = "log in again (`hoopx login`); a session that began with a pass has no token"
_MEANINGS = {
    "ExpiredToken": ("the person's token has expired", _LOG_IN),
    "InvalidIdentityToken": (
        "AWS does not take the person's token",
        "make their identity provider, with this audience, an IAM OIDC provider of the account",
    ),
    "IDPRejectedClaim": (
        "AWS does not take what the token says of the person",
        "compare its `iss`, `aud` and `sub` with the role's trust policy",
    ),
}


class AwsWebIdentityOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`role` trusts the people's identity provider. The other options are those of `aws-assume-role`."""

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


class AwsWebIdentityIssuer:
    """Not renewed: a person's token seldom outlives the keys."""

    Options: ClassVar[type[AwsWebIdentityOptions]] = AwsWebIdentityOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"aws"})
    exclusive: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = frozenset({OBLIGATION})
    lanes: ClassVar[int] = LANES

    def __init__(self, clock: Callable[[], float] = time.time, pause: Pause = asyncio.sleep) -> None:
        self._clock = clock
        self._pause = pause

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """Keys until the order's end, within what AWS and the role allow."""
        options: AwsWebIdentityOptions = order.target.credentials
        if order.token is None:
            raise BackendFailed(
                f"the source `{_NAME}` of target `{order.target.name}` needs the token of whoever asks, and has none",
                _LOG_IN,
            )
        token = order.token
        seconds = key_seconds(order.expires_at - self._clock(), options.max_duration)
        request = {
            "RoleArn": options.role,
            "RoleSessionName": session_name(order.session),
            "DurationSeconds": seconds,
            **bounds_for(order, _NAME, options.policy_arns, options.session_policy),
        }
        caller, handle = _caller(order.target), pinned(options.role, order, self._clock() + seconds)

        def assume(sts: Any) -> dict[str, Any]:
            return dict(sts.assume_role_with_web_identity(**request, WebIdentityToken=token.reveal()))

        answer = await made(pin, handle, lambda: caller.ask("sts", assume))
        return issued_from(answer, options.role, order)

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """None when the keys have ended, are denied everything, or were never asked for; else when they end."""
        return await end_of(lease, _caller(target), self._clock(), self._pause)


def _caller(target: Target) -> Caller:
    return Caller(_NAME, target, account_of(target.credentials.aws), _MEANINGS)
