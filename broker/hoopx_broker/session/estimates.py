"""How many rows the database expects a statement to touch, by a plain EXPLAIN that can run nothing.

A planner runs what it can beforehand: functions of constants, comparisons with its statistics, the input of types. So
only statements are planned that are made of PostgreSQL's own functions, operators and types, over tables and views
that are made of these too. All others have no estimate, and those who decide are told so.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import generators, pq, sql

from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.session.plea import Plea
from hoopx_broker.terms.facts import StatementFacts

# One that takes longer to plan is not worth the wait, and may be meant to take long.
PLAN_MILLISECONDS = 1_000
_PLANNED = frozenset({"select", "insert", "update", "delete"})
_OWN = "it uses functions, operators or types of the database's own, which planning might run"
_TELLING = "it would tell of values that are masked in this session"
# What of these relations is not PostgreSQL's own: what their rules, defaults, policies, indexes and constraints depend
# on, the types of their columns but for enumerations, and tables that are elsewhere.
_FOREIGN = """
with
touched as (
  select c.oid, c.relkind from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join unnest(%s::text[], %s::text[]) as named(nsp, rel) on named.rel = c.relname and named.nsp = n.nspname),
parts(classid, objid) as (
  select 'pg_catalog.pg_class'::regclass::oid, oid from touched
  union all select 'pg_catalog.pg_class'::regclass, indexrelid from pg_catalog.pg_index
    where indrelid in (select oid from touched)
  union all select 'pg_catalog.pg_rewrite'::regclass, oid from pg_catalog.pg_rewrite
    where ev_class in (select oid from touched)
  union all select 'pg_catalog.pg_attrdef'::regclass, oid from pg_catalog.pg_attrdef
    where adrelid in (select oid from touched)
  union all select 'pg_catalog.pg_policy'::regclass, oid from pg_catalog.pg_policy
    where polrelid in (select oid from touched)
  union all select 'pg_catalog.pg_constraint'::regclass, oid from pg_catalog.pg_constraint
    where conrelid in (select oid from touched)
  union all select 'pg_catalog.pg_statistic_ext'::regclass, oid from pg_catalog.pg_statistic_ext
    where stxrelid in (select oid from touched))
