"""What bounds a session's keys: the configuration and the rules that allow the session, checked and combined."""

from __future__ import annotations

from typing import Any

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import TARGETS_OWN, Order
from hoopx_plugins.aws_policy import SessionPolicy, combined

OBLIGATION = "aws_policy"  # how rules bind what they allow: `@aws_policy("arn:aws:iam::aws:policy/ReadOnlyAccess")`


def bounds_of(arns: tuple[str, ...], policy: str | None) -> SessionPolicy:
    """Raises `ValueError` that names the option."""
    try:
        bound = combined(arns, ())
    except ValueError as error:
        raise ValueError(f"`policy_arns` {error}") from None
    if policy is None:
        return bound
    if not policy.lstrip().startswith("{"):
        raise ValueError("`session_policy` is not JSON; name managed policies in `policy_arns`, a file by `file:PATH`")
    try:
        return combined(arns, (policy,))
    except ValueError as error:
        raise ValueError(f"`session_policy` {error}") from None


def bounds_for(order: Order, source: str, arns: tuple[str, ...], policy: str | None) -> dict[str, Any]:
    """What binds this session's keys, as STS takes it. Raises `BackendFailed`.

    What rules say takes the place of the configuration: AWS knows no intersection of session policies, and keys that
    may do more than the rules that allowed them say would be a surprise.
    """
    told = order.obligations.get(OBLIGATION, ())
    if TARGETS_OWN in told and (arns or policy):
        raise BackendFailed(
            f"the source `{source}` of target `{order.target.name}` cannot bind the keys of `{order.principal.user}`:"
            " rules bind one of agent and human by `aws_policy`, the target's own policies the other, and AWS"
            " intersects none",
            "annotate the rules that allow the session to both with the same `@aws_policy`",
        )
    rules = [each for each in told if each != TARGETS_OWN]
    try:
        return (combined((), rules) if rules else bounds_of(arns, policy)).parameters()
    except ValueError as error:
        raise BackendFailed(
            f"the source `{source}` of target `{order.target.name}` cannot bind the keys: `aws_policy` {error}",
            "correct `@aws_policy` in the rules that allow the session",
        ) from None
