"""Bring a state in PostgreSQL to the schema of this broker: all that is missing in one transaction, by one broker."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from hoopx_broker.storage import postgres_login
from hoopx_broker.storage.errors import StateUnusable
from hoopx_broker.storage.migrate import Migration, refuse_strangers
from hoopx_broker.storage.postgres_errors import trouble_of
from hoopx_broker.storage.postgres_login import Raw
from hoopx_broker.terms.settings import StateUrl

START_SECONDS = 20.0  # a server that restarts together with the broker
WAIT_SECONDS = 60  # while another broker migrates
# Of this database: nobody else who takes advisory locks there picks these numbers by chance.
LOCK = (0x686F6F70, 0x78000001)

_RECORD = """
CREATE TABLE IF NOT EXISTS hoopx.schema_version (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""


def bring_up_to_date(where: StateUrl, migrations: Sequence[Migration]) -> None:
    """Brokers that start at once migrate once. A role that may not change the schema may find it done.

    Raises `StateUnusable`.
    """
    try:
        raw = _logged_in(where)
    except psycopg.Error as error:
        trouble = trouble_of(error, where)
        if trouble is None:
            raise
        raise StateUnusable(trouble.message, trouble.hint) from error
    try:
        _migrate(raw, migrations)
    except psycopg.Error as error:
        trouble = trouble_of(error, where)
        if trouble is None:
            raise
        hint = trouble.hint
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            hint = "have the owner of the schema `hoopx` run `hoopx broker migrate`, and give this role its rights"
            hint += ": docs/state.md lists them"
        raise StateUnusable(trouble.message, hint) from error
    finally:
        raw.close()


def _logged_in(where: StateUrl) -> Raw:
    """It may be started at the same time as its database."""
    ends_at = time.monotonic() + START_SECONDS
    while True:
        try:
            return postgres_login.log_in(where, ends_at)
        except (psycopg.errors.CannotConnectNow, psycopg.errors.ConnectionException):
            if time.monotonic() > ends_at:
                raise
        time.sleep(0.2)


def _migrate(raw: Raw, migrations: Sequence[Migration]) -> None:
    _see_that_it_is_text(raw)
    if not _missing(raw, migrations):
        return
    raw.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'; SET statement_timeout = '{WAIT_SECONDS}s'")
    # Read committed: what the broker that was first has done is seen after the lock.
    with raw.transaction():
        raw.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)
        if raw.execute("SELECT to_regnamespace('hoopx')::text").fetchone() == (None,):
            raw.execute("CREATE SCHEMA hoopx")
        raw.execute(_RECORD)
        for migration in _missing(raw, migrations):
            _apply(raw, migration)


def _see_that_it_is_text(raw: Raw) -> None:
    encoding = raw.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StateUnusable(
            f"the database of the state has the encoding {encoding}, which cannot hold every text",
            "make it with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`",
        )


def _missing(raw: Raw, migrations: Sequence[Migration]) -> list[Migration]:
    if raw.execute("SELECT to_regclass('hoopx.schema_version')::text").fetchone() == (None,):
        return list(migrations)
    applied: dict[int, str] = dict(raw.execute("SELECT number, name FROM hoopx.schema_version").fetchall())
    refuse_strangers(applied, migrations)
    return [migration for migration in migrations if migration.number not in applied]


def _apply(raw: Raw, migration: Migration) -> None:
    """All its statements go as one text; PostgreSQL knows itself where each ends."""
    answer = raw.pgconn.exec_((migration.postgres or migration.sql).encode())
    if answer.status not in (psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK):
        raise psycopg.errors.error_from_result(answer)
    if raw.info.transaction_status is not psycopg.pq.TransactionStatus.INTRANS:
        raise RuntimeError(f"migration {migration.number:04} `{migration.name}` ends its own transaction")
    row = (migration.number, migration.name)
    raw.execute("INSERT INTO hoopx.schema_version (number, name) VALUES (%s, %s)", row)
