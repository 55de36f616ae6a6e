"""Ways around policy and masks, from end to end, beside as many ordinary statements that must not be in the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.journeys.stage import CAST, Stage, running
from tests.peers import clients

DSN = r"postgresql://\S+"
RAW = ("@example.com", "000-12-", "4000-0000-")

# On a login that may do everything in the database, so that nothing but policy holds. `marked` tells in the server's
# log whether a statement arrived.
FORBIDDEN = {
    "DROP TABLE /* marked */ orders": "structure",
    "dRoP/**/tAbLe/* marked */orders": "structure, written oddly",
    "SELECT 1; DROP TABLE orders -- marked": "a second statement",
    "/* /* */ DROP TABLE orders */ DROP TABLE orders -- marked": "nested comments",
    "SELECT $a$ $b$ $a$; DROP TABLE orders -- marked $a$": "dollar tags",
    "SELECT E'\\'; DROP TABLE orders -- marked '; DROP TABLE orders": "an escaped quote",
    'DROP TABLE U&"\\006frders" /* marked */': "an escaped name",
    "EXPLAIN ANALYZE DELETE FROM orders /* marked */ WHERE id = 1": "a write that is explained runs",
    "WITH w AS (DELETE FROM orders /* marked */ WHERE id = 1 RETURNING 1) SELECT 1": "a write inside of a read",
    "MERGE INTO payments /* marked */ USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE": "a write without bounds",
    "COPY (DELETE FROM orders /* marked */ WHERE id = 1 RETURNING 1) TO STDOUT": "a write inside of a COPY",
    "PREPARE p AS DELETE FROM orders /* marked */ WHERE id = 1": "a write for later",
    "DO $$ BEGIN DELETE FROM orders /* marked */; END $$": "nobody can judge a block",
    "SELECT 1 INTO marked": "a table by a read",
    "SELECT * FROM orders FOR UPDATE -- marked": "a lock",
    "LOCK TABLE orders -- marked": "a lock",
    "SELECT nextval('orders_id_seq') -- marked": "a sequence is written to",
    "SELECT ('orders_id_seq'::regclass).nextval -- marked": "a sequence by a dot",
    "SELECT touch_order(1) -- marked": "a function of the target's own may write",
    "SELECT (1).touch_order -- marked": "the same by a dot",
    "SELECT count(*) OVER (ORDER BY touch_order(1)) -- marked": "the same in a window",
    "SELECT 1 LIMIT touch_order(1) -- marked": "the same in a LIMIT",
    "SELECT * FROM ROWS FROM (touch_order(1)) -- marked": "the same in FROM",
    "SELECT array_agg(1) FILTER (WHERE touch_order(1) > 0) -- marked": "the same in a FILTER",
    "DECLARE c CURSOR WITH HOLD FOR SELECT touch_order(1) -- marked": "the same by a cursor",
    "SELECT ('PG_VERSION'::text).pg_read_file -- marked": "a file by a dot",
    "SELECT ('x'::text).pg_backup_start -- marked": "a backup by a dot, its other argument by default",
    "SELECT ('x'::name).pg_create_physical_replication_slot -- marked": "a slot that fills the disk, by a dot",
    "SELECT (1::oid).pg_stat_reset_single_table_counters -- marked": "the server's counters, by a dot",
    "SELECT U&\"pg\\005fread_file\"('PG_VERSION') -- marked": "a file, its function escaped",
    "COPY (SELECT 1) TO PROGRAM 'true # marked'": "a program",
    "SELECT lo_from_bytea(0, 'marked')": "a large object",
    "SELECT query_to_xml('DELETE FROM orders', true, true, 'marked')": "a query as a text",
    "SELECT rolpassword FROM pg_authid -- marked": "password hashes",
    "SELECT subconninfo FROM pg_subscription -- marked": "a password in a connection string",
    "SELECT s.to_json FROM pg_subscription s -- marked": "the same as a row",
    "SET /* marked */ ROLE postgres": "another role",
    "SELECT set_config('ro' || 'le', 'postgres', false) -- marked": "the same, computed",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'role' -- marked": "the same, by the catalog",
    "UPDATE pg_settings SET setting = 'x' WHERE name = 'role' -- marked": "the same, by a rule of the catalog",
    "BEGIN READ WRITE -- marked": "leaving read-only mode",
    "SET TRANSACTION READ WRITE -- marked": "leaving read-only mode",
    "SET search_path TO marked, pg_catalog": "what the server's own names mean",
    "SELECT set_config('search_path', 'mar' || 'ked', false)": "what names mean, computed",
    "SET standard_conforming_strings TO off -- marked": "how strings are read",
    "SET client_encoding TO 'SJIS' -- marked": "how bytes are read",
    "SET session_replication_role TO replica -- marked": "triggers off",
    "LOAD 'auto_explain' -- marked": "code into the server",
    "PREPARE TRANSACTION 'marked'": "what outlives the session",
    "ALTER SYSTEM SET work_mem TO '1MB' -- marked": "the server's configuration",
    "SELECT 1 -- marked \r; DROP TABLE orders": "a comment that ends at a carriage return",
    "SELECT " + "ARRAY[" * 9_000 + "'marked'" + "]" * 9_000: "too deep",
    "SELECT 'marked'" + " || 'x'" * 90_000: "a chain that would kill the parser",
}

ORDINARY = [
    "SELECT item FROM orders WHERE id = 1",
    "SELECT 'DROP TABLE orders' AS text, $$ ; DELETE FROM orders $$, E'it\\'s', U&'\\0041'",
    "SELECT 1 /* DROP TABLE /* nested */ orders */; SELECT 2 -- ; DROP TABLE orders",
    'SELECT id AS "drop table", item AS "delete" FROM orders LIMIT 1',
    "EXPLAIN ANALYZE SELECT count(*) FROM orders",
    "WITH w AS (SELECT id FROM orders) SELECT count(*) FROM w",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
    "COPY (SELECT id FROM orders LIMIT 1) TO STDOUT",
    "PREPARE ordinary AS SELECT item FROM orders WHERE id = $1; EXECUTE ordinary(1); DEALLOCATE ordinary",
    "BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders; FETCH 2 FROM c; MOVE 1 FROM c; CLOSE c; COMMIT",
    "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE; COMMIT",
    "SELECT rank() OVER (PARTITION BY quantity ORDER BY id) FROM orders LIMIT 1",
    "SELECT array_agg(id) FILTER (WHERE id > 3), count(DISTINCT item) FROM orders",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b'])) AS t(n, s)",
    "SELECT x.* FROM json_to_recordset('[{\"a\": 1}]') AS x(a int)",
    "SELECT (pg_identify_object('pg_class'::regclass, 'orders'::regclass, 0)).identity",
    "SELECT (information_schema._pg_expandarray(ARRAY[1, 2])).n",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "SELECT count(*) FROM pg_subscription",
    "SELECT rolname, rolpassword FROM pg_roles LIMIT 1",
    "SELECT pg_get_viewdef('customer_contacts'::regclass), pg_get_functiondef('touch_order'::regproc)",
    "SELECT pg_size_pretty(pg_total_relation_size('orders')), pg_relation_filenode('orders')",
    "SELECT set_config('TimeZone', 'UTC', false), current_setting('server_version_num')",
    "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings"
    " WHERE name = 'restrict_nonsystem_relation_kind'",
    "SELECT setting FROM pg_settings WHERE name = 'max_connections'",
    "SET search_path TO ''; RESET search_path",
    "SELECT pg_catalog.set_config('search_path', '', false); RESET search_path",
    "SET search_path TO public; RESET search_path",
    "SET search_path TO other, public; RESET search_path",
    "SELECT pg_export_snapshot()",
    "SET standard_conforming_strings TO on",
    "SET client_encoding TO 'UTF8'; SET NAMES 'utf8'",
    "SET extra_float_digits TO 3; SET application_name TO 'PostgreSQL JDBC Driver'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT 1; ROLLBACK",
    "SET row_security TO off; RESET row_security",
    "SHOW ALL",
    "DISCARD ALL",
    "SELECT pg_try_advisory_lock(7), pg_advisory_unlock(7)",
    "LISTEN mine; NOTIFY mine, 'hello'; UNLISTEN *",
    "SELECT now(), random(), gen_random_uuid(), txid_current_if_assigned()",
    "VALUES (1), (2)",
    "TABLE analytics_daily",
    "SELECT " + "(" * 50 + "1" + ")" * 50,
    "SELECT 'x'" + " || 'x'" * 300,
    "SELECT count(*) FROM orders WHERE id IN (" + ", ".join(map(str, range(2_000))) + ")",
]


@contextmanager
def connected(stage: Stage, target: str, who: str = "ann") -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with (
        running(stage, "connect", target, who=who) as command,
        psycopg.connect(command.says(DSN).group(0), autocommit=True) as connection,
    ):
        yield connection


def heard(connection: psycopg.Connection[tuple[object, ...]], text: str) -> str:
    """All that comes back for a message with these statements, row by row; raises what the server says."""
    if text.startswith("COPY"):
        with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
            return repr([bytes(block) for block in copy])
    cursor = connection.execute(text.encode())
    rows: list[object] = []
    while True:
        rows += cursor.fetchall() if cursor.description is not None else []
        if not cursor.nextset():
            return repr(rows)


def test_what_the_shipped_rules_forbid_never_reaches_a_server_where_nothing_else_would_stop_it(stage: Stage) -> None:
    passed = []
    before = stage.postgres.log_position()
    with connected(stage, "shop-fixed") as connection:
        for sql, why in FORBIDDEN.items():
            try:
                heard(connection, sql)
                passed.append(why)
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.StatementTooComplex):
                pass
        assert connection.execute("SELECT 'alive'").fetchone() == ("alive",)
    assert passed == []
    assert "marked" not in stage.postgres.log(before)


def test_ordinary_statements_that_look_like_those_are_not_in_the_way(stage: Stage) -> None:
    stopped = []
    for target in ("shop-prod", "shop-fixed"):
        with connected(stage, target) as connection:
            for sql in ORDINARY:
                try:
                    heard(connection, sql)
                except psycopg.Error as error:
                    stopped.append((target, sql[:80], str(error)))
    assert stopped == []


# Each would show a hidden value, now or by what it keeps; `;;` parts messages.
LEAKS = [
    "SELECT c.to_json FROM customers c LIMIT 1",
    "SELECT 1, public.customers.quote_literal FROM public.customers LIMIT 1",
    "SELECT (c::customers).ssn, c.record_out FROM customers c LIMIT 1",
    "SELECT x.y::text FROM (SELECT c AS y FROM customers c) x LIMIT 1",
    "SELECT quote_ident(ssn)::regclass FROM customers",
    "SELECT current_setting(email) FROM customers",
    "SELECT v FROM customers c, LATERAL json_each_text(row_to_json(c)) AS j(k, v)",
    "SELECT max(name) FROM (SELECT ssn FROM customers) AS x(name)",
    "SELECT u FROM customers JOIN orders USING (id) AS u LIMIT 1",
    "PREPARE p AS SELECT email AS x FROM customers;; CREATE TEMP TABLE t AS EXECUTE p;; SELECT x || '' FROM t",
    "DO $$ BEGIN UPDATE orders SET item = (SELECT ssn FROM customers LIMIT 1) WHERE id = 7; END $$;;"
    " SELECT item FROM orders WHERE id = 7",
    "CREATE FUNCTION pg_temp.leak() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM customers LIMIT 1';;"
    " UPDATE orders SET item = pg_temp.leak() WHERE id = 7;; SELECT item FROM orders WHERE id = 7",
    "UPDATE orders SET item = c.ssn FROM customers c WHERE c.id = 7 AND orders.id = 7;;"
    " SELECT item FROM orders WHERE id = 7",
    "SELECT set_config('application_name', (SELECT ssn FROM customers LIMIT 1), false);; SHOW application_name",
    "LISTEN way;; SELECT pg_notify('way', ssn) FROM customers LIMIT 1",
    "SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'customers'",
]


@pytest.mark.parametrize("target", ["shop-prod", "shop-dev"])
def test_no_hidden_value_comes_out_by_one_statement_or_several(stage: Stage, target: str) -> None:
    leaked = []
    with connected(stage, target) as connection:
        for way in LEAKS:
            seen = []
            for part in way.split(";;"):
                try:
                    seen.append(heard(connection, part.strip()))
                except psycopg.Error as error:
                    seen.append(f"{error} {error.diag.message_detail}")
            seen += [told.payload for told in connection.notifies(timeout=0)]
            if any(raw in text for raw in RAW for text in seen):
                leaked.append(way)
    assert leaked == []


def test_masks_leave_ordinary_writes_and_their_errors_alone(stage: Stage) -> None:
    with connected(stage, "shop-dev") as connection:
        for sql in (
            "UPDATE orders SET item = item || '' WHERE id = 1",
            "UPDATE orders SET item = md5(item) WHERE id = 0",
            "INSERT INTO orders (customer_id, item) SELECT 1, gen_random_uuid()::text WHERE false",
            "CREATE TEMP TABLE mine AS SELECT item FROM orders",
            "MERGE INTO orders o USING (SELECT 0 AS id) s ON o.id = s.id WHEN MATCHED THEN DELETE",
        ):
            heard(connection, sql)
        with pytest.raises(psycopg.errors.UndefinedColumn, match="emial"):
            heard(connection, "SELECT emial FROM customers")


def test_an_agent_reads_analytics_and_nothing_else(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token says that it is a job; that it is in the group `agents` is enough."""
    monkeypatch.setitem(CAST, "robot", ("agents",))
    with connected(stage, "shop-prod", who="robot") as connection:
        assert "2026" in heard(connection, "SELECT day FROM analytics_daily LIMIT 1")
        for sql in (
            "SELECT name FROM customers",
            "SELECT id FROM orders",
            "SELECT a.day FROM analytics_daily a, orders",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="agents-analytics-only"):
                heard(connection, sql)


def test_pg_dump_takes_the_structure_of_a_prod_database(stage: Stage) -> None:
    dumped = stage.exec("shop-prod", ["pg_dump", "--schema-only"]).fine().out
    assert "CREATE TABLE public.customers" in dumped
    assert "CREATE VIEW public.customer_contacts" in dumped


def test_pg_dump_takes_no_hidden_value(stage: Stage) -> None:
    outcome = stage.exec("shop-prod", ["pg_dump", "--data-only"])
    assert not any(raw in outcome.out + outcome.err for raw in RAW)


def test_another_psql_trick_with_backslash_and_semicolon_is_one_message_of_many_statements(stage: Stage) -> None:
    outcome = stage.exec("shop-fixed", clients.psql(), stdin="SELECT 1 \\; DROP TABLE orders \\; SELECT 2 ;\n")
    assert "no-ddl-in-prod" in outcome.err
    assert stage.postgres.sql("SELECT count(*) FROM orders") != []
