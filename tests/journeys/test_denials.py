"""What policy forbids never reaches the server, and the connection lives on."""

from __future__ import annotations

import pytest

from tests.journeys.stage import Stage
from tests.peers import clients

TARGET = "shop-prod"


def test_a_denied_drop_never_reaches_the_server(stage: Stage) -> None:
    before = stage.postgres.log_position()
    outcome = stage.psql(
        TARGET, "DROP TABLE orders -- marked", "SELECT 'still here'", options=("-At", "-v", "VERBOSITY=verbose")
    )
    assert "42501" in outcome.err
    assert "no-ddl-in-prod" in outcome.err
    assert outcome.out == "still here\n"
    assert "DROP TABLE" not in stage.postgres.log(before)
    assert stage.postgres.sql("SELECT count(*) FROM orders") == [(400,)]


def test_a_delete_without_where_never_reaches_the_server(stage: Stage) -> None:
    before = stage.postgres.log_position()
    outcome = stage.psql("shop-dev", "DELETE FROM payments", "SELECT count(*) FROM payments")
    assert "no-unbounded-write" in outcome.err
    assert outcome.out == "400\n"
    assert "DELETE FROM payments" not in stage.postgres.log(before)


def test_a_bounded_write_is_done_where_it_is_permitted(stage: Stage) -> None:
    done = stage.psql("shop-dev", "UPDATE orders SET quantity = quantity WHERE id = 1", options=("-X",))
    assert done.fine().out == "UPDATE 1\n"


def test_a_denial_inside_a_transaction_fails_it_as_the_servers_own_errors_do(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect(autocommit=True) as connection:
            connection.execute('BEGIN')
            connection.execute('SELECT 1')
            try:
                connection.execute('DROP TABLE orders')
            except psycopg.errors.InsufficientPrivilege as error:
                print(error.sqlstate, connection.info.transaction_status.name)
            try:
                connection.execute('SELECT 2')
            except psycopg.errors.InFailedSqlTransaction as error:
                print(error.sqlstate)
            connection.execute('ROLLBACK')
            print(connection.execute('SELECT 3').fetchone()[0], connection.info.transaction_status.name)
    """
    seen = stage.exec(TARGET, clients.python(script)).fine().out
    assert seen.splitlines() == ["42501 INERROR", "25P02", "3 IDLE"]


def test_in_a_pipeline_what_follows_the_denial_is_discarded_up_to_the_sync(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect(autocommit=True) as connection:
            try:
                with connection.pipeline() as pipeline:
                    first = connection.execute('SELECT 1')
                    connection.execute('DROP TABLE orders')
                    last = connection.execute('SELECT 2')
            except psycopg.errors.InsufficientPrivilege as error:
                print(first.fetchone()[0], error.sqlstate)
            print(connection.execute('SELECT 3').fetchone()[0])
    """
    assert stage.exec(TARGET, clients.python(script)).fine().out.splitlines() == ["1 42501", "3"]


def test_after_a_denial_each_answer_belongs_to_its_question(stage: Stage) -> None:
    rounds = [sql for n in range(5) for sql in (f"SELECT {n}", "DROP TABLE orders")]
    assert stage.psql(TARGET, *rounds).out == "".join(f"{n}\n" for n in range(5))


def test_the_denial_does_not_repeat_values_of_the_statement(stage: Stage) -> None:
    outcome = stage.psql(TARGET, "DELETE FROM customers WHERE ssn = '000-12-0042'", options=("-At", "-q"))
    assert outcome.code != 0
    assert "000-12-0042" not in outcome.err


# Each changes or reaches something it must not. `marked` tells them apart in the server's log.
FORBIDDEN = [
    "WITH gone AS (DELETE FROM payments /* marked */ RETURNING *) SELECT count(*) FROM gone",
    "EXPLAIN ANALYZE DELETE FROM payments /* marked */",
    "DO $marked$ BEGIN DELETE FROM payments; END $marked$",
    "SELECT /* marked */ touch_order(1)",
    "SELECT /* marked */ pg_read_file('postgresql.conf')",
    "COPY /* marked */ payments TO PROGRAM 'cat'",
    "COPY /* marked */ payments TO '/tmp/never-written'",
    "SET /* marked */ ROLE postgres",
    "SET /* marked */ SESSION AUTHORIZATION postgres",
    "SELECT /* marked */ set_config('role', 'postgres', false)",
    "SELECT /* marked */ lo_import('/etc/hostname')",
    "SELECT * INTO /* marked */ stolen FROM orders",
    "CREATE TEMP TABLE /* marked */ stolen AS SELECT * FROM orders",
    "CREATE FUNCTION marked() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "PREPARE p AS DELETE FROM payments /* marked */",
    "TRUNCATE /* marked */ payments",
    "SELECT 1; DROP TABLE orders /* marked */",
    "ALTER SYSTEM SET log_statement TO 'none' /* marked */",
    "SELECT /* marked */ pg_terminate_backend(1)",
    "SELECT /* marked */ dblink_exec('', 'DROP TABLE orders')",
    "GRANT app_write TO CURRENT_USER /* marked */",
    "SELECT $$marked$$ FROM nowhere WHERE ((",
    "COPY /* marked */ payments FROM STDIN",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_forbidden_statements_are_denied_before_the_server_hears_them(stage: Stage, sql: str) -> None:
    before = stage.postgres.log_position()
    outcome = stage.psql("shop-fixed", sql, "SELECT 'alive'")
    assert outcome.out.endswith("alive\n"), outcome.err
    assert "ERROR" in outcome.err
    assert "marked" not in stage.postgres.log(before)


def test_without_any_right_the_session_is_not_even_opened(stage: Stage) -> None:
    outcome = stage.psql(TARGET, "SELECT 1", who="nobody")
    assert outcome.code == 10
    assert outcome.out == ""


def test_the_second_wall_holds_without_the_first(stage: Stage) -> None:
    """What was minted can only read, whatever policy would let through: asked past the broker, as that role."""
    with_role = (
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolconfig::text FROM pg_roles WHERE rolname = current_user"
    )
    seen = stage.psql(TARGET, with_role).fine().out.strip().split("|")
    assert seen[:3] == ["f", "f", "f"]
    assert "default_transaction_read_only=on" in seen[3]
