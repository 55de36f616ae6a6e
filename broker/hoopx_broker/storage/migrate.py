"""Bring a state database to the schema of this broker: numbered SQL files, each in one transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct

from hoopx_broker.storage.errors import StateUnusable
from hoopx_broker.storage.transaction import transaction

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_POSTGRES = ".postgres.sql"

_RECORD = """
CREATE TABLE IF NOT EXISTS schema_version (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)
"""


class Migration(Struct, frozen=True, order=True):
    """One step of the schema. Released steps are never edited: a change is a new number.

    `postgres` is its text for PostgreSQL, where `sql` is not for both.
    """

    number: int
    name: str
    sql: str
    postgres: str = ""


def shipped() -> tuple[Migration, ...]:
    """The migrations of this broker, in order. Rooms own their own numbers and do not touch each other's tables."""
    return read_folder(files("hoopx_broker.storage") / "migrations")


def read_folder(folder: Traversable) -> tuple[Migration, ...]:
    """`NNNN_name.sql`, and `NNNN_name.postgres.sql` beside it where PostgreSQL needs another text."""
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}
    found = sorted(
        Migration(int(match[1]), match[2], text, texts.get(name.removesuffix(".sql") + _POSTGRES, ""))
        for name, text in texts.items()
        if (match := _FILE.fullmatch(name))
    )
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two migrations share a number: {[f'{m.number:04} {m.name}' for m in found]}")
    return tuple(found)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply what is missing. A number that came late is applied too, so that rooms may add theirs independently."""
    with transaction(connection):
        connection.cursor().execute(_RECORD)
    applied = dict(connection.execute("SELECT number, name FROM schema_version").fetchall())
    refuse_strangers(applied, migrations)
    for migration in migrations:
        if migration.number not in applied:
            _apply(connection, migration)


def refuse_strangers(applied: dict[int, str], migrations: Sequence[Migration]) -> None:
    """Raises `StateUnusable` for steps that this broker does not have."""
    known = {migration.number: migration.name for migration in migrations}
    for number, name in sorted(applied.items()):
        if known.get(number) != name:
            raise StateUnusable(
                f"the state was written by a newer hoopx: it has schema step {number:04} `{name}`, "
                f"which this broker does not know",
                "run that version or a later one, or name another file in `state`",
            )


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    with transaction(connection):
        for statement in statements_of(migration.sql):
            connection.cursor().execute(statement)  # not the connection's own, which takes only what both read
            if not connection.in_transaction:
                raise RuntimeError(f"migration {migration.number:04} `{migration.name}` ends its own transaction")
        row = (migration.number, migration.name)
        connection.execute("INSERT INTO schema_version (number, name) VALUES (?, ?)", row)


def statements_of(script: str) -> Iterator[str]:
    """Cut a script where SQLite says that a statement is whole: `executescript` would commit before it begins."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if (rest := statement.removesuffix(";")).strip():
        yield rest
