"""Grants on columns: a role that cannot read classified columns at all, whatever way round the masks is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.targets import Target
from hoopx_plugins.postgres_admin import Connection
from hoopx_plugins.postgres_statements import no_warnings

_NAME = re.compile(r"([^.\s\"]+)\.([^.\s\"]+)")

# `unnest` of several lists must not be qualified: the search path sees to it that it is the system's.
# A column holds what the columns of that name in its parents and in its partitions hold. A generated column holds what
# it is made of, so in a table with classified columns all of them count.
_CLASSIFIED = """
WITH RECURSIVE named AS (
    SELECT a.attrelid, a.attname
    FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[]) AS k(s, t, c)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = k.s
    JOIN pg_catalog.pg_class AS r ON r.relnamespace = n.oid AND r.relname = k.t
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attname = k.c AND NOT a.attisdropped
), kin AS (
    SELECT attrelid, attname FROM named
    UNION
    SELECT a.attrelid, a.attname
    FROM kin
    JOIN pg_catalog.pg_inherits AS i ON kin.attrelid IN (i.inhparent, i.inhrelid)
    JOIN pg_catalog.pg_attribute AS a
      ON a.attrelid IN (i.inhparent, i.inhrelid) AND a.attname = kin.attname AND NOT a.attisdropped
), held AS (
    SELECT attrelid, attname FROM kin
    UNION
    SELECT a.attrelid, a.attname FROM pg_catalog.pg_attribute AS a
    WHERE a.attgenerated <> '' AND NOT a.attisdropped AND a.attrelid IN (SELECT attrelid FROM kin)
)
SELECT coalesce(pg_catalog.array_agg(attrelid), '{}'), coalesce(pg_catalog.array_agg(attname::text), '{}') FROM held
"""
# Relations that are meant, and those of their columns that may be read. `*` means tables only: what a view shows
# cannot be known from its name, so a view is given where an operator names it.
_READABLE = """
SELECT n.nspname::text, r.relname::text, pg_catalog.array_agg(a.attname::text ORDER BY a.attnum)
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS k(s, t)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = k.s
JOIN pg_catalog.pg_class AS r ON r.relnamespace = n.oid
 AND (r.relname = k.t AND r.relkind IN ('r', 'p', 'f', 'v', 'm') OR k.t = '*' AND r.relkind IN ('r', 'p', 'f'))
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE NOT EXISTS (SELECT 1 FROM unnest(%(oids)s::oid[], %(names)s::text[]) AS x(o, c)
                  WHERE x.o = r.oid AND x.c = a.attname)
