"""What the database expects of a statement, asked so that nothing runs; and whether what it rests on has changed."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator

import pytest

from hoopx_broker.policy.facts.canonical import canonical
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.session.bearings import Compass
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.estimates import Estimate
from hoopx_broker.session.plea import Plea
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Ask
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.effects import Judge
from tests.peers.postgres import Postgres

SCHEMA = "estimates_scene"
INT = 23
# Whatever runs one of these functions leaves a lock behind that no rollback takes back.
MADE = f"""
CREATE SCHEMA {SCHEMA};
SET search_path TO {SCHEMA};
CREATE FUNCTION ran() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN 1; END';
CREATE FUNCTION ran(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN true; END';
CREATE FUNCTION lower(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN 1; END';
CREATE FUNCTION from_int(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN true; END';
CREATE TABLE plain (id int PRIMARY KEY, name text);
INSERT INTO plain SELECT n, 'n' || n FROM generate_series(1, 1000) AS n;
CREATE VIEW even AS SELECT id, name FROM plain WHERE id % 2 = 0;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = ran);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FUNCTION moods(mood, mood) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN true; END';
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = mood, FUNCTION = moods);
CREATE DOMAIN checked AS int CHECK (ran() = 1);
CREATE TABLE filled (id int DEFAULT ran());
CREATE TABLE moody (id int, feels mood);
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (ran() = id);
CREATE TABLE indexed (id int);
CREATE INDEX ON indexed ((ran(id, 1)));
CREATE TABLE in_domain (id checked);
CREATE TABLE bounded (id int CHECK (ran(id, 1)));
CREATE VIEW looking AS SELECT id FROM plain WHERE id = ran();
CREATE VIEW deeper AS SELECT id FROM looking;
CREATE TABLE parent (id int);
CREATE TABLE heir (CHECK (ran() = 1)) INHERITS (parent);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (1000);
CREATE INDEX ON part ((ran(id, 1)));
CREATE VIEW parents AS SELECT id FROM parent;
ANALYZE plain;
"""
TESTED: dict[str, float] = {
    "DELETE FROM plain WHERE id <= 500": 500,
    "UPDATE plain SET name = upper(name)": 1000,
    "SELECT * FROM plain LIMIT 7": 7,
    "INSERT INTO plain SELECT id + 5000, name FROM plain": 1000,
    "DELETE FROM plain WHERE id IN (SELECT id FROM even WHERE id <= 10) RETURNING id": 0,
    "/* a comment */ SELECT 1": 1,
}
# Each would run a function of the database's own, were it planned.
ATTACKS = [
    "SELECT ran()",
    "DELETE FROM plain WHERE id = ran()",
    "SELECT lower(1)",
    "INSERT INTO filled DEFAULT VALUES",
    "SELECT * FROM looking",
    "SELECT * FROM plain WHERE 1 === 1",
    "SELECT * FROM plain WHERE 1 OPERATOR(estimates_scene.===) 1",
    "SELECT * FROM moody WHERE 'sad'::mood = 'sad'",
    "SELECT * FROM guarded",
    "SELECT * FROM indexed",
    "SELECT * FROM in_domain",
    "SELECT * FROM deeper",
    "SELECT * FROM parent WHERE id = 1",
    "DELETE FROM parent WHERE id = 1",
    "SELECT * FROM parents WHERE id = 1",
    "SELECT * FROM parted WHERE id = 1",
    "SELECT 1::checked",
    "INSERT INTO bounded VALUES (1)",
    "SELECT set_config('a.b', 'c', false)",
    "EXPLAIN ANALYZE DELETE FROM plain",
    "WITH x AS (SELECT ran()) SELECT 1",
    "SELECT 1; SELECT 2",
    "CREATE TABLE made AS SELECT 1",
    "SELECT * INTO made FROM plain",
    "SELECT nextval('s')",
    "SELECT * FROM pg_catalog.pg_stat_activity WHERE pg_terminate_backend(pid)",
    "COPY plain TO STDOUT",
    "CALL x()",
    "DO 'BEGIN END'",
]


class Scene:
    """A reader of the catalog, and a second connection to look what it does."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.target = Target(
            "nest", "postgres", postgres.host, postgres.port, postgres.database, UpstreamTls("disable"), "static"
        )
        self.login = DatabaseLogin(postgres.superuser, Secret(postgres.superuser_password))

    def plea(self, text: str, facts: tuple[StatementFacts, ...], *parameters: bytes, kind: int, reveals: bool) -> Plea:
        async def unchanged() -> str:
            return ""

        asked = Judge(text.encode(), True, parameters, (kind == INT,), (kind,) * len(parameters))  # noqa: FBT003
        ask = Ask("look", ("r",), {"dba": 1})
        return Plea(asked, ask, facts, (SCHEMA,), lambda *_: None, unchanged, reveals)

    async def act(
        self, *texts: str, parameters: tuple[bytes, ...] = (), kind: int = INT, reveals: bool = False
    ) -> list[Estimate]:
        """The estimates of some statements, and what is left behind by them: nothing."""
        crew, statements = Crew(_fail), StatementReader()
        reader = CatalogReader(self.target, self.login, crew, statements)
        compass = Compass(SCHEMA)
        try:
            catalog = await reader.catalog()
            found = []
            for text in texts:
                facts = read(text.encode())
                assert not isinstance(facts, Unreadable)
                plea = self.plea(text, compass.read(facts, catalog), *parameters, kind=kind, reveals=reveals)
                found.append(await reader.estimate(plea, canonical(text.encode())))
                assert self.locks() == 0, text
            return found
        finally:
            await reader.close()
            await statements.close()
            await crew.close()

    async def defined(self, text: str, *changes: str) -> list[str]:
        """How what a statement rests on is defined, at first and after each change."""
        crew, statements = Crew(_fail), StatementReader()
        reader = CatalogReader(self.target, self.login, crew, statements)
        facts = read(text.encode())
        assert not isinstance(facts, Unreadable)
        try:
            meant = Compass(SCHEMA).read(facts, await reader.catalog())
            found = [await reader.definitions(meant)]
            for change in changes:
                self.postgres.sql(f"SET search_path TO {SCHEMA}; {change}")
                found.append(await reader.definitions(meant))
            return found
        finally:
            await reader.close()
            await statements.close()
            await crew.close()

    def locks(self) -> int:
        ((count,),) = self.postgres.sql("SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'")
        return int(count)


