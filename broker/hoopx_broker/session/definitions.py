"""Whether what a statement rests on is still defined as it was: views, rules, triggers, cascades, functions.

Facts name what a statement touches. What a trigger or a function does is in no fact, so the rows of the server's
catalog that define it are compared: each has another `xmin` once it was changed. Functions that are called by other
functions are not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from hoopx_broker.terms.facts import StatementFacts

_DEFINED = """
with
touched as (
  select c.oid, c.relkind, c.relrowsecurity, c.relnamespace from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join unnest(%s::text[], %s::text[]) as named(nsp, rel)
  on named.rel = c.relname and (named.nsp = n.nspname or named.nsp = '')),
fired as (
  select t.oid, t.xmin, t.tgenabled::text as how, t.tgfoid from pg_catalog.pg_trigger t
  where t.tgrelid in (select oid from touched)),
called as (
  select p.oid, p.xmin from pg_catalog.pg_proc p where p.oid in (select tgfoid from fired)
  union
  select p.oid, p.xmin from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join unnest(%s::text[], %s::text[]) as named(nsp, fn)
  on named.fn = p.proname and (named.nsp = n.nspname or named.nsp = '')),
found(what) as (
  select concat_ws('.', 'c', oid, relkind, relrowsecurity, relnamespace) from touched
  union all select concat_ws('.', 'r', oid, xmin, ev_enabled) from pg_catalog.pg_rewrite
    where ev_class in (select oid from touched)
  union all select concat_ws('.', 't', oid, xmin, how) from fired
  union all select concat_ws('.', 'f', oid, xmin) from called
  union all select concat_ws('.', 'd', oid, xmin) from pg_catalog.pg_attrdef
    where adrelid in (select oid from touched)
  union all select concat_ws('.', 'p', oid, xmin) from pg_catalog.pg_policy
    where polrelid in (select oid from touched)
  union all select concat_ws('.', 'k', oid, xmin) from pg_catalog.pg_constraint
    where conrelid in (select oid from touched) or confrelid in (select oid from touched))
select coalesce(md5(string_agg(what, ',' order by what)), '') from found
"""


async def read_definitions_of(connection: psycopg.AsyncConnection[Any], facts: Sequence[StatementFacts]) -> str:
    """Equal for as long as nothing is defined otherwise. Raises `psycopg.Error`."""
    tables = sorted({(use.schema or "", use.name) for each in facts for use in each.tables})
    functions = sorted({(name.schema or "", name.name) for each in facts for name in each.functions})
    if not tables and not functions:
        return ""
    named = ([schema for schema, _ in tables], [name for _, name in tables])
    called = ([schema for schema, _ in functions], [name for _, name in functions])
    cursor = await connection.execute(_DEFINED.encode(), (*named, *called))
    (digest,) = (await cursor.fetchone()) or ("",)
    return str(digest)
