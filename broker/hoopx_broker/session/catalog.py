"""Read a PostgreSQL target's catalog: names, the places of classified columns, and the views over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from hoopx_broker.seams.libpq import keywords
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.targets import ColumnName, Target

CONNECT_SECONDS = 10
QUERY_MILLISECONDS = 10_000

_RELATIONS = """
select c.oid::int8, n.nspname, c.relname, c.relkind::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
"""
# A classified column stands in its table, in the children that inherit it and in the parents that show it.
_PLACES = """
with recursive
wanted(nsp, rel, att) as (select * from unnest(%s::text[], %s::text[], %s::text[])),
base(nsp, rel, att, oid) as (
  select w.nsp, w.rel, w.att, c.oid from wanted w
  join pg_catalog.pg_namespace n on n.nspname = w.nsp
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.rel),
below(nsp, rel, att, oid) as (
  select * from base
  union select b.nsp, b.rel, b.att, i.inhrelid from below b join pg_catalog.pg_inherits i on i.inhparent = b.oid),
above(nsp, rel, att, oid) as (
  select * from base
  union select a.nsp, a.rel, a.att, i.inhparent from above a join pg_catalog.pg_inherits i on i.inhrelid = a.oid),
places as (select * from below union select * from above)
select p.nsp, p.rel, p.att, p.oid::int8, a.attnum::int8
from places p join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attname = p.att and not a.attisdropped
"""
# What the rule of each view reads; attribute 0 is the whole row.
_VIEWS = """
select distinct r.ev_class::int8, d.refobjid::int8, d.refobjsubid::int8
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.ev_class
"""
# A function in C belongs to an extension, and those that run queries are known by name as dangerous.
_FUNCTIONS = """
select p.proname, array_agg(distinct n.nspname::text),
  bool_or(p.pronargs >= 1 and p.pronargs - p.pronargdefaults <= 1),
  bool_and(l.lanname in ('c', 'internal') or p.provolatile = 'i')
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname <> 'pg_catalog' and (n.nspname <> 'information_schema' or p.proname !~ '^_pg_')
group by p.proname
"""


async def read_catalog(target: Target, credential: Credential) -> Catalog:
    """Raises `BackendFailed`."""
    try:
        async with await _connect(target, credential) as connection:
            return await _read(connection, target)
    except psycopg.Error as error:
        raise BackendFailed(
            f"hoopx cannot read the catalog of `{target.name}`: {_first_line(error)}",
            "check that the server is up and that the lease's role may connect to the database",
        ) from error


async def _connect(target: Target, credential: Credential) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        **keywords(target),
        dbname=target.database,
        user=credential.user,
        password=credential.password.reveal(),
        connect_timeout=CONNECT_SECONDS,
        options=f"-c statement_timeout={QUERY_MILLISECONDS} -c search_path=pg_catalog",
        application_name="hoopx catalog",
        autocommit=True,
    )


async def _read(connection: psycopg.AsyncConnection[Any], target: Target) -> Catalog:
    relations = {row[0]: Relation(*row) for row in await _rows(connection, _RELATIONS)}
    classified = await _places(connection, target.classify)
    views = _views_over(classified, await _rows(connection, _VIEWS), relations) if classified else {}
    functions = await _rows(connection, _FUNCTIONS)
    by_name: dict[str, list[Relation]] = {}
    for relation in relations.values():
        by_name.setdefault(relation.name, []).append(relation)
    return Catalog(
        relations,
        {name: tuple(found) for name, found in by_name.items()},
        classified,
        views,
        {name: tuple(schemas) for name, schemas, _, _ in functions},
        frozenset(name for name, _, takes_one, _ in functions if takes_one),
        frozenset(name for name, _, _, computes in functions if computes),
    )


async def _rows(connection: psycopg.AsyncConnection[Any], text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(text.encode(), parameters or None)
    return await cursor.fetchall()


async def _places(
    connection: psycopg.AsyncConnection[Any], columns: Iterable[ColumnName]
) -> dict[ColumnName, tuple[tuple[int, int], ...]]:
    wanted = list(columns)
    if not wanted:
        return {}
    names = ([c.schema for c in wanted], [c.table for c in wanted], [c.column for c in wanted])
    found: dict[ColumnName, list[tuple[int, int]]] = {column: [] for column in wanted}
    for schema, table, column, oid, attribute in await _rows(connection, _PLACES, *names):
        found[ColumnName(schema, table, column)].append((oid, attribute))
    return {column: tuple(places) for column, places in found.items()}


def _views_over(
    classified: dict[ColumnName, tuple[tuple[int, int], ...]],
    reads: list[tuple[Any, ...]],
    relations: dict[int, Relation],
) -> dict[int, frozenset[ColumnName]]:
    """Follow views over views until nothing changes. A view that reads any part of a tainted view is tainted."""
    shows: dict[int, set[ColumnName]] = {}
    changed = True
    while changed:
        changed = False
        for view, relation, attribute in reads:
            columns = set(shows.get(relation, ()))
            columns |= {
                column
                for column, places in classified.items()
                if (relation, attribute) in places or (attribute == 0 and any(oid == relation for oid, _ in places))
            }
            known = shows.setdefault(view, set())
            if not columns <= known:
                known |= columns
                changed = True
    return {view: frozenset(columns) for view, columns in shows.items() if columns and view in relations}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
