"""Logins that lie at AWS: what Secrets Manager and the Parameter Store hold, read into a user and a password."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount, account_of, check_external_id, check_role

MAX_PASSWORD = 4096  # a whole document in its place is a mistake
_Key = Annotated[str, Meta(min_length=1, max_length=256)]


class StoredLoginOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a login that lies at AWS is read. What is stored is a JSON object with `username_key` and `password_key`.

    With `user`, the name is that one, and what is stored may be the password alone. `role` is assumed first.
    """

    aws: AwsAccount | None = None
    username_key: _Key = "username"
    password_key: _Key = "password"
    user: Annotated[str, Meta(min_length=1)] | None = None
    role: str | None = None
    external_id: str | None = None

    def __post_init__(self) -> None:
        account_of(self.aws)
        if self.role is not None:
            check_role(self.role)
        check_external_id(self.external_id, self.role)


class StoredLogins(ABC):
    """What the sources of such logins share.

    All sessions have the same login; at their end the broker cuts its connections, and the login goes on to exist.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = False

    @abstractmethod
    async def issue(self, order: Order, pin: Pin) -> Issued:
        """The login as it is stored at this moment; the handle says which version it was."""

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The login as it is stored by now: it may have been rotated."""
        return await self.issue(order, pin)

    async def revoke(self, lease: Lease, target: Target) -> None:  # noqa: B027 - that it does nothing is its promise
        """Nothing to revoke: the login was there before the session, and others may be using it."""


def login_in(text: str, options: StoredLoginOptions, source: str, target: Target) -> DatabaseLogin:
    """Raises `BackendFailed`; no error holds a piece of `text`."""
    user, keys = options.user, (options.username_key, options.password_key)
    if user is not None and not text.lstrip().startswith("{"):
        return DatabaseLogin(user, Secret(_whole(text, "its value", source, target)))
    try:
        stored = json.loads(text)
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise _unusable(
            "it is not a JSON object", "store one, or set `user` where it is the password alone", source, target
        )
    name = user if user is not None else stored.get(keys[0])
    return DatabaseLogin(
        _whole(name, f"`{keys[0]}`", source, target),
        Secret(_whole(stored.get(keys[1]), f"`{keys[1]}`", source, target)),
    )


def _whole(value: object, what: str, source: str, target: Target) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_PASSWORD or "\0" in value:
        raise _unusable(
            f"{what} in it is no text that a login can have",
            "correct the value, or the names of its keys",
            source,
            target,
        )
    return value


def _unusable(why: str, remedy: str, source: str, target: Target) -> BackendFailed:
    return BackendFailed(f"what the source `{source}` found for target `{target.name}` is no login: {why}", remedy)
