"""The database servers behind the double's database engine: what Vault's plugins do to them, statement by statement."""

from __future__ import annotations

import queue
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import psycopg
from msgspec import Struct

from tests.peers.vault.answers import Json

MOST_CONNECTIONS = 4  # Vault's own default of `max_open_connections`
MYSQL_URL = re.compile(r"(?P<user>[^:]*):(?P<password>.*)@tcp\((?P<host>[^:)]+):(?P<port>\d+)\)/(?P<database>[^?]*)")

GRANTED_SCHEMAS = """\
SELECT DISTINCT quote_ident(table_schema) FROM information_schema.role_column_grants WHERE grantee = %s
"""


class Failed(Exception):
    """The database refused, in its own words."""


class Plugin(Struct, frozen=True):
    """How long names may be, and what is done where the configuration has no statements."""

    display: int
    role: int
    longest: int
    drop: tuple[str, ...]
    renew: tuple[str, ...]


POSTGRES = Plugin(8, 8, 63, (), ("ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'",))
MYSQL = Plugin(10, 10, 32, ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{{name}}'@'%'", "DROP USER '{{name}}'@'%'"), ())
PLUGINS = {"postgresql-database-plugin": POSTGRES, "mysql-database-plugin": MYSQL}


class Server:
    """A few connections to one database; a broken one is left and another opened."""

    def __init__(self, config: Json) -> None:
        self._config = config
        self._plugin = PLUGINS[config["plugin_name"]]
        self._places: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(MOST_CONNECTIONS):
            self._places.put(None)

    def create(self, values: Json, statements: Sequence[str]) -> None:
        """All of the statements or none."""
        if not statements:
            raise Failed("empty creation statements")
        try:
            self._run(statements, values | {"name": values["username"]})
        except Failed as problem:
            raise Failed(f"failed to execute query: {problem}") from problem

    def renew(self, username: str, expiration: str, statements: Sequence[str]) -> None:
        values = {"name": username, "username": username, "expiration": expiration}
        self._run(statements or self._plugin.renew, values)

    def drop(self, username: str, statements: Sequence[str]) -> None:
        values = {"name": username, "username": username}
        if statements:
            self._run(statements, values)
        elif self._plugin is POSTGRES:
            self._take_everything(username)
        else:
            self._run(self._plugin.drop, values)

    def close(self) -> None:
        with suppress(queue.Empty):
            while True:
                connection = self._places.get_nowait()
                if connection is not None:
                    connection.close()

    def _run(self, statements: Sequence[str], values: Json) -> None:
        """In one transaction where the database has them for such statements."""
        with self._connection() as connection, connection.cursor() as cursor:
            for statement in _split(statements, values):
                cursor.execute(statement)

    def _take_everything(self, username: str) -> None:
        """What Vault does of its own to a PostgreSQL role: take its privileges one by one, then drop it."""
        role = '"' + username.replace('"', '""') + '"'
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (username,))
            if cursor.fetchone() is None:
                return
            cursor.execute(GRANTED_SCHEMAS, (username,))
            schemas = sorted({str(row[0]) for row in cursor.fetchall()} | {"public"})
            cursor.execute("SELECT quote_ident(current_database())")
            (database,) = cursor.fetchone()
            taken = [f"ALL PRIVILEGES ON ALL TABLES IN SCHEMA {schema}" for schema in schemas]
            taken += [f"USAGE ON SCHEMA {schema}" for schema in schemas]
            taken += ["ALL PRIVILEGES ON ALL SEQUENCES IN SCHEMA public", f"CONNECT ON DATABASE {database}"]
            try:
                for privilege in taken:
                    cursor.execute(f"REVOKE {privilege} FROM {role}")
            except psycopg.Error as problem:
                raise Failed(f"could not perform all revocation statements: {_told(problem)}") from problem
            cursor.execute(f"DROP ROLE IF EXISTS {role}")

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection in a transaction; committed at the end, and left behind with any error."""
        connection = self._places.get(timeout=30)
        try:
            if connection is None or not _is_open(connection):
                connection = connect(self._config)
            yield connection
            connection.commit()
        except Failed:
            _leave(connection)
            connection = None
            raise
        except Exception as problem:  # whatever the driver raises is the database's refusal
            _leave(connection)
            connection = None
            raise Failed(_told(problem)) from problem
        finally:
            self._places.put(connection)


def connect(config: Json) -> Any:
    """A connection as the configuration says."""
    plugin = PLUGINS[config["plugin_name"]]
    values = {"username": config["username"], "password": config["password"]}
    try:
        if plugin is POSTGRES:
            url = _filled(config["connection_url"], {key: quote(each, safe="") for key, each in values.items()})
            return psycopg.connect(url, connect_timeout=5)
        return _mysql(_filled(config["connection_url"], values), config["tls_ca"])
    except Failed:
        raise
    except Exception as problem:  # the same
        raise Failed(f"failed to connect: {_told(problem)}") from problem


def _mysql(url: str, ca: str) -> Any:
    import pymysql  # an extra of the broker: only where a MySQL is configured

    match = MYSQL_URL.fullmatch(url.split("?")[0])
    if match is None:
        raise Failed("invalid DSN: not user:password@tcp(host:port)/database")
    tls = ssl.create_default_context(cadata=ca) if ca else None
    where = {"host": match["host"], "port": int(match["port"]), "database": match["database"] or None}
    return pymysql.connect(user=match["user"], password=match["password"], ssl=tls, connect_timeout=5, **where)


def _is_open(connection: Any) -> bool:
    """The two drivers say it each in a word of its own."""
    return bool(connection.open) if hasattr(connection, "open") else not connection.closed


def _leave(connection: Any) -> None:
    with suppress(Exception):
        connection.close()


def _split(statements: Sequence[str], values: Json) -> list[str]:
    """Vault cuts at every semicolon."""
    parts = [part.strip() for statement in statements for part in statement.split(";")]
    return [_filled(part, values) for part in parts if part]


def _filled(text: str, values: Json) -> str:
    for key, value in values.items():
        text = text.replace(f"{{{{{key}}}}}", str(value))
    return text


def _told(problem: Exception) -> str:
    """As Vault tells it: `ERROR: … (SQLSTATE 42704)`."""
    if isinstance(problem, psycopg.Error) and problem.diag.sqlstate:
        return f"{problem.diag.severity}: {problem.diag.message_primary} (SQLSTATE {problem.diag.sqlstate})"
    return " ".join(str(problem).split())
