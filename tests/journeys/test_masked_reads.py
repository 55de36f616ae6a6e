"""Classified columns stay hidden from those without the right to see them, whichever client asks and however."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.stage import Stage
from tests.peers import clients, found

TARGET = "shop-prod"
RAW = ("person1@example.com", "000-12-0001")


def test_psql_shows_what_is_open_and_hides_what_is_classified(stage: Stage) -> None:
    seen = stage.psql(TARGET, "SELECT name, email, ssn FROM customers WHERE id = 1").fine().out
    assert seen.startswith("Ann Example 1|")
    assert not any(raw in seen for raw in RAW)


def test_a_dba_sees_the_same_row_raw(stage: Stage) -> None:
    seen = stage.psql(TARGET, "SELECT email, ssn FROM customers WHERE id = 1", who="dora").fine().out
    assert seen == "|".join(RAW) + "\n"


# Every way out that a classified value might take. Masked or denied, both are fine: raw is not.
WAYS_OUT = [
    "SELECT * FROM customers WHERE id = 1",
    "SELECT email AS innocent FROM customers WHERE id = 1",
    "SELECT upper(email) || ssn FROM customers WHERE id = 1",
    "SELECT email::varchar FROM customers WHERE id = 1",
    "SELECT substr(email, 1, 8), substr(email, 9) FROM customers WHERE id = 1",
    "SELECT reverse(email) FROM customers WHERE id = 1",
    "SELECT c FROM customers c WHERE id = 1",
    "SELECT c::text FROM customers c WHERE id = 1",
    "SELECT (c).email FROM customers c WHERE id = 1",
    "SELECT email(c) FROM customers c WHERE id = 1",
    "SELECT row_to_json(c) FROM customers c WHERE id = 1",
    "SELECT to_jsonb(c) ->> 'email' FROM customers c WHERE id = 1",
    "SELECT array_agg(email ORDER BY id) FROM customers WHERE id = 1",
    "SELECT string_agg(email, ',') FROM customers WHERE id = 1",
    "SELECT min(email) FROM customers",
    "WITH c AS (SELECT email AS e FROM customers WHERE id = 1) SELECT e FROM c",
    "SELECT (SELECT email FROM customers WHERE id = 1)",
    "SELECT 'x' AS e WHERE false UNION ALL SELECT email FROM customers WHERE id = 1",
    "SELECT e.email FROM orders o, LATERAL (SELECT email FROM customers WHERE id = o.customer_id) e LIMIT 1",
    "TABLE customers",
    "SELECT * FROM customer_contacts WHERE id = 1",
    "SELECT email FROM customer_contacts WHERE id = 1",
    "COPY (SELECT email, ssn FROM customers WHERE id = 1) TO STDOUT",
    "COPY customers TO STDOUT",
    "BEGIN; DECLARE c CURSOR FOR SELECT email, ssn FROM customers WHERE id = 1; FETCH ALL FROM c; COMMIT",
    "PREPARE p AS SELECT email, ssn FROM customers WHERE id = 1; EXECUTE p",
    "SELECT 1; SELECT email, ssn FROM customers WHERE id = 1",
    "SELECT email::integer FROM customers WHERE id = 1",
    "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'customers'",
    "SELECT query_to_xml('SELECT email, ssn FROM customers WHERE id = 1', true, false, '')",
    "SELECT v FROM (VALUES ((SELECT email FROM customers WHERE id = 1))) t(v)",
    "SELECT CASE WHEN id = 1 THEN email END FROM customers WHERE id = 1",
    "SELECT json_agg(x) FROM (SELECT * FROM customers WHERE id = 1) x",
    "SELECT encode(email::bytea, 'escape') FROM customers WHERE id = 1",
]


@pytest.mark.parametrize("sql", WAYS_OUT)
def test_no_way_out_carries_a_raw_value(stage: Stage, sql: str) -> None:
    outcome = stage.psql(TARGET, sql)
    seen = outcome.out + outcome.err.replace(sql, "")
    for raw in (*RAW, RAW[0].upper(), RAW[0][::-1]):
        assert raw not in seen


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_psycopg_reads_masked_rows_in_both_formats(stage: Stage, binary: bool) -> None:
    script = """
        import psycopg, sys
        with psycopg.connect() as connection:
            cursor = connection.cursor(binary=sys.argv[1] == 'True')
            for row in cursor.execute('SELECT id, name, email, ssn FROM customers WHERE id <= %s ORDER BY id', [2]):
                print(row)
    """
    seen = stage.exec(TARGET, clients.python(script, str(binary))).fine().out.splitlines()
    assert len(seen) == 2
    assert seen[0].startswith("(1, 'Ann Example 1', ")
    assert "@example.com" not in "".join(seen) or "person1@" not in "".join(seen)
    assert "000-12-000" not in "".join(seen)


def test_psycopgs_prepared_statement_stays_masked_at_each_run(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect(autocommit=True) as connection:
            for which in range(1, 8):
                cursor = connection.execute('SELECT ssn FROM customers WHERE id = %s', [which], prepare=True)
                print(cursor.fetchone()[0])
    """
    seen = stage.exec(TARGET, clients.python(script)).fine().out
    assert len(seen.splitlines()) == 7
    assert "000-12-000" not in seen


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_runs_in_every_protocol_mode(stage: Stage, tmp_path: Path, mode: str) -> None:
    found.require("pgbench")
    script = tmp_path / "read.sql"
    script.write_text("\\set id random(1, 200)\nSELECT name, email FROM customers WHERE id = :id;\n")
    outcome = stage.exec(TARGET, clients.pgbench(script, mode, transactions=25)).fine()
    assert "number of transactions actually processed: 50/50" in outcome.out


def test_the_recording_knows_no_more_than_the_client_saw(stage: Stage) -> None:
    stage.psql(TARGET, "SELECT email, ssn FROM customers WHERE id BETWEEN 1 AND 3").fine()
    for recording in (stage.home / "recordings").rglob("*.hoopx"):
        held = recording.read_bytes()
        assert b"000-12-0003" not in held
        assert b"person3@example.com" not in held


def test_a_classified_column_that_is_not_there_is_told(stage: Stage) -> None:
    """Its name may be misspelt, and the real one shown raw."""
    said = stage.psql("misspelt", "SELECT 1").fine().err
    assert "not in the database: public.customers.emial" in said


def test_what_stands_beside_a_masked_expression_is_shown(stage: Stage) -> None:
    said = stage.psql("shop-prod", "SELECT 1 + id, upper(email), current_database() FROM customers WHERE id = 1").fine()
    assert said.out == "2|*****|app\n"
