"""What is written down about PostgreSQL's own functions, held against the catalogs of real servers."""

from __future__ import annotations

from pathlib import Path

from hoopx_broker.policy.facts import functions
from hoopx_broker.policy.facts.functions import danger, is_called_by_dot, takes_rows
from tests.peers.postgres import Postgres

# Functions that a dot can call, since one argument is enough; those of internal types nobody can call at all.
CALLED_BY_DOT = """
SELECT p.proname::text, bool_or(p.proargtypes[0] IN ('record'::regtype, 'anyelement'::regtype, '"any"'::regtype,
  'anynonarray'::regtype, to_regtype('anycompatible'), to_regtype('anycompatiblenonarray')))
FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
  AND NOT 'internal'::regtype::oid = ANY (p.proargtypes::oid[])
  AND NOT 'cstring'::regtype::oid = ANY (p.proargtypes::oid[])
GROUP BY p.proname
"""
VOLATILE = (
    "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'"
)
# They give a number about a row, nothing in it; and `rank` is a good name for a column.
ONLY_NUMBERS = {"cume_dist", "dense_rank", "percent_rank", "pg_column_toast_chunk_id", "rank"}


def test_what_is_listed_as_only_computing_is_volatile_on_no_version(each_postgres: Postgres) -> None:
    listed = set(Path(functions.__file__).with_name("harmless.txt").read_text().split())
    found = each_postgres.sql(VOLATILE)
    # The server called `timezone(text, timetz)` volatile until 15, though it reads no more than the clock.
    assert {name for (name,) in found} & listed <= {"timezone"}


def test_every_dangerous_function_that_a_dot_can_call_is_known(each_postgres: Postgres) -> None:
    callable_by_dot = {name for name, _ in each_postgres.sql(CALLED_BY_DOT)}
    assert {name for name in callable_by_dot if danger(name) and not is_called_by_dot(name)} == set()


def test_every_function_of_rows_that_a_dot_can_call_is_known(each_postgres: Postgres) -> None:
    of_rows = {name for name, is_of_rows in each_postgres.sql(CALLED_BY_DOT) if is_of_rows}
    assert {name for name in of_rows if not takes_rows(name)} <= ONLY_NUMBERS
