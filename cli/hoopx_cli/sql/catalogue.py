"""What there is in a database, as this session may see it: asked by ordinary statements, judged and recorded."""

from __future__ import annotations

import re

from msgspec import Struct

# Names for TAB; nobody chooses from more.
MAX_NAMES = 20_000

NAMES = f"""
select n.nspname, c.relname, a.attname, pg_catalog.pg_table_is_visible(c.oid)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
order by n.nspname, c.relname, a.attnum
limit {MAX_NAMES}
"""

_KINDS = """case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
  when 'm' then 'materialized view' when 'f' then 'foreign table' end"""

_RELATIONS = f"""
select n.nspname as "schema", c.relname as "name", {_KINDS} as "kind", pg_catalog.pg_get_userbyid(c.relowner) as "owner"
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = any($1::text[]::"char"[]) and n.nspname like $2 and c.relname like $3
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by 1, 2
"""

SCHEMAS = """
select n.nspname as "schema", pg_catalog.pg_get_userbyid(n.nspowner) as "owner"
from pg_catalog.pg_namespace n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname like $1
order by 1
"""

COLUMNS = """
select a.attname as "column", pg_catalog.format_type(a.atttypid, a.atttypmod) as "type",
  case when a.attnotnull then 'not null' else '' end as "nullable",
  coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') as "default"
from pg_catalog.pg_attribute a
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

INDEXES = """
select pg_catalog.pg_get_indexdef(i.indexrelid)
from pg_catalog.pg_index i
where i.indrelid = $1::oid
order by i.indisprimary desc, i.indexrelid
"""

CONSTRAINTS = """
select c.conname, pg_catalog.pg_get_constraintdef(c.oid)
from pg_catalog.pg_constraint c
where c.conrelid = $1::oid and c.contype in ('c', 'f')
order by 1
"""

FOUND = f"""
select c.oid, n.nspname, c.relname, {_KINDS}
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname = $1
  and case when $2 = '' then pg_catalog.pg_table_is_visible(c.oid) else n.nspname = $2 end
"""


class Listing(Struct, frozen=True):
    """A statement with its parameters."""

    text: str
    parameters: tuple[str, ...]


def relations(kinds: str, pattern: str) -> Listing:
    """`kinds` as in `pg_class.relkind`; the pattern has psql's `*` and `?`, and a schema before a dot."""
    schema, name = name_of(pattern or "*")
    return Listing(_RELATIONS, ("{" + ",".join(kinds) + "}", like(schema or "*"), like(name)))


def schemas(pattern: str) -> Listing:
    return Listing(SCHEMAS, (like(name_of(pattern or "*")[1]),))


def name_of(text: str) -> tuple[str, str]:
    """Schema (empty where none is named) and name, as SQL reads them: small letters unless in quotes."""
    parts = re.findall(r'"(?:[^"]|"")*"|[^".]+', text)
    read = [part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in parts] or [""]
    return (read[-2] if len(read) > 1 else ""), read[-1]


def like(pattern: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
