"""What the catalog of a PostgreSQL server is asked, and the `Catalog` that its answers make."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, TypeVar

import psycopg

from hoopx_broker.masking.labels import MAX_TEXT, Label, class_of
from hoopx_broker.terms.catalog import Attribute, Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, Volatility
from hoopx_broker.terms.lineage import ANYTHING, NOTHING, Flow
from hoopx_broker.terms.targets import ColumnName, Target

_RELATIONS = """
select c.oid::int8, n.nspname, c.relname, c.relkind::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
"""
_COLUMNS = """
select a.attrelid::int8, array_agg(a.attname::text order by a.attnum), array_agg(a.attnum::int4 order by a.attnum),
  array_agg((case when t.typtype = 'd' then t.typbasetype else t.oid end)::int8 order by a.attnum)
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attnum > 0 and not a.attisdropped and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by a.attrelid
"""
# What is said of columns, as far as it may classify them; one character more than is read tells that there is more.
_LABELS = f"""
select n.nspname, c.relname, a.attname, l.provider, left(l.said, {MAX_TEXT + 1})
from (
  select d.objoid, d.objsubid, '' as provider, d.description as said from pg_catalog.pg_description d
  where d.classoid = 'pg_catalog.pg_class'::regclass and d.description ~* 'hoopx:'
  union all
  select s.objoid, s.objsubid, s.provider, s.label from pg_catalog.pg_seclabel s
  where s.classoid = 'pg_catalog.pg_class'::regclass and s.label ~* '(hoopx:|masked)') l
join pg_catalog.pg_class c on c.oid = l.objoid and c.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = l.objsubid and not a.attisdropped
where l.objsubid > 0 and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname, c.relname, a.attnum
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
# Generated columns hold what their expressions make of others. Up to 14 the column depends on those, later its default.
_GENERATED = """
select a.attrelid::int8, a.attname::text, s.attname::text
from pg_catalog.pg_attribute a
left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
left join pg_catalog.pg_depend d
  on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid
  and d.refobjsubid > 0 and d.refobjsubid <> a.attnum and (
    (d.classid = 'pg_catalog.pg_class'::regclass and d.objid = a.attrelid and d.objsubid = a.attnum)
    or (d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid))
left join pg_catalog.pg_attribute s on s.attrelid = a.attrelid and s.attnum = d.refobjsubid
where a.attgenerated <> ''
"""
_NOTIFYING = """
select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname not in ('pg_catalog', 'information_schema') and p.prokind in ('f', 'p')
  and (case when l.lanname in ('sql', 'plpgsql') then pg_catalog.pg_get_functiondef(p.oid) else p.prosrc end) ~* 'notif'
limit 1
"""
_SEARCH_PATH = "select reset_val from pg_catalog.pg_settings where name = 'search_path'"
_DEFINITIONS = "select oid::int8, pg_catalog.pg_get_viewdef(oid) from pg_catalog.pg_class where oid::int8 = any(%s)"
_INHERITANCE = "select inhrelid::int8, inhparent::int8 from pg_catalog.pg_inherits"
# What the rule of each view reads; attribute 0 is the whole row.
_VIEWS = """
select distinct r.ev_class::int8, d.refobjid::int8, d.refobjsubid::int8
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
join pg_catalog.pg_namespace n on n.oid = v.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')
join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.ev_class
"""
# Reads no table: an aggregate is as good as the functions that it is made of. A function in C belongs to an extension,
# and those that run queries are known by name as dangerous.
_COMPUTES = """
(case when p.prokind = 'a' then not exists (
    select from pg_catalog.pg_aggregate g join pg_catalog.pg_proc f
    on f.oid in (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggmtransfn,
      g.aggminvtransfn, g.aggmfinalfn)
    join pg_catalog.pg_language fl on fl.oid = f.prolang
    where g.aggfnoid = p.oid and fl.lanname not in ('c', 'internal') and f.provolatile <> 'i')
  else l.lanname in ('c', 'internal') or p.provolatile = 'i' end)
"""
_FUNCTIONS = f"""
select p.proname::text, n.nspname::text, max(p.provolatile::text),
  bool_or(p.pronargs >= 1 and p.pronargs - p.pronargdefaults <= 1), bool_and({_COMPUTES})
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname <> 'pg_catalog' and (n.nspname <> 'information_schema' or p.proname !~ '^_pg_')
group by p.proname, n.nspname
"""
_FUNCTION = """
select n.nspname::text, p.proname::text, p.provolatile::text
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.oid = %s::oid
"""
_SERVER_FUNCTIONS = """
select p.proname::text, max(p.provolatile::text) from pg_catalog.pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace group by p.proname
"""
# Functions that run where no statement names them: inside of views, behind operators, casts and domains. What only
# computes is left out: extensions would otherwise make every comparison a call. So is the far side of a cast to or from
# a type of PostgreSQL's: one to text would make each `::text` a call.
_WILD = f"""
select p.oid, p.proname::text as fn, n.nspname::text as nsp, p.provolatile::text as vol
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname not in ('pg_catalog', 'information_schema') and not {_COMPUTES}
"""
# Functions of SQL and PL/pgSQL that may read these tables: their text names one, makes up queries, or calls another.
# Told are those that are declared immutable all the same, and the columns whose default, or whose domain's, another one
# makes. All texts are searched for it, so it is asked once.
_READING = f"""
with wild as ({_WILD}),
told as materialized (
  select p.oid, p.proname::text as fn, p.provolatile::text as vol,
    lower(case when p.prokind in ('f', 'p') then pg_catalog.pg_get_functiondef(p.oid) else '' end) as said
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
  where n.nspname not in ('pg_catalog', 'information_schema') and l.lanname not in ('c', 'internal')),
words(maker, word) as (
  select 0::oid, word from unnest(array['execute'] || %s::text[]) as word union select w.oid, w.fn from wild w),
reading as (
  select t.oid, t.fn, t.vol from told t where exists (
    select from words w where w.maker <> t.oid
    and case when w.word ~ '^[[:alnum:]_]+$' then t.said ~ ('\\m' || lower(w.word) || '\\M')
      else position(lower(replace(w.word, '"', '""')) in t.said) > 0 end))
select 'function', 0::int8, r.fn from reading r where r.vol = 'i'
union
select 'column', f.adrelid::int8, a.attname::text
from reading r join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = r.oid
join pg_catalog.pg_attrdef f on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
where r.vol <> 'i'
union
select 'column', a.attrelid::int8, a.attname::text
from reading r join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = r.oid
join pg_catalog.pg_attribute a on d.classid = 'pg_catalog.pg_type'::regclass and a.atttypid = d.objid
where r.vol <> 'i' and a.attnum > 0 and not a.attisdropped
"""
_HIDDEN_CALLS = f"""
with wild as ({_WILD})
select 'view', r.ev_class::int8, '', w.nsp, w.fn, w.vol
from wild w join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = w.oid
join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
union
select 'view', r.ev_class::int8, '', w.nsp, w.fn, w.vol
from wild w join pg_catalog.pg_operator o on o.oprcode = w.oid
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_operator'::regclass and d.refobjid = o.oid
join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
union
select 'operator', 0, o.oprname::text, w.nsp, w.fn, w.vol
from wild w join pg_catalog.pg_operator o on o.oprcode = w.oid
union
select 'type', 0, t.typname::text, w.nsp, w.fn, w.vol
from wild w join pg_catalog.pg_cast c on c.castfunc = w.oid
join pg_catalog.pg_type t on t.oid in (c.castsource, c.casttarget)
where t.typnamespace <> 'pg_catalog'::regnamespace
union
select 'type', 0, t.typname::text, w.nsp, w.fn, w.vol
from wild w join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = w.oid
join pg_catalog.pg_constraint k on d.classid = 'pg_catalog.pg_constraint'::regclass and d.objid = k.oid
join pg_catalog.pg_type t on t.oid = k.contypid
"""
_VOLATILITY: dict[str, Volatility] = {"i": "immutable", "s": "stable", "v": "volatile"}

