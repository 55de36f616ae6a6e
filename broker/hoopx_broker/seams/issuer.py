"""The seam to whatever mints credentials: Vault, AWS, a role of our own, or a fixed login."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_broker.terms.targets import Target


class Issuer(Protocol):
    """A plugin of the entry point group `hoopx.issuers`, found by the name in `credentials.from`.

    `Options` is a frozen msgspec Struct with `forbid_unknown_fields`: the keys that `credentials` may hold beside
    `from`. Fields of type `Secret` are given already resolved from `env:`, `file:` or the inline value.
    """

    Options: ClassVar[type[Any]]

    async def issue(self, order: Order) -> Issued:
        """Issue all or none: what was made before a failure is undone. Raises `BackendFailed`."""

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Make the credential unusable and cut what is logged in with it. Safe to repeat; raises `BackendFailed`.

        A lease in the state `pending` may or may not exist at the source: its name follows from its ids.
        """