GROUP BY n.nspname, r.relname
ORDER BY 1, 2
"""
# Every other way by which the role could read such a column: a grant on the table or on the column, to a group or to
# PUBLIC; a view over the table that runs with its owner's rights, over views too, unless an operator named it; and
# the files under the tables. What a group is not inherited from is one SET ROLE away.
_LEAKS = """
WITH RECURSIVE groups AS MATERIALIZED (
    SELECT oid, rolname, rolsuper OR rolcreaterole OR rolreplication AS is_mighty FROM pg_catalog.pg_roles
    WHERE pg_catalog.pg_has_role(%(role)s::name, oid, 'MEMBER')
), over AS (
    SELECT DISTINCT o AS oid FROM pg_catalog.unnest(%(oids)s::oid[]) AS x(o)
    UNION
    SELECT w.ev_class
    FROM over
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = over.oid
     AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
)
SELECT found FROM (
    SELECT 1, pg_catalog.format('by its membership in `%%s`', rolname) FROM groups
    WHERE is_mighty OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    UNION ALL
    SELECT 2, pg_catalog.format('by SELECT on `%%s.%%s.%%s`', n.nspname, r.relname, x.c)
    FROM groups AS g, unnest(%(oids)s::oid[], %(names)s::text[]) AS x(o, c)
    JOIN pg_catalog.pg_class AS r ON r.oid = x.o
    JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
    WHERE pg_catalog.has_column_privilege(g.oid, x.o, x.c, 'SELECT') OR r.relowner = g.oid
    UNION ALL
    SELECT 3, pg_catalog.format('by the view `%%s.%%s`', n.nspname, r.relname)
    FROM groups AS g, over
    JOIN pg_catalog.pg_class AS r ON r.oid = over.oid AND r.relkind IN ('v', 'm')
    JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
    WHERE pg_catalog.has_any_column_privilege(g.oid, r.oid, 'SELECT')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_options_to_table(r.reloptions)
                      WHERE option_name = 'security_invoker' AND option_value IN ('true', 'on', 'yes', '1'))
      AND NOT EXISTS (SELECT 1 FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS k(s, t)
                      WHERE n.nspname = k.s AND r.relname = k.t)
    UNION ALL
    SELECT 4, pg_catalog.format('by `%%s`, which runs with the rights of its owner', p.oid::regprocedure)
    FROM groups AS g, pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE %(strict)s AND p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND pg_catalog.has_schema_privilege(g.oid, n.oid, 'USAGE')
      AND pg_catalog.has_function_privilege(g.oid, p.oid, 'EXECUTE')
) AS findings (rank, found)
ORDER BY rank, found LIMIT 1
"""
_LACKS_SCHEMA = """
SELECT n.nspname::text FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = ANY (%s) AND NOT pg_catalog.has_schema_privilege(%s::name, n.oid, 'USAGE')
"""


def check_tables(tables: Sequence[str]) -> None:
    """Raises `ValueError` for what names no table."""
    for table in tables:
        if not _NAME.fullmatch(table):
            raise ValueError("`columns_of` must name tables as `schema.table`, or all of a schema as `schema.*`")


async def grant_unclassified(
    connection: Connection, role: str, tables: Sequence[str], target: Target, *, strict: bool
) -> None:
    """SELECT on all but the classified columns of `tables`; then make sure that there is no other way to them."""
    await connection.execute("SET LOCAL search_path = pg_catalog")
    named = [tuple(table.split(".")) for table in tables]
    meant: dict[str, Any] = {"schemas": [each[0] for each in named], "tables": [each[1] for each in named]}
    meant |= {"role": role, "strict": strict} | await _classified(connection, target)
    readable = await (await connection.execute(_READABLE, meant)).fetchall()
    _require_all(named, readable, target)
    await _grant(connection, role, readable, target)
    leak = await (await connection.execute(_LEAKS, meant)).fetchone()
    if leak is not None:
        raise BackendFailed(
            f"the role for target `{target.name}` could read classified columns {leak[0]}",
            "take that from `roles`, `grants` and PUBLIC; a view that shows nothing of them can stand in `columns_of`",
        )


async def _classified(connection: Connection, target: Target) -> dict[str, Any]:
    columns = sorted(target.classify)
    parts = {
        "schemas": [each.schema for each in columns],
        "tables": [each.table for each in columns],
        "columns": [each.column for each in columns],
    }
    row = await (await connection.execute(_CLASSIFIED, parts)).fetchone()
    assert row is not None  # an aggregate has one row
    return {"oids": row[0], "names": row[1]}


def _require_all(named: Sequence[tuple[str, ...]], readable: Sequence[Sequence[Any]], target: Target) -> None:
    """A table that is not there, or whose columns are all classified, was named by mistake."""
    found = {(schema, table) for schema, table, _ in readable} | {(schema, "*") for schema, _, _ in readable}
    for schema, table in named:
        if (schema, table) not in found:
            raise BackendFailed(
                f"the source `postgres-role` of target `{target.name}` finds no column that may be read in "
                f"`{schema}.{table}`",
                "correct `columns_of`, or `classify` of the target",
            )


async def _grant(connection: Connection, role: str, readable: Sequence[Sequence[Any]], target: Target) -> None:
    name = sql.Identifier(role)
    schemas = sorted({schema for schema, _, _ in readable})
    lacking = await (await connection.execute(_LACKS_SCHEMA, [schemas, role])).fetchall()
    grants: list[sql.Composable] = [
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(str(schema)), name) for (schema,) in lacking
    ]
    for schema, table, columns in readable:
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        grants.append(sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(listed, sql.Identifier(schema, table), name))
    with no_warnings(connection, f"the source `postgres-role` of target `{target.name}`", target.credentials.user):
        await connection.execute(sql.SQL("; ").join(grants))
