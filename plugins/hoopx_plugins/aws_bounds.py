"""What bounds a session's keys: the configuration and the rules that allow the session, checked and combined."""

from __future__ import annotations

from typing import Any

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_plugins.aws_policy import SessionPolicy, combined

OBLIGATION = "aws_policy"  # how rules bind what they allow: `@aws_policy("arn:aws:iam::aws:policy/ReadOnlyAccess")`


def bounds_of(arns: tuple[str, ...], policy: str | None) -> SessionPolicy:
    """Raises `ValueError` that names the option."""
    try:
        combined(arns, ())
    except ValueError as error:
        raise ValueError(f"`policy_arns` {error}") from None
    if policy is None:
        return combined(arns, ())
    if not policy.lstrip().startswith("{"):
        raise ValueError("`session_policy` is not JSON; name managed policies in `policy_arns`, a file by `file:PATH`")
    try:
        return combined(arns, (policy,))
    except ValueError as error:
        raise ValueError(f"`session_policy` {error}") from None


def bounds_for(order: Order, source: str, arns: tuple[str, ...], policy: str | None) -> dict[str, Any]:
    """What binds this session's keys, as STS takes it. Raises `BackendFailed`."""
    texts = (*((policy,) if policy else ()), *order.obligations.get(OBLIGATION, ()))
    try:
        return combined(arns, texts).parameters()
    except ValueError as error:
        raise BackendFailed(
            f"the source `{source}` of target `{order.target.name}` cannot bind the keys: `aws_policy` {error}",
            "correct `@aws_policy` in the rules that allow the session, or the target's `session_policy`",
        ) from None
