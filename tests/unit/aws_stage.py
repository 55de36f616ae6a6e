"""The stage for sources that are at AWS: orders for a target of kind `aws`, and what is stored of their leases."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hoopx_broker.terms.ids import new_lease_id, new_session_id
from hoopx_broker.terms.leases import AwsKeys, Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls

ANN = Principal("ann@example.com", "human")


def target(source: str, options: Any, kind: Any = "aws") -> Target:
    return Target("prod-aws", kind, "", 0, "", UpstreamTls(), source, credentials=options)


def order(
    target: Target,
    *,
    seconds: float = 1800,
    principal: Principal = ANN,
    token: Secret | None = None,
    obligations: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Order:
    end = time.time() + seconds
    return Order(new_lease_id(), new_session_id(), target, principal, end, token, dict(obligations))


def lease_of(order: Order, handle: dict[str, str], issued: Issued | None = None) -> Lease:
    """As it is stored when it ends; without `issued` its broker was killed before the answer."""
    user, end = "", order.expires_at
    if issued is not None:
        user, end = keys_of(issued).access_key_id, issued.expires_at or end
    return Lease(order.lease, order.session, "prod-aws", order.target.source, user, "ending", end, handle)


def keys_of(issued: Issued) -> AwsKeys:
    assert isinstance(issued.credential, AwsKeys)
    return issued.credential


class Pins:
    """What was stored before AWS was asked."""

    def __init__(self) -> None:
        self.handles: list[dict[str, str]] = []

    async def __call__(self, handle: dict[str, str]) -> None:
        self.handles.append(handle)