Connection = psycopg.AsyncConnection[Any]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


async def read_catalog(connection: Connection, target: Target, before: Catalog | None) -> Catalog:
    """The whole catalog but for what flows through views; what never changes is taken from `before`."""
    relations = {row[0]: Relation(*row) for row in await _rows(connection, _RELATIONS)}
    labelled = _labelled(await _rows(connection, _LABELS))
    classified = await _places(connection, {**labelled, **target.classify}, relations)
    views = await _rows(connection, _VIEWS)
    layout = {oid: tuple(map(Attribute, *columns)) for oid, *columns in await _rows(connection, _COLUMNS)}
    generated = await _rows(connection, _GENERATED) if classified else []
    functions = await _rows(connection, _FUNCTIONS)
    shown_by = _views_over(classified, views, relations)
    showing = {oid for places in classified.values() for oid, _ in places} | shown_by.keys()
    names = sorted({relations[oid].name for oid in showing} | {column.table for column in classified})
    reading = await _rows(connection, _READING, names) if classified else []
    lying = frozenset(name for kind, _, name in reading if kind == "function")
    filled = [(oid, name) for kind, oid, name in reading if kind == "column"]
    inheritance = await _rows(connection, _INHERITANCE)
    hidden = await _rows(connection, _HIDDEN_CALLS) if await _rows(connection, f"{_WILD} limit 1") else []
    return Catalog(
        relations,
        _grouped((relation.name, relation) for relation in relations.values()),
        classified,
        shown_by,
        _grouped((name, _function(schema, name, kind)) for name, schema, kind, *_ in functions),
        before.server if before is not None else await _server_functions(connection),
        frozenset(name for name, _, _, takes_one, _ in functions if takes_one),
        _computing(functions) - lying,
        {oid: tuple(attribute.name for attribute in attributes) for oid, attributes in layout.items()},
        reads=_grouped((view, relation) for view, relation, _ in views),
        calls=_grouped((oid, _function(*function)) for kind, oid, _, *function in hidden if kind == "view"),
        children=_grouped((parent, child) for child, parent in inheritance),
        parents=_grouped(inheritance),
        operators=_grouped((name, _function(*function)) for kind, _, name, *function in hidden if kind == "operator"),
        types=_grouped((name, _function(*function)) for kind, _, name, *function in hidden if kind == "type"),
        labelled=labelled,
        flows=_flows(classified, generated, filled),
        generated=_grouped((oid, column) for oid, column, _ in generated),
        layout=layout if classified else {},
        notifies=bool(classified and await _rows(connection, _NOTIFYING)),
    )


