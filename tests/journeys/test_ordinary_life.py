"""What clients do all day must simply work: catalogs, settings, transactions, cursors, pools, other drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.stage import Stage, playing
from tests.peers import clients, found
from tests.peers.postgres import Foundry, Postgres

TARGET = "shop-prod"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("\\d customers", "created_at"),
        ("\\dt", "orders"),
        ("\\d+ orders", "quantity"),
        ("\\dv", "customer_contacts"),
        ("\\df", "touch_order"),
        ("\\dn", "public"),
        ("\\du", "app_read"),
        ("\\l", "app"),
        ("\\dp orders", "orders"),
        ("\\di", "orders_pkey"),
        ("\\sf touch_order", "quantity + 1"),
        ("\\conninfo", "127.0.0.1"),
        ("SHOW server_version", "."),
        ("SET statement_timeout = '5s'", "SET"),
        ("BEGIN READ ONLY; SELECT 1; COMMIT", "1"),
        ("SELECT version()", "PostgreSQL"),
        ("SELECT now(), current_date, pg_backend_pid()", "|"),
        ("SELECT count(*), max(day)::text FROM analytics_daily WHERE revenue > 10", "59"),
        ("SELECT o.item, p.amount FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.id = 1", "widget 1|1.25"),
        ("BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id; FETCH 2 FROM c; COMMIT", "1\n2"),
        ("COPY (SELECT id FROM orders ORDER BY id LIMIT 2) TO STDOUT", "1\n2"),
        ("EXPLAIN SELECT * FROM orders", "Seq Scan"),
        ("", ""),
        (";", ""),
        ("-- only a comment", ""),
    ],
)
def test_psql_is_at_home(stage: Stage, asked: str, expected: str) -> None:
    outcome = stage.psql(TARGET, asked).fine()
    assert expected in outcome.out
    assert "ERROR" not in outcome.err


def test_asyncpg_reads_and_prepares_as_it_likes(stage: Stage) -> None:
    script = """
        import asyncio, os, asyncpg

        async def main():
            connection = await asyncpg.connect(os.environ["DATABASE_URL"])
            async with connection.transaction():
                print(await connection.fetchval("SELECT count(*) FROM orders WHERE quantity > $1", 2))
                statement = await connection.prepare("SELECT id, name, email, created_at FROM customers WHERE id = $1")
                for which in (1, 2):
                    row = await statement.fetchrow(which)
                    print(row["id"], row["name"], "person" in row["email"], row["created_at"].year)
            print(len([row async for row in rows(connection)]))
            await connection.close()

        async def rows(connection):
            async with connection.transaction():
                async for row in connection.cursor("SELECT id FROM orders ORDER BY id", prefetch=7):
                    yield row

        asyncio.run(main())
    """
    seen = stage.exec(TARGET, clients.python(script)).fine().out.splitlines()
    assert seen == ["200", "1 Ann Example 1 False 2026", "2 Bob Example 2 False 2026", "400"]


def test_a_server_side_cursor_suspends_and_goes_on(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect() as connection:
            with connection.cursor(name="slowly") as cursor:
                cursor.itersize = 50
                print(sum(1 for row in cursor.execute("SELECT id, name, ssn FROM customers")))
    """
    assert stage.exec(TARGET, clients.python(script)).fine().out == "200\n"


def test_executemany_in_a_pipeline_writes_every_row(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect() as connection:
            days = [(f"2040-01-{day:02}", day, day * 1.5) for day in range(1, 29)]
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO analytics_daily VALUES (%s, %s, %s)", days)
            print(connection.execute("SELECT count(*) FROM analytics_daily WHERE day >= '2040-01-01'").fetchone()[0])
            connection.rollback()
    """
    assert stage.exec("shop-dev", clients.python(script)).fine().out == "28\n"


def test_errors_of_the_server_arrive_as_they_are(stage: Stage) -> None:
    outcome = stage.psql(TARGET, "SELECT 1/0", "SELECT 'after'", options=("-At", "-v", "VERBOSITY=verbose"))
    assert "22012" in outcome.err
    assert "division by zero" in outcome.err
    assert outcome.out == "after\n"


def test_the_second_wall_stops_what_policy_lets_through(stage: Stage) -> None:
    """A dba may write by policy, but the role that was minted for this target is read-only in the database."""
    outcome = stage.psql(TARGET, "UPDATE orders SET quantity = 0 WHERE id = 1", who="dora")
    assert "read-only" in outcome.err or "permission denied" in outcome.err
    assert stage.postgres.sql("SELECT quantity > 0 FROM orders WHERE id = 1") == [(True,)]


def test_many_people_work_at_once(stage: Stage) -> None:
    script = """
        import psycopg, threading
        told = []

        def work(which):
            with psycopg.connect() as connection:
                for _ in range(20):
                    [row] = connection.execute("SELECT id, ssn FROM customers WHERE id = %s", [which + 1])
                    told.append(row[0] == which + 1 and not row[1].startswith("000-12-000"))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(told), all(told))
    """
    assert stage.exec(TARGET, clients.python(script)).fine().out == "160 True\n"


def test_pgbench_connects_anew_for_each_transaction(stage: Stage, tmp_path: Path) -> None:
    found.require("pgbench")
    script = tmp_path / "read.sql"
    script.write_text("SELECT count(*) FROM orders;\n")
    outcome = stage.exec(TARGET, [*clients.pgbench(script, "simple", transactions=5, clients=4), "-C"]).fine()
    assert "actually processed: 20/20" in outcome.out


def test_a_statement_near_the_limit_passes_and_one_beyond_is_denied(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect(autocommit=True) as connection:
            print(len(connection.execute("SELECT '" + "x" * 900_000 + "'").fetchone()[0]))
            try:
                connection.execute("SELECT '" + "x" * 3_000_000 + "'")
            except psycopg.errors.StatementTooComplex as error:
                print(error.sqlstate)
            print(connection.execute("SELECT 1").fetchone()[0])
    """
    assert stage.exec(TARGET, clients.python(script)).fine().out.splitlines() == ["900000", "54001", "1"]


def test_the_whole_way_works_on_every_version_found(
    each_postgres: Postgres, foundry: Foundry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stage = Stage(tmp_path_factory.mktemp("versions"), each_postgres)
    with playing(stage):
        seen = stage.psql("shop-prod", "SELECT current_user", "SELECT name, ssn FROM customers WHERE id = 1").fine().out
        assert seen.startswith("hoopx_")
        assert "Ann Example 1" in seen
        assert "000-12-0001" not in seen
        assert stage.psql("shop-dev", "UPDATE orders SET quantity = quantity WHERE id = 1").fine().out == "UPDATE 1\n"
        stage.nothing_remains()