def _fail(name: str, error: BaseException) -> None:
    raise error


@pytest.fixture(scope="module")
def scene(postgres: Postgres) -> Iterator[Scene]:
    postgres.sql(MADE)
    yield Scene(postgres)
    postgres.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_the_database_tells_what_it_expects_and_does_nothing(scene: Scene) -> None:
    found = asyncio.run(scene.act(*TESTED))
    for (text, rows), estimate in zip(TESTED.items(), found, strict=True):
        assert estimate.rows == pytest.approx(rows, rel=0.1) or not rows, (text, estimate)
        assert estimate.rows is not None, (text, estimate)
    assert scene.postgres.sql(f"SELECT count(*)::int FROM {SCHEMA}.plain") == [(1000,)]


def test_it_is_planned_with_the_parameters_that_it_would_run_with(scene: Scene) -> None:
    (few,) = asyncio.run(scene.act("DELETE FROM plain WHERE id <= $1", parameters=(struct.pack("!i", 10),)))
    (many,) = asyncio.run(scene.act("DELETE FROM plain WHERE id <= $1", parameters=(struct.pack("!i", 900),)))
    assert few.rows is not None
    assert many.rows is not None
    assert few.rows < 30
    assert many.rows > 800


def test_what_planning_could_run_is_not_planned(scene: Scene) -> None:
    for text, estimate in zip(ATTACKS, asyncio.run(scene.act(*ATTACKS)), strict=True):
        assert estimate.rows is None, text
        assert estimate.unknown, text


def test_the_type_that_a_client_gives_to_a_parameter_runs_nothing(scene: Scene) -> None:
    """Whoever reads a value of a domain runs its checks, and of a type of the database's own, its input function."""
    ((domain,),) = scene.postgres.sql(f"SELECT '{SCHEMA}.checked'::regtype::oid::int")
    (estimate,) = asyncio.run(scene.act("SELECT * FROM plain WHERE id <= $1", parameters=(b"1",), kind=int(domain)))
    assert estimate.rows is None
    assert "planning might run" in estimate.unknown


def test_what_would_tell_of_masked_values_is_not_planned(scene: Scene) -> None:
    (estimate,) = asyncio.run(scene.act("DELETE FROM plain WHERE id <= 500", reveals=True))
    assert (estimate.rows, estimate.unknown) == (None, "it would tell of values that are masked in this session")


def test_a_cast_of_the_databases_own_between_the_lines_is_not_run(scene: Scene) -> None:
    scene.postgres.sql(
        f"CREATE TYPE {SCHEMA}.odd AS (a int);"
        f"CREATE FUNCTION {SCHEMA}.odd_to_int({SCHEMA}.odd) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        f" 'BEGIN PERFORM pg_catalog.pg_advisory_lock(4711); RETURN 1; END';"
        f"CREATE CAST ({SCHEMA}.odd AS int) WITH FUNCTION {SCHEMA}.odd_to_int({SCHEMA}.odd) AS IMPLICIT"
    )
    try:
        (estimate,) = asyncio.run(scene.act("SELECT * FROM plain WHERE id = 1"))
        assert estimate.rows is None
    finally:
        scene.postgres.sql(f"DROP TYPE {SCHEMA}.odd CASCADE")


# What a statement rests on, and a change of it that makes the statement do something else.
CHANGES = [
    ("DELETE FROM even", "CREATE OR REPLACE VIEW even AS SELECT id, name FROM plain"),
    ("DELETE FROM plain", "CREATE RULE more AS ON DELETE TO plain DO ALSO DELETE FROM filled"),
    (
        "DELETE FROM plain",
        "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER more BEFORE DELETE ON plain FOR EACH ROW EXECUTE FUNCTION more()",
    ),
    (
        "DELETE FROM plain",
        "CREATE OR REPLACE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    ),
    (
        "DELETE FROM plain",
        "CREATE TABLE child (id int REFERENCES plain (id) ON DELETE CASCADE)",
    ),
    (
        "SELECT ran()",
        "CREATE OR REPLACE FUNCTION ran() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2; END'",
    ),
    ("SELECT * FROM guarded", "ALTER POLICY p ON guarded USING (true)"),
    ("SELECT * FROM deeper", "CREATE OR REPLACE VIEW looking AS SELECT id FROM plain"),
    (
        "DELETE FROM parent",
        "CREATE TRIGGER more BEFORE DELETE ON heir FOR EACH ROW EXECUTE FUNCTION more()",
    ),
    ("SELECT * FROM guarded", "ALTER TABLE guarded DISABLE ROW LEVEL SECURITY"),
]


def test_what_a_statement_rests_on_is_seen_to_change_and_nothing_else(scene: Scene) -> None:
    for text, change in CHANGES:
        before, after = asyncio.run(scene.defined(text, change))
        assert before != after, change
    same = asyncio.run(scene.defined("DELETE FROM plain", "ANALYZE plain", "INSERT INTO plain VALUES (-1)"))
    assert len(set(same)) == 1
    scene.postgres.sql(f"DELETE FROM {SCHEMA}.plain WHERE id < 0")
