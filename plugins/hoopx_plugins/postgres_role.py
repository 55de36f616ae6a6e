"""A PostgreSQL role for each session: made with a random password and an end, dropped when the session ends."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from msgspec import Meta, Struct
from psycopg import errors, sql

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.postgres_admin import Connection, administrator
from hoopx_plugins.postgres_drop import drop_role
from hoopx_plugins.postgres_walls import check_read_only

# 256 bits: out of reach even for whoever gets hold of the verifier in the server's log.
PASSWORD_BYTES = 32
# PostgreSQL raises an error when two transactions change the privileges of one table; with another broker on the same
# server that is over in milliseconds.
ATTEMPTS = 6
PAUSE = 0.05

NOTICED_WITHIN = "2s"

# Longer than what the server itself bounds, so by then it is the network or the machine that hangs; shorter, with the
# time to connect, than the keeper of leases waits: its word for it is less exact.
PATIENCE = 20

_GRANT = re.compile(r"\s*grant\s", re.IGNORECASE)


class PostgresRoleOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`user` and `password` log in as a role with CREATEROLE, or a superuser, that may grant what is asked for here.

    `roles` are granted to each minted role. `grants` are further GRANT statements, `{{role}}` standing for the role.
    `heir` gets what a minted role leaves behind: where it is not said, the first of `roles` that can have it.
    `read_only` refuses to mint a role that could write (see docs/credentials.md). `connection_limit` bounds the streams
    of one session. `statement_timeout` is the role's default: `90s`, `15m`, `1h`.
    """

    user: str
    password: Secret
    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    heir: str | None = None
    read_only: bool = True
    connection_limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    statement_timeout: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,5}[smh]$")] | None = None

    def __post_init__(self) -> None:
        for grant in self.grants:
            # Anything else could end the transaction, and then a failure would leave half a role.
            if not _GRANT.match(grant) or "{{role}}" not in grant:
                raise ValueError("`grants` must each be one GRANT statement that holds {{role}}")


class PostgresRoleIssuer:
    """Mints and drops roles on the target itself. One instance may serve several targets."""

    Options: ClassVar[type[PostgresRoleOptions]] = PostgresRoleOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres"})
    exclusive: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def __init__(
        self,
        new_password: Callable[[], str] = lambda: secrets.token_urlsafe(PASSWORD_BYTES),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._new_password = new_password
        self._pause = pause
        self._turns: dict[tuple[str, int], asyncio.Lock] = {}

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """A role that can log in until the order's end; all of it in one transaction, so all or nothing."""
        options: PostgresRoleOptions = order.target.credentials
        role, password = role_name(order.session), Secret(self._new_password())

        async def mint(connection: Connection) -> None:
            async with connection.transaction():
                await _mint(connection, role, password, order.expires_at, options)
                if options.read_only:
                    await check_read_only(connection, role, order.target.name)

        await self._alone(order.target, mint)
        return Issued(DatabaseLogin(user=role, password=password), handle={"role": role})

    async def renew(self, lease: Lease, credential: Credential, order: Order) -> Issued:
        """The same role and password until the order's end."""
        role = role_name(lease.session)

        async def go_on(connection: Connection) -> None:
            prolong = sql.SQL("ALTER ROLE {} VALID UNTIL {}")
            await connection.execute(prolong.format(sql.Identifier(role), _moment(order.expires_at)))

        await self._alone(order.target, go_on)
        return Issued(credential, handle={"role": role})

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Bar, cut and drop the session's role, and confirm that it is gone.

        The name follows from the session alone, so a lease that was never confirmed is revoked like any other, and a
        stored handle that was tampered with names nobody else's role.
        """
        options: PostgresRoleOptions = target.credentials
        role = role_name(lease.session)
        heirs = (options.heir,) if options.heir else options.roles

        async def drop(connection: Connection) -> None:
            await drop_role(connection, role, heirs, lambda database: _login(target, database), self._pause)

        await self._alone(target, drop)

    async def _alone(self, target: Target, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do `work` when no other of this broker's is under way on that server; again where another broker was."""
        turn = self._turns.setdefault((target.host, target.port), asyncio.Lock())
        async with _login(target, target.database) as connection, turn, _patience(target):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    await work(connection)
                except (errors.InternalError_, errors.SerializationFailure, errors.DeadlockDetected) as error:
                    if attempt == ATTEMPTS or not _is_passing(error):
                        raise
                    await self._pause(PAUSE * attempt)
                else:
                    return


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
        raise BackendFailed(
            f"the source `postgres-role` of target `{target.name}` has stopped answering",
            f"look whether {target.host}:{target.port} still runs and can be reached",
        ) from None


def _login(target: Target, database: str) -> AbstractAsyncContextManager[Connection]:
    options: PostgresRoleOptions = target.credentials
    return administrator(target, database, options.user, options.password)


def _is_passing(error: errors.Error) -> bool:
    """True for a collision of two transactions; PostgreSQL has no code of its own for one on a catalog row."""
    return not isinstance(error, errors.InternalError_) or "concurrently" in (error.diag.message_primary or "")


async def _mint(
    connection: Connection, role: str, password: Secret, expires_at: float, options: PostgresRoleOptions
) -> None:
    name = sql.Identifier(role)
    create = sql.SQL("CREATE ROLE {} LOGIN INHERIT PASSWORD {} VALID UNTIL {} CONNECTION LIMIT {}")
    verifier = _verifier(connection, role, password)
    await connection.execute(create.format(name, verifier, _moment(expires_at), options.connection_limit))
    await _notice_the_brokers_death(connection, name)
    for parent in options.roles:
        await connection.execute(_membership(connection).format(sql.Identifier(parent), name))
    if options.read_only:
        await connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
    if options.statement_timeout:
        limit = options.statement_timeout.replace("m", "min")
        await connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = {}").format(name, limit))
    for grant in options.grants:
        await _grant(connection, grant.replace("{{role}}", name.as_string(connection)))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


async def _notice_the_brokers_death(connection: Connection, role: sql.Identifier) -> None:
    """A statement that still runs for a broker that was killed ends within seconds, where the server can notice."""
    if connection.info.server_version < 140000:
        return
    # Servers on systems without the means for it refuse the setting.
    with suppress(errors.InvalidParameterValue):
        async with connection.transaction():
            setting = sql.SQL("ALTER ROLE {} SET client_connection_check_interval = {}")
            await connection.execute(setting.format(role, NOTICED_WITHIN))


def _verifier(connection: Connection, role: str, password: Secret) -> str:
    """The SCRAM-SHA-256 verifier, made here: the clear password reaches neither the server nor its log."""
    made = connection.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    return made.decode()


def _membership(connection: Connection) -> sql.SQL:
    """From PostgreSQL 16 on the role has the privileges of its groups, but cannot become one of them."""
    if connection.info.server_version >= 160000:
        return sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE")
    return sql.SQL("GRANT {} TO {}")


async def _grant(connection: Connection, statement: str) -> None:
    """One GRANT of the configuration. What the administrator may not grant is only a warning to PostgreSQL."""
    warned: list[str] = []

    def hear(diagnostic: errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warned.append(diagnostic.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        # Asking for a binary result takes the extended protocol, which refuses a second statement after the first.
        await connection.execute(statement.encode(), binary=True)
    finally:
        connection.remove_notice_handler(hear)
    if warned:
        raise BackendFailed(
            f"the source `postgres-role` could not grant all it was told to: {warned[0]}",
            "give `credentials.user` those privileges WITH GRANT OPTION",
        )
