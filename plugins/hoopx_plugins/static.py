"""A fixed login, for backends that can mint nothing: the same user and password for every session."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target


class StaticOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The login as the backend knows it."""

    user: str
    password: Secret


class StaticIssuer:
    """Hands out what the configuration holds. The laptop never sees it; the backend cannot tell sessions apart."""

    Options: ClassVar[type[StaticOptions]] = StaticOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = False

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """The configured login. It has no end of its own: the session's end is the broker's cut of its connections."""
        options: StaticOptions = order.target.credentials
        return Issued(DatabaseLogin(user=options.user, password=options.password))

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same login: it has no end of its own."""
        return Issued(credential)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Nothing to revoke: the login was there before the session, and others may be using it."""
