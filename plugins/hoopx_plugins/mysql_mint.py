"""Make a user with all it may do, or drop it: no transaction holds MySQL's statements together, so this does."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Annotated

from msgspec import Meta, Struct

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins import mysql_hashes
from hoopx_plugins.mysql_admin import Administrator, Refused, identifier, literal
from hoopx_plugins.mysql_walls import check_read_only, grant_unclassified
from hoopx_plugins.statements import parse

CONNECTIONS = 20
DAY = 86400
# A killed connection ends within milliseconds, unless it undoes a large transaction.
LOOKS = 50
BETWEEN_LOOKS = 0.1

KNOWN = frozenset({"user", "identified", "session", "person"})
FIRST_WORDS = frozenset({"ALTER", "CREATE", "GRANT", "REVOKE"})
NO_SUCH_THREAD = 1094
NO_SUCH_ACCOUNT = 1396
IS_A_DEFINER = 4006

_TABLE = re.compile(r"[^.\s`]+\.[^.\s`]+")

Limit = Annotated[int, Meta(ge=1, le=4_294_967_295)]


class MysqlProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may do. `roles` are granted to it; `grants` are further GRANT statements, `{{user}}` being it.

    `create` are statements that make the user instead of ours. `unclassified` names tables, and views, that it may
    read as far as no column of theirs is classified. `read_only` refuses to make a user that could do more than read.
    The others bound what one session may do; `statement_seconds` is MariaDB's alone.
    """

    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    unclassified: tuple[str, ...] = ()
    read_only: bool = True
    connection_limit: Annotated[int, Meta(ge=1, le=1000)] | None = None
    queries_per_hour: Limit | None = None
    updates_per_hour: Limit | None = None
    connections_per_hour: Limit | None = None
    statement_seconds: Limit | None = None

    def __post_init__(self) -> None:
        _check(self.grants, "grants", {"GRANT"}, {"user"})
        _check(self.create, "create", FIRST_WORDS, KNOWN)
        if self.create:
            first = parse(self.create[0], KNOWN)
            if first.words != ("CREATE", "USER") or not first.values >= {"user", "identified"}:
                raise ValueError("`create` must begin with a CREATE USER that holds {{user}} and {{identified}}")
            if _limits(self):
                raise ValueError("limits are for the user that hoopx makes: write them in `create`")
        if not all(_TABLE.fullmatch(table) for table in self.unclassified):
            raise ValueError(
                "`unclassified` must name tables as `database.table`, or all of a database as `database.*`"
            )


def _check(statements: Sequence[str], option: str, first: Collection[str], known: Collection[str]) -> None:
    for number, written in enumerate(statements, 1):
        try:
            statement = parse(written, known)
        except ValueError as error:
            raise ValueError(f"statement {number} of `{option}` {error}") from None
        if statement.words[:1] == () or statement.words[0] not in first or "user" not in statement.values:
            raise ValueError(
                f"statement {number} of `{option}` must begin with {' or '.join(sorted(first))} and hold {{{{user}}}}"
            )


def make_user(
    admin: Administrator, user: str, host: str, password: Secret, order: Order, profile: MysqlProfile, now: float
) -> None:
    """The user can log in only when all of this is done. Raises `BackendFailed`; then nothing is left."""
    account = f"{literal(user)}@{literal(host)}"
    try:
        _create(admin, account, password, order, profile, now)
        _give_roles(admin, account, profile.roles)
        for number, grant in enumerate(profile.grants, 1):
            admin.run(parse(grant, {"user"}).filled({"user": account}), f"statement {number} of `grants`")
        if profile.unclassified:
            grant_unclassified(admin, account, profile.unclassified, order.target)
        if profile.read_only:
            check_read_only(admin, account, order.target.name)
        admin.run(f"ALTER USER {account} ACCOUNT UNLOCK")
    except BaseException:
        with suppress(BackendFailed):  # what went wrong first is told; the broker revokes it once more anyway
            admin.run(f"DROP USER IF EXISTS {account}")
        raise


def extend_user(admin: Administrator, user: str, password: Secret, order: Order, now: float) -> None:
    """Its password lasts until the order's end. Raises `BackendFailed` where the user is gone or barred."""
    accounts = accounts_of(admin, user)
    barred = [account for account in accounts if _is_locked(admin, account)]
    if not accounts or barred:
        raise BackendFailed(
            f"the user `{user}` of target `{order.target.name}` {'is barred' if barred else 'is gone'}",
            "open a new session: this one cannot be made longer",
        )
    for account in accounts:
        admin.run(f"ALTER USER {account} {_identified(admin, password)} {_expiry(order, now)}")


def drop_user(admin: Administrator, user: str, target: Target, pause: Callable[[float], None] = time.sleep) -> None:
    """Bar it, cut what is logged in, drop it, and see that it is gone. Every step can be repeated."""
    accounts = accounts_of(admin, user)
    for account in accounts:
        admin.run(f"ALTER USER {account} ACCOUNT LOCK")
    _cut(admin, user, pause)
    for account in accounts:
        _drop(admin, account, target)
    # Whoever was in the middle of logging in when the user was barred shows up only now.
    _cut(admin, user, pause)
    if left := accounts_of(admin, user):
        raise BackendFailed(f"the user {left[0]} of target `{target.name}` is still there", "drop it by hand")


