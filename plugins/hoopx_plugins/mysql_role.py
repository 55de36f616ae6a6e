"""A MySQL or MariaDB user for each session: made with a random password, dropped when the session ends."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta, field
from msgspec.structs import fields

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.mysql_admin import Administrator, administrator
from hoopx_plugins.mysql_mint import MysqlProfile, drop_user, extend_user, make_user
from hoopx_plugins.postgres_role import role_name
from hoopx_plugins.profiles import OBLIGATION, check_default, chosen

# 256 bits: out of reach even for whoever gets hold of the hash in the server's log.
PASSWORD_BYTES = 32
# Threads of its own: a server that hangs must not hold those in which the broker looks up names for everybody else.
_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="mysql")

T = TypeVar("T")


class MysqlRoleOptions(MysqlProfile, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`user` and `password` log in as an account that may make users and grant what is asked for here.

    `host` is where the made users may come from, as MySQL writes it: the broker's address is the narrowest. `profiles`
    are kinds of users by name, of which a session gets one; `profile` is the one that it gets where no rule says.
    Without them the keys of a profile stand beside `user`.
    """

    user: str
    password: Secret
    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:%/-]{1,255}$")] = "%"
    profiles: dict[str, MysqlProfile] = field(default_factory=dict)
    profile: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_default(self.profiles, self.profile)
        if self.profiles and any(getattr(self, each.name) != each.default for each in fields(MysqlProfile)):
            raise ValueError("with `profiles`, what a user may do is written in each of them, not beside them")


class MysqlRoleIssuer:
    """Makes and drops users on the target itself. The driver blocks, so that all of it runs in threads."""

    Options: ClassVar[type[MysqlRoleOptions]] = MysqlRoleOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"mysql"})
    exclusive: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = frozenset({OBLIGATION})

    def __init__(
        self,
        new_password: Callable[[], str] = lambda: secrets.token_urlsafe(PASSWORD_BYTES),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._new_password = new_password
        self._clock = clock

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """A user that can log in once its grants are there. Its name follows from the session: nothing to pin."""
        options: MysqlRoleOptions = order.target.credentials
        chosen_name = chosen(order, options.profiles, options.profile)
        profile = options.profiles[chosen_name] if chosen_name else options
        user, password = role_name(order.session), Secret(self._new_password())
        await _as_administrator(
            order.target,
            lambda admin: make_user(admin, user, options.host, password, order, profile, self._clock()),
        )
        handle = {"user": user} | ({"profile": chosen_name} if chosen_name else {})
        return Issued(DatabaseLogin(user=user, password=password), handle=handle)

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same login until the order's end. A user that is gone or barred stays so."""
        if not isinstance(credential, DatabaseLogin):
            raise BackendFailed("that is no login of a database", "open a new session")
        user, password = role_name(lease.session), credential.password
        await _as_administrator(order.target, lambda admin: extend_user(admin, user, password, order, self._clock()))
        return Issued(credential, handle=lease.handle)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Bar, cut and drop the session's user, on every host, and confirm that it is gone."""
        user = role_name(lease.session)
        await _as_administrator(target, lambda admin: drop_user(admin, user, target))


async def _as_administrator(target: Target, work: Callable[[Administrator], T]) -> T:
    options: MysqlRoleOptions = target.credentials

    def done() -> T:
        with administrator(target, options.user, options.password) as admin:
            return work(admin)

    return await asyncio.get_running_loop().run_in_executor(_THREADS, done)
