"""Rules about tables and columns hold whatever a statement calls them, on a real database and through the whole way."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.journeys.stage import Stage, playing, running
from tests.journeys.test_bypasses import DSN, heard
from tests.peers.postgres import Foundry, installations

TARGET = "shop-fixed"  # a login with every right in the database, so that nothing but policy holds

RULES = """\
@id("everything")
permit (principal, action, resource);

@id("hr-is-closed")
@message("the schema `hr` is closed")
forbid (principal, action in Action::"query", resource is Table)
when { resource.schema == "hr" };

@id("no-salary")
@message("salaries are not for you")
forbid (principal, action == Action::"read", resource == Column::"shop-fixed/public.workers.salary");

@id("no-volatile-calls")
@message("a function that may write is not called")
forbid (principal, action == Action::"call", resource is Function)
when { resource.volatility == "volatile" && resource.schema != "pg_catalog" };

@id("not-number-13")
@message("number 13 is nobody's business")
forbid (principal, action == Action::"read", resource)
when { context.parameters.hasTag("1") && context.parameters.getTag("1") == "13" };
"""

DATABASE = """\
CREATE SCHEMA hr;
CREATE SCHEMA lab;
CREATE TABLE hr.staff (id int, name text);
INSERT INTO hr.staff VALUES (1, 'canary');
CREATE TABLE public.staff (id int, name text);
INSERT INTO public.staff VALUES (2, 'open');
CREATE VIEW public.directory AS SELECT name FROM hr.staff;
CREATE VIEW public.directory_of_directories AS SELECT * FROM directory;
CREATE TABLE public.visits (at date, who text) PARTITION BY RANGE (at);
CREATE TABLE hr.visits_secret PARTITION OF visits FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE hr.badges (id int, owner text) PARTITION BY LIST (id);
CREATE TABLE public.badges_1 PARTITION OF hr.badges FOR VALUES IN (1);
CREATE TABLE public.workers (id int, name text, salary int);
INSERT INTO workers VALUES (13, 'thirteen', 1), (14, 'fourteen', 2);
CREATE VIEW public.payroll AS SELECT * FROM workers;
CREATE FUNCTION public.peek(text, text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN true; END';
CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION public.nickname(workers) RETURNS text LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN ''n''; END';
CREATE OPERATOR public.~~~> (LEFTARG = text, RIGHTARG = text, FUNCTION = public.peek);
CREATE FUNCTION public.checked(text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN true; END';
CREATE DOMAIN public.watched AS text CHECK (checked(value));
CREATE VIEW public.calling AS SELECT peek(name, name) FROM public.staff;
"""


@pytest.fixture(scope="module")
def dsn(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A session of somebody to whom all is permitted that these rules do not forbid."""
    with foundry.server(installations()[0]) as server:
        server.sql(DATABASE)
        stage = Stage(tmp_path_factory.mktemp("names"), server)
        for path in (stage.home / "policies").glob("*.cedar"):
            path.unlink()
        (stage.home / "policies" / "scene.cedar").write_text(RULES)
        with playing(stage), running(stage, "connect", TARGET) as command:
            yield command.says(DSN).group(0)


DENIED = {
    "SELECT name FROM hr.staff": "by its name",
    "SELECT name FROM directory": "by a view",
    "SELECT name FROM directory_of_directories": "by a view over a view",
    "UPDATE directory SET name = 'x' WHERE name = 'y'": "by writing to a view",
    "SELECT * FROM visits": "a closed partition by its open parent",
    "INSERT INTO visits VALUES ('2020-05-05', 'me')": "a closed partition by writing to its parent",
    "SELECT * FROM badges_1": "a closed table by its open partition",
    "SET search_path TO hr; SELECT name FROM staff": "by the search path, in one message",
    "BEGIN; SET LOCAL search_path TO hr, public; SELECT name FROM staff; COMMIT": "by the path of a transaction",
    "SELECT set_config('search_path', 'hr', false); SELECT name FROM staff": "by a path that a function sets",
    "DO $$ BEGIN SET search_path TO hr; PERFORM name FROM staff; END $$": "by a path inside of a block",
    "DO $$ BEGIN PERFORM name FROM hr.staff; END $$": "inside of a block",
    "DO $$ DECLARE n text := (SELECT name FROM hr.staff); BEGIN END $$": "in the declarations of a block",
    "PREPARE p AS SELECT name FROM hr.staff": "for later",
    "WITH s AS (SELECT name FROM hr.staff) SELECT * FROM s": "in a WITH",
    "EXPLAIN ANALYZE SELECT name FROM hr.staff": "explained",
    "COPY hr.staff TO STDOUT": "copied",
    "COPY (SELECT * FROM directory) TO STDOUT": "a view copied",
    "CREATE TEMP TABLE t AS SELECT * FROM directory": "kept",
    "LOCK TABLE hr.staff": "locked",
    "SELECT salary FROM workers": "a closed column",
    "SELECT * FROM workers": "a closed column among all",
    "SELECT w FROM workers w": "a closed column in a row",
    "SELECT name FROM workers WHERE salary > 1": "a closed column in a condition",
    "SELECT name FROM workers ORDER BY salary": "a closed column in an order",
    "SELECT (w).salary FROM workers w": "a closed column of a row",
    "SELECT s.pay FROM (SELECT salary AS pay FROM workers) s": "a closed column under another name",
    "UPDATE workers SET name = 'x' WHERE id = 13 RETURNING salary": "a closed column of what was written",
    "COPY workers (salary) TO STDOUT": "a closed column copied",
    "UPDATE workers SET salary = salary + 1 WHERE id = 99": "a closed column that makes its own new value",
    "SELECT 'a'::text ~~~> 'b'": "a function behind an operator",
    "SELECT 'a'::watched": "a function behind a domain",
    "SELECT * FROM calling": "a function behind a view",
    "SELECT w.nickname FROM workers w WHERE w.id = 13": "a function behind a dot",
    "SELECT peek('a', 'b')": "a function by its name",
}  # fmt: skip

ALLOWED: dict[str, list[tuple[object, ...]]] = {
    "SELECT name FROM staff": [("open",)],
    "SELECT name FROM public.staff": [("open",)],
    "SET search_path TO lab, public; SELECT name FROM staff": [("open",)],
    "SELECT name FROM workers ORDER BY id": [("thirteen",), ("fourteen",)],
    "SELECT count(*) FROM workers": [(2,)],
    "SELECT w.name FROM workers w JOIN staff s ON s.id <> w.id ORDER BY 1": [("fourteen",), ("thirteen",)],
    "SELECT name AS salary FROM workers ORDER BY salary": [("fourteen",), ("thirteen",)],
    "SELECT salary FROM (SELECT 5 AS salary) s": [(5,)],
    "UPDATE workers SET salary = 1 WHERE id = 99 RETURNING name": [],
    "SELECT twice(21)": [(42,)],
    "SELECT 'a' || 'b', 'a' ~ 'b'": [("ab", False)],
    "SELECT 'a'::text": [("a",)],
    "DO $$ BEGIN PERFORM name FROM staff; END $$": [],
    "CREATE TEMP TABLE staff_2 AS SELECT * FROM staff; SELECT name FROM staff_2": [("open",)],
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'hr' ORDER BY 1 LIMIT 1": [("badges",)],
}


@pytest.mark.parametrize("statement", DENIED, ids=DENIED.values())
def test_a_rule_holds_whatever_a_statement_calls_the_thing(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="rule `"):
            heard(connection, statement)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("statement", ALLOWED)
def test_what_no_rule_speaks_of_goes_on(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert heard(connection, statement) == repr(ALLOWED[statement])


def test_the_server_looks_names_up_again_when_it_runs_what_was_prepared(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("PREPARE s AS SELECT name FROM staff")
        assert connection.execute("EXECUTE s").fetchall() == [("open",)]
        connection.execute("SET search_path TO hr")
        for runs in ("EXECUTE s", "EXPLAIN ANALYZE EXECUTE s", "CREATE TEMP TABLE kept AS EXECUTE s"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="hr-is-closed"):
                connection.execute(runs)


@pytest.mark.parametrize(
    "asked", ["SELECT name FROM staff WHERE id > %s", "SELECT name FROM directory_2 WHERE id > %s"]
)
def test_what_the_protocol_prepared_is_looked_up_again_too(dsn: str, asked: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TEMP VIEW directory_2 AS SELECT * FROM public.staff")
        assert connection.execute(asked, [0], prepare=True).fetchall() == [("open",)]
        connection.execute("SET search_path TO hr")
        if "staff" in asked:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="hr-is-closed"):
                connection.execute(asked, [0], prepare=True)
        else:
            assert connection.execute(asked, [0], prepare=True).fetchall() == [("open",)]


def test_a_temporary_table_is_seen_and_the_table_that_it_shadows_is_not_forgotten(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET search_path TO hr")
        connection.execute("CREATE TEMP TABLE staff (name text)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT name FROM staff")
        assert connection.execute("SELECT name FROM pg_temp.staff").fetchall() == []


@pytest.mark.parametrize("binary", [False, True])
def test_a_rule_sees_the_value_that_a_statement_runs_with(dsn: str, *, binary: bool) -> None:
    asked = f"SELECT name FROM workers WHERE id = %{'b' if binary else 't'}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number, expected in ((14, "fourteen"), (13, None), (14, "fourteen"), (13, None)):
            if expected is None:
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not-number-13"):
                    connection.execute(asked, [number], prepare=True)
            else:
                assert connection.execute(asked, [number], prepare=True).fetchall() == [(expected,)]