async def read_definitions(connection: Connection, views: Iterable[int]) -> dict[int, str]:
    """The queries of views, every name in them with its schema where it is not in `pg_catalog`."""
    return dict(await _rows(connection, _DEFINITIONS, list(views)))


async def read_function(connection: Connection, oid: int) -> FunctionName | None:
    found = await _rows(connection, _FUNCTION, oid)
    return _function(*found[0]) if found else None


async def read_search_path(connection: Connection) -> str:
    ((path,),) = await _rows(connection, _SEARCH_PATH)
    return str(path)


def _flows(
    classified: dict[ColumnName, tuple[tuple[int, int], ...]],
    generated: list[tuple[Any, ...]],
    filled: list[tuple[int, str]],
) -> dict[int, dict[str, Flow]]:
    """What flows into the columns of tables: the classified ones, what is generated from those, and defaults."""
    found: dict[int, dict[str, Flow]] = {}
    for column, places in classified.items():
        for oid, _ in places:
            flows = found.setdefault(oid, {})
            flows[column.column] = flows.get(column.column, NOTHING) | Flow(frozenset({column}), is_plain=True)
    for oid, made, source in generated:
        if source in found.get(oid, {}):
            found[oid][made] = (found[oid].get(made, NOTHING) | found[oid][source]).derived
    for oid, name in filled:
        found.setdefault(oid, {})[name] = ANYTHING
    return found


def _labelled(said: list[tuple[Any, ...]]) -> dict[ColumnName, str]:
    of_column = _grouped((ColumnName(*column), Label(provider, text)) for *column, provider, text in said)
    found = ((column, class_of(labels)) for column, labels in of_column.items())
    return {column: kind for column, kind in found if kind is not None}


async def _server_functions(connection: Connection) -> dict[str, Volatility]:
    return {name: _VOLATILITY[kind] for name, kind in await _rows(connection, _SERVER_FUNCTIONS)}


def _function(schema: str, name: str, volatility: str) -> FunctionName:
    return FunctionName(schema, name, _VOLATILITY[volatility])


def _computing(functions: list[tuple[Any, ...]]) -> frozenset[str]:
    """Names whose every function, in whatever schema, only computes."""
    others = {name for name, _, _, _, computes in functions if not computes}
    return frozenset(name for name, *_ in functions if name not in others)


def _grouped(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, tuple[_Value, ...]]:
    found: dict[_Key, dict[_Value, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}


async def _rows(connection: Connection, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(text.encode(), parameters or None)
    return await cursor.fetchall()


async def _places(
    connection: Connection, columns: Iterable[ColumnName], relations: Container[int]
) -> dict[ColumnName, tuple[tuple[int, int], ...]]:
    wanted = list(columns)
    if not wanted:
        return {}
    names = ([c.schema for c in wanted], [c.table for c in wanted], [c.column for c in wanted])
    found: dict[ColumnName, list[tuple[int, int]]] = {column: [] for column in wanted}
    for schema, table, column, oid, attribute in await _rows(connection, _PLACES, *names):
        # Somebody's temporary table may inherit from this one. What is not known to be harmless is hidden anyway.
        if oid in relations:
            found[ColumnName(schema, table, column)].append((oid, attribute))
    return {column: tuple(places) for column, places in found.items()}


def _views_over(
    classified: dict[ColumnName, tuple[tuple[int, int], ...]],
    reads: list[tuple[Any, ...]],
    relations: dict[int, Relation],
) -> dict[int, frozenset[ColumnName]]:
    """Follow views over views until nothing changes. A view that reads any part of a tainted view is tainted."""
    # A database may label thousands of columns: they are looked up by place, attribute 0 standing for all of a table.
    at: dict[tuple[int, int], set[ColumnName]] = {}
    for column, places in classified.items():
        for place in ((oid, number) for oid, attribute in places for number in (0, attribute)):
            at.setdefault(place, set()).add(column)
    shows: dict[int, set[ColumnName]] = {}
    changed = True
    while changed:
        changed = False
        for view, relation, attribute in reads:
            columns = shows.get(relation, set()) | at.get((relation, attribute), set())
            known = shows.setdefault(view, set())
            if not columns <= known:
                known |= columns
                changed = True
    return {view: frozenset(columns) for view, columns in shows.items() if columns and view in relations}
