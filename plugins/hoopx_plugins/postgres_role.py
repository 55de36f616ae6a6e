"""A PostgreSQL role for each session: made with a random password and an end, dropped when the session ends."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

from msgspec import field
from msgspec.structs import fields

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.postgres_admin import Connection
from hoopx_plugins.postgres_drop import Barred, being_made, drop_role
from hoopx_plugins.postgres_mint import PostgresProfile, extend_role, groups_of, mint_role
from hoopx_plugins.postgres_server import Server, silent
from hoopx_plugins.postgres_turns import Turn, Urgency, until_undisturbed
from hoopx_plugins.profiles import OBLIGATION, check_default, chosen

# 256 bits: out of reach even for whoever gets hold of the verifier in the server's log.
PASSWORD_BYTES = 32
# Longer than what the server itself bounds, so by then it is the network or the machine that hangs; shorter, with the
# time to connect, than the keeper of leases waits: its word for it is less exact.
PATIENCE = 20


class PostgresRoleOptions(PostgresProfile, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`user` and `password` log in as a role with CREATEROLE, or a superuser, that may grant what is asked for here.

    `profiles` are kinds of roles by name, of which a session gets one; `profile` is the one that it gets where no rule
    says. Without them the keys of a profile stand beside `user`. `heir` gets what a minted role leaves behind: where it
    is not said, the first of `roles` that can have it.
    """

    user: str
    password: Secret
    heir: str | None = None
    profiles: dict[str, PostgresProfile] = field(default_factory=dict)
    profile: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_default(self.profiles, self.profile)
        if self.profiles and any(getattr(self, each.name) != each.default for each in fields(PostgresProfile)):
            raise ValueError("with `profiles`, what a role may do is written in each of them, not beside them")

    @property
    def all_roles(self) -> tuple[str, ...]:
        """Those of every profile, each once."""
        named = [role for profile in (self, *self.profiles.values()) for role in profile.roles]
        return tuple(dict.fromkeys(named))


class PostgresRoleIssuer:
    """Mints and drops roles on the target itself. One instance may serve several targets."""

    Options: ClassVar[type[PostgresRoleOptions]] = PostgresRoleOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres"})
    exclusive: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = frozenset({OBLIGATION})
    cuts: ClassVar[bool] = True
    lanes: ClassVar[int] = 1_000  # those that end together are shut out in one go, over one connection

    def __init__(
        self,
        new_password: Callable[[], str] = lambda: secrets.token_urlsafe(PASSWORD_BYTES),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._new_password = new_password
        self._pause = pause
        self._servers: dict[object, Server] = {}
        self._turns: dict[tuple[str, int], Turn] = {}

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """A role that can log in until the order's end; all of it in one transaction, so all or nothing."""
        options: PostgresRoleOptions = order.target.credentials
        chosen_name = chosen(order, options.profiles, options.profile)
        profile = options.profiles[chosen_name] if chosen_name else options
        role, password = role_name(order.session), Secret(self._new_password())

        async def mint(connection: Connection) -> None:
            async with connection.transaction():
                await mint_role(connection, role, password, order, profile)

        await self._alone(order.target, mint)
        handle = {"role": role} | ({"profile": chosen_name} if chosen_name else {})
        return Issued(DatabaseLogin(user=role, password=password), handle=handle)

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same login until the order's end. A role that is gone or barred stays so."""
        role = role_name(lease.session)

        async def extend(connection: Connection) -> None:
            await extend_role(connection, role, order)

        await self._alone(order.target, extend)
        return Issued(credential, handle=lease.handle)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Bar, cut and drop the session's role, and confirm that it is gone.

        The name follows from the session alone, so a lease that was never confirmed is revoked like any other, and a
        stored handle that was tampered with names nobody else's role.
        """
        server, role = self._server(target), role_name(lease.session)
        while (oid := await server.barrier.shut_out(role)) is None:
            if not await self._is_being_made(server, role):
                return
        if not await server.sweep.drops(Barred(role, oid)):
            await self._drop(server, target, Barred(role, oid))

    async def _is_being_made(self, server: Server, role: str) -> bool:
        with server.telling():
            async with server.tidying.connection() as connection, _patience(server.target):
                return await being_made(connection, role)

    async def _drop(self, server: Server, target: Target, role: Barred) -> None:
        options: PostgresRoleOptions = target.credentials

        async def drop(connection: Connection) -> None:
            await connection.execute("SET search_path = pg_catalog")
            heirs = (options.heir,) if options.heir else await groups_of(connection, role.name, options.all_roles)
            await drop_role(connection, role, heirs, server.log_in_to, server.turn, self._pause)

        with server.telling():
            async with server.tidying.connection() as connection, _patience(server.target):
                await until_undisturbed(lambda: drop(connection), self._pause)

    async def _alone(self, target: Target, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do `work` when no other of this broker's is under way on that server; again where another broker was."""
        server = self._server(target)
        with server.telling():
            async with server.minting.connection() as connection, server.turn.taken(Urgency.SOON), _patience(target):
                await until_undisturbed(lambda: work(connection), self._pause)

    def _server(self, target: Target) -> Server:
        """One for each login: targets on one server take turns all the same."""
        options: PostgresRoleOptions = target.credentials
        where = target.host, target.port, target.database, target.tls, options.user, options.password
        if where not in self._servers:
            turn = self._turns.setdefault((target.host, target.port), Turn())
            self._servers[where] = Server(target, options.user, options.password, turn, self._pause, lambda: PATIENCE)
        return self._servers[where]


def role_name(session: SessionId) -> str:
    """The role of a session. Raises `BackendFailed` for what is no session's id: names are derived, never taken."""
    if not re.fullmatch(r"[a-z0-9_]{1,40}", session):
        raise BackendFailed(
            "no role name follows from that session id", "the stored lease is damaged: look at the state"
        )
    return f"hoopx_{session}"


@asynccontextmanager
async def _patience(target: Target) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise silent(target) from None
