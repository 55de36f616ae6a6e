"""Sessions of AWS roles as leases: what is stored of them, and what their end comes to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import AwsKeys, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended import Pause, deny
from hoopx_plugins.aws_failures import NothingMade
from hoopx_plugins.aws_names import session_name


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
