"""The seam to whatever mints credentials: Vault, AWS, a role of our own, or a fixed login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

from hoopx_broker.terms.leases import Credential, Issued, Lease, Order
from hoopx_broker.terms.targets import Target

# Stores a handle for good before the next step is taken: what it names is revoked even if the broker is killed then.
Pin = Callable[[dict[str, str]], Awaitable[None]]


class Issuer(Protocol):
    """A plugin of the entry point group `hoopx.issuers`, found by the name in `credentials.from`.

    `Options` is a frozen msgspec Struct with `forbid_unknown_fields`: the keys that `credentials` may hold beside
    `from` and `ttl`. Fields of type `Secret` are given already resolved from their reference; fields of type `Path` as
    absolute paths of readable files; fields of another Struct type are sections of their own, and where the entry point
    group `hoopx.sections` announces that Struct under the field's name, a section of that name at the top of the file
    stands in for all targets that do not have their own.
    """

    Options: ClassVar[type[Any]]
    # The kinds of target whose logins it makes.
    kinds: ClassVar[frozenset[str]]
    # Is each login of one lease alone? Then all that is logged in with it may be cut at the end, and must not get in.
    exclusive: ClassVar[bool]

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """Issue all or none: what was made before a failure is undone. Raises `BackendFailed`.

        Whatever `revoke` could not find by the lease's ids alone is pinned before it is made.
        """

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """Make the credential unusable and cut what is logged in with it. Safe to repeat; raises `BackendFailed`.

        A lease in the state `pending` may or may not exist at the source: it is known by its ids and what was pinned.
        What cannot be called back ends by itself: then this gives when, in seconds since the Unix epoch.
        """


@runtime_checkable
class Cuts(Protocol):
    """An issuer whose `revoke` cuts what is logged in, too. For other `exclusive` ones the broker does it before."""

    cuts: ClassVar[bool]


@runtime_checkable
class Wide(Protocol):
    """An issuer that bounds its connections by itself: so many leases of a target may be revoked at once."""

    lanes: ClassVar[int]


@runtime_checkable
class Heeds(Protocol):
    """An issuer that binds what it makes to what rules say: `heeds` are the names of obligations that it keeps.

    The others give no credential where a rule binds one of their kind: it would not be bound.
    """

    heeds: ClassVar[frozenset[str]]


@runtime_checkable
class Renews(Protocol):
    """An issuer whose leases can go on beyond their first end."""

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same credential until `order.expires_at`, or another one. Raises `BackendFailed`; the old one stays then.

        A source whose credentials have no end of their own gives the same one back.

        The handle that is given replaces the stored one, so it must name all that is still to be revoked. What is made
        anew is pinned before, beside what was there.
        """


@runtime_checkable
class Refreshes(Protocol):
    """An issuer whose secrets live for minutes: each connection gets its own."""

    async def fresh(self, credential: Credential, target: Target) -> Credential:
        """What the next connection logs in with. Raises `BackendFailed`."""