def accounts_of(admin: Administrator, user: str) -> list[str]:
    """On every host: what an older configuration said is no longer known."""
    hosts = admin.rows("SELECT Host FROM mysql.user WHERE User = %s", user)
    return [f"{literal(user)}@{literal(str(host))}" for (host,) in hosts]


def _create(
    admin: Administrator, account: str, password: Secret, order: Order, profile: MysqlProfile, now: float
) -> None:
    identified = _identified(admin, password)
    if not profile.create:
        if profile.statement_seconds is not None and not admin.is_mariadb:
            raise BackendFailed(
                f"target `{order.target.name}` is MySQL, which has no limit of time for a user's statements",
                "take `statement_seconds` out, or set `max_execution_time` on the server",
            )
        tls = "NONE" if order.target.tls.mode == "disable" else "SSL"
        limits = {"MAX_USER_CONNECTIONS": CONNECTIONS} | _limits(profile)
        listed = " ".join(f"{name} {value}" for name, value in limits.items())
        admin.run(f"CREATE USER {account} {identified} REQUIRE {tls} WITH {listed} {_expiry(order, now)} ACCOUNT LOCK")
        return
    values = {"user": account, "identified": identified}
    values |= {"session": literal(order.session), "person": literal(order.principal.user)}
    for number, statement in enumerate(profile.create, 1):
        admin.run(parse(statement, KNOWN).filled(values), f"statement {number} of `create`")
    admin.run(f"ALTER USER {account} ACCOUNT LOCK")


def _limits(profile: MysqlProfile) -> dict[str, int]:
    named = {
        "MAX_USER_CONNECTIONS": profile.connection_limit,
        "MAX_QUERIES_PER_HOUR": profile.queries_per_hour,
        "MAX_UPDATES_PER_HOUR": profile.updates_per_hour,
        "MAX_CONNECTIONS_PER_HOUR": profile.connections_per_hour,
        "MAX_STATEMENT_TIME": profile.statement_seconds,
    }
    return {name: value for name, value in named.items() if value is not None}


def _identified(admin: Administrator, password: Secret) -> str:
    """By a hash: what a server hears, it writes into its logs and sends to its replicas."""
    if admin.is_mariadb:
        return f"IDENTIFIED VIA mysql_native_password USING {literal(mysql_hashes.native(password.reveal()))}"
    if admin.version >= (8, 0, 17):
        return f"IDENTIFIED WITH caching_sha2_password AS 0x{mysql_hashes.caching_sha2(password.reveal()).hex()}"
    return f"IDENTIFIED WITH mysql_native_password AS {literal(mysql_hashes.native(password.reveal()))}"


def _expiry(order: Order, now: float) -> str:
    """A user has no end of its own here; a password has one, in whole days."""
    return f"PASSWORD EXPIRE INTERVAL {max(1, math.ceil((order.expires_at - now) / DAY))} DAY"


def _give_roles(admin: Administrator, account: str, roles: Sequence[str]) -> None:
    if admin.is_mariadb and len(roles) > 1:
        raise BackendFailed(
            "MariaDB lets a user have one role at a time, and `roles` names several",
            "make one role there that has the others, and name it",
        )
    for role in roles:
        admin.run(f"GRANT {identifier(role)} TO {account}")
    if roles and admin.is_mariadb:
        admin.run(f"SET DEFAULT ROLE {identifier(roles[0])} FOR {account}")
    elif roles:
        admin.run(f"SET DEFAULT ROLE ALL TO {account}")


def _is_locked(admin: Administrator, account: str) -> bool:
    return any("ACCOUNT LOCK" in str(line) for (line, *_) in admin.rows(f"SHOW CREATE USER {account}"))


def _cut(admin: Administrator, user: str, pause: Callable[[float], None]) -> None:
    for _ in range(LOOKS):
        threads = admin.rows("SELECT id FROM information_schema.processlist WHERE user = %s", user)
        if not threads:
            return
        for (thread,) in threads:
            _kill(admin, int(thread))
        pause(BETWEEN_LOOKS)
    raise BackendFailed(f"a connection of `{user}` does not end", "look for it with SHOW PROCESSLIST; it is barred")


def _kill(admin: Administrator, thread: int) -> None:
    try:
        admin.run(f"KILL CONNECTION {thread}")
    except Refused as refused:
        if refused.code != NO_SUCH_THREAD:
            raise


def _drop(admin: Administrator, account: str, target: Target) -> None:
    try:
        admin.run(f"DROP USER {account}")
    except Refused as refused:
        if refused.code == IS_A_DEFINER:
            raise BackendFailed(
                f"the user {account} of target `{target.name}` is barred but not dropped: it is the definer of a view, "
                "a routine, a trigger or an event",
                "give that another definer or drop it, or give the administrator SET_USER_ID",
            ) from None
        if refused.code != NO_SUCH_ACCOUNT:  # another broker was faster
            raise