select
  (select count(*) from touched),
  exists (select from touched where relkind not in ('r', 'p', 'v', 'm')),
  exists (
    select from parts join pg_catalog.pg_depend d on d.classid = parts.classid and d.objid = parts.objid
    where d.deptype = 'n' and case d.refclassid
      when 'pg_catalog.pg_proc'::regclass then not exists (
        select from pg_catalog.pg_proc p where p.oid = d.refobjid and p.pronamespace = 'pg_catalog'::regnamespace)
      when 'pg_catalog.pg_operator'::regclass then not exists (
        select from pg_catalog.pg_operator o where o.oid = d.refobjid and o.oprnamespace = 'pg_catalog'::regnamespace)
      when 'pg_catalog.pg_type'::regclass then not exists (
        select from pg_catalog.pg_type t where t.oid = d.refobjid
        and (t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'e'))
      else d.refclassid in ('pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass) end)
"""


class Estimate(Struct, frozen=True):
    """`unknown` says why there are no `rows`."""

    rows: float | None = None
    unknown: str = ""


async def estimate(connection: psycopg.AsyncConnection[Any], plea: Plea, canonical: str) -> Estimate:
    """In a transaction that may write nothing and is rolled back. Raises `psycopg.Error` where the connection fails."""
    why = _TELLING if plea.reveals else _why_not(plea.facts)
    if why or plea.path is None or not canonical:
        return Estimate(unknown=why or "it is not sure what its names mean")
    if why := await _why_not_these(connection, plea.facts[0], plea.asked.types):
        return Estimate(unknown=why)
    await connection.execute("BEGIN READ ONLY")
    try:
        await _prepare(connection, plea.path)
        return Estimate(await _explain(connection, plea, canonical))
    except psycopg.errors.OperationalError:
        raise
    except (psycopg.Error, ValueError, LookupError, TypeError) as error:
        return Estimate(unknown=f"the database did not plan it ({getattr(error, 'sqlstate', None) or 'no plan'})")
    finally:
        if not connection.closed:
            await connection.execute("ROLLBACK")


def _why_not(facts: tuple[StatementFacts, ...]) -> str:
    if len(facts) != 1:
        return "it is more than one statement"
    statement = facts[0]
    if not statement.kinds <= _PLANNED or statement.dangerous or statement.settings:
        return "it is no plain reading or changing of rows"
    is_own = all(name.schema in (None, "pg_catalog") and is_harmless(name) for name in statement.functions)
    if statement.doubtful or "call" in statement.actions or not is_own:
        return _OWN
    return "" if all(use.schema for use in statement.tables) else "it is not sure what its names mean"


async def _why_not_these(
    connection: psycopg.AsyncConnection[Any], statement: StatementFacts, given: tuple[int, ...]
) -> str:
    """`given` are the types of its parameters, as far as its client names them."""
    tables = sorted({(use.schema or "", use.name) for use in statement.tables})
    names = ([schema for schema, _ in tables], [name for _, name in tables])
    cursor = await connection.execute(_FOREIGN.encode(), names)
    found, is_elsewhere, is_own = (await cursor.fetchone()) or (0, True, True)
    if found != len(tables) or is_elsewhere:
        return "it uses what is no table or view of this database"
    if is_own:
        return _OWN
    # What is used where no statement names it: any operator, cast or function that its path finds before the server's.
    cursor = await connection.execute(_SHADOWED, [list(given), list(statement.types), list(statement.operators)])
    (is_shadowed,) = (await cursor.fetchone()) or (True,)
    return _OWN if is_shadowed else ""


# Types of the database's own that parameters are given, and operators and casts of it that have a name that the
# statement uses: PostgreSQL may choose them by type.
_SHADOWED = """
select exists (select from pg_catalog.pg_type t where t.oid = any(%s::oid[])
    and t.typnamespace <> 'pg_catalog'::regnamespace)
  or exists (select from pg_catalog.pg_type t where t.typname = any(%s::text[])
    and t.typnamespace <> 'pg_catalog'::regnamespace)
  or exists (select from pg_catalog.pg_operator o where o.oprname = any(%s::text[])
    and o.oprnamespace <> 'pg_catalog'::regnamespace)
  or exists (select from pg_catalog.pg_cast c join pg_catalog.pg_proc p on p.oid = c.castfunc
    where p.pronamespace <> 'pg_catalog'::regnamespace and c.castcontext <> 'e')
"""


async def _prepare(connection: psycopg.AsyncConnection[Any], path: tuple[str, ...]) -> None:
    # The server's own come first whatever the path says, and nothing of the session's is here.
    names = sql.SQL(", ").join(sql.Literal(name) for name in path) if path else sql.Literal("")
    await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(names))
    await connection.execute(f"SET LOCAL statement_timeout = {PLAN_MILLISECONDS}")


async def _explain(connection: psycopg.AsyncConnection[Any], plea: Plea, canonical: str) -> float:
    """By the protocol's Parse, which takes one statement alone, with the parameters that it would run with."""
    asked = plea.asked
    types = [asked.types[at] if at < len(asked.types) else 0 for at in range(len(asked.parameters))]
    formats = [asked.formats[at] if at < len(asked.formats) else _common(asked.formats) for at in range(len(types))]
    text = f"EXPLAIN (FORMAT JSON) {canonical}".encode()
    connection.pgconn.send_query_params(text, asked.parameters, types, formats)
    (result,) = await connection.wait(generators.execute(connection.pgconn))
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(result)
    (planned,) = json.loads(result.get_value(0, 0) or b"[]")
    return _rows(planned["Plan"])


def _common(formats: tuple[int, ...]) -> int:
    return formats[0] if len(formats) == 1 else 0


def _rows(plan: dict[str, Any]) -> float:
    """Of what changes rows, how many come to it."""
    if plan["Node Type"] != "ModifyTable":
        return float(plan["Plan Rows"])
    return sum(float(each["Plan Rows"]) for each in plan["Plans"] if each["Parent Relationship"] in ("Outer", "Member"))
