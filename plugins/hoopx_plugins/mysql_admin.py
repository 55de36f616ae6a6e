"""The administrator's connection of `mysql-role`: TLS as the target says, bounded in time, errors with a remedy."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target

if TYPE_CHECKING:
    import pymysql

CONNECT_TIMEOUT = 8  # a person waits for this connection
ANSWER_TIMEOUT = 12  # making a user takes milliseconds; what holds it up is a lock, and the broker tries again later
MAX_TOLD = 300
# Quotes are doubled and backslashes are letters, whatever the server's default is.
SETTINGS = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES', SESSION lock_wait_timeout = 5"
# Else a GRANT makes the user that is not there, without a password and not locked: one that was just dropped.
GRANTS_MAKE_NOBODY = "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_AUTO_CREATE_USER')"

_HASHES = re.compile(r"\*[0-9A-F]{16,}|0x[0-9A-Fa-f]{16,}")
_REMEDIES = {
    1045: ("the password is wrong, or it may not come from here", "correct `credentials.user` and its password"),
    1130: ("it lets nobody in from the broker's address", "make the administrator's account for that address"),
    1040: ("it has no connection left", "raise `max_connections` there, or end sessions"),
    1203: ("the administrator has no connection left", "raise its MAX_USER_CONNECTIONS"),
    3159: ("it asks for TLS", "write `tls: {mode: verify-full}`"),
    2026: (
        "TLS could not be agreed on",
        "switch TLS on there and give its authority as `tls.ca`, or correct `address`",
    ),
    2059: ("it asks for the password in a way that is refused here", "let the administrator use a hashed password"),
}


class Administrator:
    """A connection in autocommit. `server` is what it calls itself, `is_mariadb` and `version` what follows from it."""

    def __init__(self, connection: pymysql.Connection[Any], target: Target, user: str) -> None:
        self._connection = connection
        self._source = f"the source `mysql-role` of target `{target.name}`"
        self._user = user
        self.run(SETTINGS)
        server = str(self.rows("SELECT VERSION()")[0][0])
        self.is_mariadb = "mariadb" in server.lower()
        numbers = re.findall(r"\d+", server.removeprefix("5.5.5-"))
        self.version = (int(numbers[0]), int(numbers[1]), int(numbers[2]))
        if self.is_mariadb or self.version < (8, 0, 0):
            self.run(GRANTS_MAKE_NOBODY)

    def run(self, statement: str, where: str = "") -> None:
        """One statement of our own or an operator's, values already quoted. Raises `BackendFailed`."""
        self._executed(statement, (), where)

    def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return self._executed(query, values, "")

    def _executed(self, statement: str, values: Sequence[object], where: str) -> Sequence[tuple[Any, ...]]:
        import pymysql

        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            code, told = _told(error)
            begun = f"{where}, for {self._source}," if where else self._source
            raise Refused(code, f"{begun} failed: {told}", self._remedy(code, bool(where))) from None

    def _remedy(self, code: int, is_configured: bool) -> str:
        match code:
            case 1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698:
                return f"give `{self._user}` that privilege, WITH GRANT OPTION (or ADMIN OPTION for a role)"
            case 1959 | 3523 | 1396:
                return "create that role on the server, or correct `credentials.roles`"
            case 1290 | 1836:
                return "that server is a replica, or read-only: give the address of the primary"
            case 1205:
                return "something on the server holds a lock; the broker tries again"
            case _ if is_configured:
                return "correct that statement in the configuration; nothing of the user was left behind"
            case 2006 | 2013:
                return "look whether the server still runs and can be reached"
            case _:
                return "look at the server's log"


class Refused(BackendFailed):
    """The server said no. `code` is its number for why."""

    def __init__(self, code: int, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


@contextmanager
def administrator(target: Target, user: str, password: Secret) -> Iterator[Administrator]:
    """Blocks: for a thread of its own. Every failure is a `BackendFailed`."""
    connection = _connect(target, user, password)
    try:
        yield Administrator(connection, target, user)
    finally:
        connection.close()


def _connect(target: Target, user: str, password: Secret) -> pymysql.Connection[Any]:
    try:
        import pymysql
    except ImportError:
        raise BackendFailed("the source `mysql-role` needs PyMySQL", "install `hoopx[mysql]` on the broker") from None

    is_verified = target.tls.mode in ("verify-full", "verify-ca")
    refused: dict[str, Callable[[Any], Any]] = {}
    if not is_verified:
        refused = dict.fromkeys(("mysql_clear_password", "dialog", "mysql_old_password"), _Refuser)
    try:
        return pymysql.connect(
            host=target.host,
            port=target.port,
            user=user,
            password=password.reveal(),
            ssl=_tls(target),
            ssl_disabled=target.tls.mode == "disable",
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=ANSWER_TIMEOUT,
            write_timeout=ANSWER_TIMEOUT,
            auth_plugin_map=refused,
            program_name="hoopx",
        )
    except (pymysql.MySQLError, OSError, RuntimeError) as error:
        code, told = _told(error)
        what, hint = _REMEDIES.get(code) or _by_words(told, target)
        place = f"{target.host}:{target.port}"
        raise BackendFailed(
            f"the source `mysql-role` of target `{target.name}` cannot log in to {place} as `{user}`: {what}", hint
        ) from None


class _Refuser:
    """A server that nobody has verified is not told the password in clear, whatever it asks for."""

    def __init__(self, connection: object) -> None:
        pass

    def authenticate(self, packet: object) -> None:
        import pymysql

        raise pymysql.OperationalError(2059, "it asks for the clear password over a connection that nobody verified")


def _tls(target: Target) -> ssl.SSLContext | None:
    if target.tls.mode == "disable":
        return None
    context = ssl.create_default_context(cafile=target.tls.ca)
    context.check_hostname = target.tls.mode == "verify-full"
    if target.tls.mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def _by_words(told: str, target: Target) -> tuple[str, str]:
    place = f"{target.host}:{target.port}"
    match told:
        case _ if "CERTIFICATE_VERIFY_FAILED" in told or "certificate verify failed" in told:
            return "its certificate cannot be verified", "give its authority as `tls.ca`, and its name as `address`"
        case _ if "refused" in told:
            return "nothing listens there", "start the server, or correct `address`"
        case _ if "timed out" in told:
            return "it does not answer", "correct `address`, or let the broker through the firewall"
        case _ if "SSL" in told:
            return "it does not speak TLS", "switch TLS on there, or write `tls: {mode: disable}`"
        case _:
            return told, f"look whether MySQL or MariaDB runs at {place} and at its log"


def _told(error: Exception) -> tuple[int, str]:
    """A server's number and text; a text that quotes the place of an error must not bring a hash along."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = " ".join(str(error.args[-1] if error.args else error).split())
    return code, _HASHES.sub("…", text)[:MAX_TOLD]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
