"""The administrator's connection of `postgres-role`: TLS as the target says, bounded in time, errors with a remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
from psycopg import errors

from hoopx_broker.seams.libpq import keywords
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target

Connection = psycopg.AsyncConnection[tuple[object, ...]]
Pause = Callable[[float], Awaitable[None]]

# A person waits for this connection: a server that has not answered by then is down for them.
CONNECT_TIMEOUT = 8
# Minting and dropping take milliseconds. What holds them up is somebody's lock, and the broker tries again later;
# a transaction of a broker whose machine died must not hold up the next one either.
LIMITS = """
SET statement_timeout = '15s';
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '30s';
"""
# A server's message is shown in one line of an error; the rest is in its own log.
MAX_TOLD = 300


@asynccontextmanager
async def administrator(target: Target, database: str, user: str, password: Secret) -> AsyncIterator[Connection]:
    """A connection in autocommit, closed at the end. Every failure, inside too, becomes a `BackendFailed`."""
    with telling(target, user):
        connection = await log_in(target, database, user, password)
        try:
            yield connection
        finally:
            await connection.close()


async def log_in(target: Target, database: str, user: str, password: Secret) -> Connection:
    """As `administrator`, but whoever asks for it closes it. Raises `BackendFailed`, or psycopg's errors."""
    try:
        connection = await _connect(target, database, user, password)
    except (psycopg.Error, OSError) as error:
        raise _unreachable(error, target, user) from None
    try:
        await connection.execute(LIMITS)
    except BaseException:
        await connection.close()
        raise
    return connection


async def refresh(connection: Connection) -> None:
    """Make a connection that was used before as it was when it was new. Fails where it is lost."""
    await connection.execute(f"RESET ALL; {LIMITS}")


@contextmanager
def telling(target: Target, user: str) -> Iterator[None]:
    """The server's errors, as people read them."""
    try:
        yield
    except psycopg.Error as error:
        raise refused(error, target, user) from None


async def is_superuser(connection: Connection) -> bool:
    mine = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"
    row = await (await connection.execute(mine)).fetchone()
    return bool(row and row[0])


async def _connect(target: Target, database: str, user: str, password: Secret) -> Connection:
    return await psycopg.AsyncConnection.connect(
        **keywords(target),
        dbname=database,
        user=user,
        password=password.reveal(),
        connect_timeout=CONNECT_TIMEOUT,
        application_name="hoopx",
        options="",
        autocommit=True,
        prepare_threshold=None,  # what is kept is used for different things; and a pooler may be in between
    )


def _unreachable(error: Exception, target: Target, user: str) -> BackendFailed:
    """What went wrong, by libpq's words: it gives no codes for a connection that never was."""
    place = f"{target.host}:{target.port}"
    told = " ".join(str(error).split())
    match [word for word in _REMEDIES if word in told]:
        case [word, *_]:
            what, hint = _REMEDIES[word]
        case _:
            what, hint = told[:MAX_TOLD], f"look whether PostgreSQL runs at {place} and at its log"
    source = f"the source `postgres-role` of target `{target.name}`"
    return BackendFailed(f"{source} cannot log in to {place} as `{user}`: {what}", hint)


_PASSWORD = (
    "the password is wrong, or the role may not log in",
    "correct `credentials.user` and `credentials.password`",
)
_CERTIFICATE = ("its certificate cannot be verified", "give its authority as `tls.ca`, and the name in it as `address`")
_REMEDIES = {
    "password authentication failed": _PASSWORD,
    "is not permitted to log in": _PASSWORD,
    "certificate verify failed": _CERTIFICATE,
    "does not match host name": (
        "its certificate is for another host name",
        "write `address` with the name that stands in the certificate, or use `mode: verify-ca`",
    ),
    "server does not support SSL": ("it does not speak TLS", "switch TLS on there, or write `tls: {mode: disable}`"),
    "no pg_hba.conf entry": ("its pg_hba.conf lets nobody in from here", "add a line for the broker's address there"),
    "pg_hba.conf rejects": ("its pg_hba.conf rejects the broker", "correct its line for the broker's address"),
    "authentication method requirement": (
        "it asks for the clear password over a connection that nobody verified",
        "use `tls: {mode: verify-full}`, or SCRAM on the server",
    ),
    "Connection refused": ("nothing listens there", "start PostgreSQL, or correct `address`"),
    "timeout expired": ("it does not answer", "correct `address`, or let the broker through the firewall"),
    "Name or service not known": ("there is no such host", "correct `address`"),
    "nodename nor servname": ("there is no such host", "correct `address`"),
    "Temporary failure in name resolution": ("its name cannot be resolved", "correct `address`, or the name service"),
    "failed to resolve host": ("its name cannot be resolved", "correct `address`, or the name service"),
    "too many": ("it has no connection left", "raise `max_connections` there, or end sessions"),
    "remaining connection slots": ("it has no connection left", "raise `max_connections` there, or end sessions"),
    "does not exist": ("the database or the role does not exist", "correct `database` and `credentials.user`"),
    "starting up": ("it is starting up", "try again in a moment"),
    "shutting down": ("it is shutting down", "start it again"),
}


def refused(error: psycopg.Error, target: Target, user: str) -> BackendFailed:
    """A statement of the administrator's failed."""
    primary = error.diag.message_primary or " ".join(str(error).split())
    told = "; ".join(each for each in (primary, error.diag.message_detail) if each)[:MAX_TOLD].replace("\n", " ")
    return BackendFailed(f"the source `postgres-role` of target `{target.name}` failed: {told}", _remedy(error, user))


def _remedy(error: psycopg.Error, user: str) -> str:
    match error:
        case errors.InsufficientPrivilege():
            return (
                f"as a superuser: `ALTER ROLE {user} CREATEROLE`, and `GRANT … TO {user} WITH ADMIN OPTION`"
                " for each of `credentials.roles`"
            )
        case errors.UndefinedObject():
            return "create that role on the server, or correct `credentials.roles`"
        case errors.ReadOnlySqlTransaction():
            return "that server is a standby: give the address of the primary"
        case errors.DependentObjectsStillExist():
            return "hand over or drop what the role owns, then the broker drops the role"
        case errors.LockNotAvailable() | errors.QueryCanceled():
            return "something on the server holds a lock; the broker tries again"
        case _:
            return "look at the server's log"
