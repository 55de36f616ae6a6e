"""Look at the columns of a database through an open session: which there are, and what some of their values look like.

Every statement goes through the broker as any client's: it is judged, recorded, and its answer masked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import errors, sql

from hoopx_broker.seams.libpq import keywords
from hoopx_broker.terms.errors import BackendFailed, Denied
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_cli.access import USER, Access
from hoopx_cli.proposals import Classes, Column, Kind, Sample

Connection: TypeAlias = "psycopg.AsyncConnection[Any]"

# Longer values are looked at from their beginning: what one is like shows there, and a value may have a gigabyte.
MAX_VALUE = 4_096
CONNECT_SECONDS = 30

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "json", "jsonb", "xml", "_text", "_varchar"), "text"),
    **dict.fromkeys(("int8", "numeric"), "number"),
    "inet": "address",
    **dict.fromkeys(("date", "timestamp", "timestamptz"), "date"),
}
# Only where values are kept: what a view shows is masked with the columns that it reads, a child with its parent.
_COLUMNS = """
select n.nspname::text, c.relname::text, a.attname::text, coalesce(b.typname, t.typname)::text
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_type b on b.oid = t.typbasetype
where c.relkind in ('r', 'p', 'f') and not c.relispartition and a.attinhcount = 0
  and a.attnum > 0 and not a.attisdropped
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and has_schema_privilege(n.oid, 'USAGE') and has_column_privilege(c.oid, a.attnum, 'SELECT')
order by n.nspname, c.relname, a.attnum
"""


class NotRead(Exception):
    """A table could not be looked at; the reason names no value of it."""


class TableDenied(NotRead):
    """Policy, or the database itself, says no."""


@asynccontextmanager
async def connected(access: Access, say: Callable[[str], None]) -> AsyncIterator[Connection]:
    """A connection to the session's local socket. Raises `BackendFailed` where it breaks."""
    here = Target(access.target, "postgres", access.host, access.port, access.database, UpstreamTls("disable"), "")
    try:
        connection = await psycopg.AsyncConnection.connect(
            **keywords(here),
            user=USER,
            password=access.password.reveal() if access.password is not None else None,
            dbname=access.database,
            options="",
            channel_binding="prefer",
            client_encoding="utf8",
            application_name="hoopx classify",
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
        )
        connection.add_notice_handler(lambda told: say(told.message_primary or ""))
        async with connection:
            yield connection
    except psycopg.OperationalError as error:
        message = f"the connection to `{access.target}` broke: {_reason(error)}"
        raise BackendFailed(message, "try again") from None


async def columns(connection: Connection, target: str, schema: str) -> list[Column]:
    """Every column that may hold personal data by its type, in the order of names. Raises `Denied`."""
    try:
        rows = await _rows(connection, sql.SQL(_COLUMNS))
    except errors.InsufficientPrivilege as error:
        raise Denied(f"the columns of `{target}` cannot be listed: {_reason(error)}") from None
    found = [(ColumnName(*parts), _KINDS.get(kind)) for *parts, kind in ([cell or "" for cell in row] for row in rows)]
    return [Column(name, kind) for name, kind in found if kind is not None and schema in ("", name.schema)]


async def look(connection: Connection, table: Sequence[Column], rows: int, classes: Classes) -> list[Sample]:
    """A sample of each of these columns of one table; no value outlives this. Raises `NotRead`.

    Dates are known by their names alone, and stay where they are.
    """
    samples = [Sample() for _ in table]
    asked = [(column, sample) for column, sample in zip(table, samples, strict=True) if column.kind != "date"]
    if not asked:
        return samples
    try:
        found = await _rows(connection, _query([column for column, _ in asked], rows))
    except errors.InsufficientPrivilege as error:
        raise TableDenied(_reason(error)) from None
    except psycopg.Error as error:
        if connection.closed:
            raise
        raise NotRead(f"the server says {error.sqlstate or type(error).__name__}") from None
    for row in found:
        for (_, sample), value in zip(asked, row, strict=True):
            if value is not None:
                sample.add(value, classes)
    return samples


def _query(table: Sequence[Column], rows: int) -> sql.Composed:
    name = table[0].name
    cell = sql.SQL("left({}::text, {})")
    cells = [cell.format(sql.Identifier(column.name.column), sql.Literal(MAX_VALUE)) for column in table]
    return sql.SQL("select {} from {} limit {}").format(
        sql.SQL(", ").join(cells), sql.Identifier(name.schema, name.table), sql.Literal(rows)
    )


async def _rows(connection: Connection, query: sql.SQL | sql.Composed) -> list[tuple[str | None, ...]]:
    """As text, whatever bytes the server sends: a database in SQL_ASCII may hold any."""
    async with connection.cursor() as cursor:
        await cursor.execute(query)
        result = cursor.pgresult
        assert result is not None
        width = range(result.nfields)
        return [tuple(_text(result.get_value(row, at)) for at in width) for row in range(result.ntuples)]


def _text(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode(errors="replace")


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
