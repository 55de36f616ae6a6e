"""The statements that an operator wrote for `postgres-role`: checked when read, run one by one, named if they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import errors, sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_plugins.postgres_admin import MAX_TOLD, Connection
from hoopx_plugins.statements import parse

KNOWN = frozenset({"role", "password", "expires", "session", "person"})
# Nothing here ends a transaction, so what fails half-way leaves nothing; and nothing runs code of its own.
FIRST_WORDS = frozenset({"ALTER", "COMMENT", "CREATE", "GRANT", "REVOKE", "SECURITY"})
MAKES_A_ROLE = (("CREATE", "ROLE"), ("CREATE", "USER"))

_VERIFIER = re.compile(r"SCRAM-SHA-256\$[^'\s]*'?")


def check_grants(grants: Sequence[str]) -> None:
    """Raises `ValueError` for what is not one GRANT to the role."""
    for grant in grants:
        try:
            statement = parse(grant, {"role"})
        except ValueError as error:
            raise ValueError(f"`grants` must each be one GRANT statement that holds {{{{role}}}}: it {error}") from None
        if statement.words[:1] != ("GRANT",) or "role" not in statement.values:
            raise ValueError("`grants` must each be one GRANT statement that holds {{role}}")


def check_create(create: Sequence[str]) -> None:
    """Raises `ValueError` where the statements, as far as they can be known, would not make a role that ends."""
    for number, written in enumerate(create, 1):
        try:
            statement = parse(written, KNOWN)
        except ValueError as error:
            raise ValueError(f"statement {number} of `create` {error}") from None
        if not statement.words or statement.words[0] not in FIRST_WORDS:
            allowed = ", ".join(sorted(FIRST_WORDS))
            raise ValueError(f"statement {number} of `create` must begin with one of {allowed}")
        makes_it = statement.words in MAKES_A_ROLE and statement.values >= {"role", "password", "expires"}
        if number == 1 and not makes_it:
            raise ValueError("`create` must begin with a CREATE ROLE that holds {{role}}, {{password}} and {{expires}}")


def values_for(connection: Connection, order: Order, role: str, verifier: str, end: str) -> dict[str, str]:
    """What stands for each placeholder, quoted: the role as an identifier, the others as literals."""
    literals = {"password": verifier, "expires": end, "session": order.session, "person": order.principal.user}
    quoted = {name: sql.Literal(value).as_string(connection).strip() for name, value in literals.items()}
    return {"role": sql.Identifier(role).as_string(connection), **quoted}


async def run(connection: Connection, written: str, values: dict[str, str], where: str, order: Order) -> None:
    """One statement, whose failure is told with `where` it stands."""
    text = parse(written, values).filled(values)
    try:
        with no_warnings(connection, where, order.target.credentials.user):
            # Asking for a binary result takes the extended protocol, which refuses a second statement after the first.
            await connection.execute(text.encode(), binary=True)
    except (errors.InternalError_, errors.OperationalError):
        raise  # about the moment, not about the statement
    except errors.Error as error:
        raise _refused(error, where, order) from None


@contextmanager
def no_warnings(connection: Connection, where: str, user: str) -> Iterator[None]:
    """What the administrator may not grant is only a warning to PostgreSQL: here it is a failure."""
    warned: list[str] = []

    def hear(diagnostic: errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warned.append(diagnostic.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        yield
    finally:
        connection.remove_notice_handler(hear)
    if warned:
        raise BackendFailed(
            f"{where} could not grant all it was told to: {_told(warned[0])}",
            f"give `{user}` those privileges WITH GRANT OPTION",
        )


def _refused(error: errors.Error, where: str, order: Order) -> BackendFailed:
    told = _told(error.diag.message_primary or " ".join(str(error).split()))
    match error:
        case errors.InsufficientPrivilege():
            hint = f"give `{order.target.credentials.user}` what this statement needs, or take the statement out"
        case errors.ActiveSqlTransaction():
            hint = "it cannot be part of a transaction, so it cannot be undone: take it out"
        case _:
            hint = "correct that statement in the configuration; nothing of the role was left behind"
    return BackendFailed(f"{where} failed: {told}", hint)


def _told(message: str) -> str:
    """A server quotes the place of a syntax error: the verifier must not come along."""
    return _VERIFIER.sub("…", message)[:MAX_TOLD].replace("\n", " ")
