"""What is read of a real catalog: what lies behind views and partitions, and what runs where nobody names it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import psycopg
import pytest

from hoopx_broker.masking.hidden import hide
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

SCHEMA = "catalog_scene"
Read = TypeVar("Read")
MADE = f"""
CREATE SCHEMA {SCHEMA};
SET search_path TO {SCHEMA};
CREATE TABLE people (id int, name text, gone int, email text);
ALTER TABLE people DROP COLUMN gone;
CREATE VIEW contacts AS SELECT name, email FROM people;
CREATE VIEW mailbox AS SELECT email FROM contacts;
CREATE TABLE events (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE special (more text) INHERITS (people);
CREATE FUNCTION pay(text) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE FUNCTION pay(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION pays(text, text) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE OPERATOR ~~~> (LEFTARG = text, RIGHTARG = text, FUNCTION = pays);
CREATE FUNCTION doubles(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE OPERATOR ~~~~> (LEFTARG = int, RIGHTARG = int, FUNCTION = doubles);
CREATE DOMAIN paid AS text CHECK (pay(value));
CREATE DOMAIN even AS int CHECK (twice(value) > 0);
CREATE TYPE wallet AS (amount int);
CREATE FUNCTION open_wallet(wallet) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''x''';
CREATE CAST (wallet AS text) WITH FUNCTION open_wallet(wallet);
CREATE VIEW payments AS SELECT name, pay(name) AS paid FROM people;
"""
LABELS = """
COMMENT ON COLUMN people.name IS 'How to call them. hoopx:name';
COMMENT ON COLUMN people.email IS 'hoopx:public';
COMMENT ON COLUMN people.id IS 'hoopx:';
COMMENT ON COLUMN contacts.email IS 'hoopx:email';
COMMENT ON COLUMN special.more IS 'plain';
COMMENT ON TABLE events IS 'hoopx:email';
COMMENT ON FUNCTION twice(int) IS 'hoopx:email';
CREATE MATERIALIZED VIEW copies AS SELECT what AS said FROM events;
COMMENT ON COLUMN copies.said IS 'hoopx:speech';
CREATE TYPE pair AS (one int, two int);
COMMENT ON COLUMN pair.one IS 'hoopx:email';
CREATE VIEW odd AS SELECT 1 AS "O'd.d", 2 AS "hoopx:x";
COMMENT ON COLUMN odd."O'd.d" IS 'hoopx:odd';
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel
  SELECT attrelid, 'pg_class'::regclass, attnum, provider, label
  FROM (VALUES
    ('events', 'what', 'anon', 'MASKED WITH FUNCTION anon.fake_city()'),
    ('events', 'at', 'anon', 'NOT MASKED'),
    ('special', 'more', 'beta', 'hoopx:beta'),
    ('special', 'more', 'alpha', 'hoopx:alpha'),
    ('people', 'name', 'alpha', 'hoopx:alpha')) said (rel, att, provider, label)
  JOIN pg_attribute ON attrelid = rel::regclass AND attname = att;
INSERT INTO pg_seclabel VALUES ('people'::regclass, 'pg_class'::regclass, 0, 'alpha', 'hoopx:alpha');
"""
UNLABEL = "SET allow_system_table_mods = on; DELETE FROM pg_seclabel;"


@pytest.fixture
def catalog(each_postgres: Postgres) -> Iterator[Catalog]:
    each_postgres.sql(MADE)
    try:
        yield asyncio.run(reading(each_postgres, CatalogReader.catalog))
    finally:
        each_postgres.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def target(postgres: Postgres) -> Target:
    tls = UpstreamTls("verify-full", str(postgres.ca))
    classify = {ColumnName(SCHEMA, "people", "email"): "email"}
    return Target("t", "postgres", postgres.host, postgres.port, postgres.database, tls, "static", classify=classify)


def login(postgres: Postgres) -> DatabaseLogin:
    return DatabaseLogin(postgres.superuser, Secret(postgres.superuser_password))


async def reading(
    postgres: Postgres, what: Callable[[CatalogReader], Awaitable[Read]], who: DatabaseLogin | None = None
) -> Read:
    crew, statements = Crew(failed), StatementReader()
    reader = CatalogReader(target(postgres), who or login(postgres), crew, statements)
    try:
        return await what(reader)
    finally:
        await reader.close()
        await statements.close()
        await crew.close()


def failed(name: str, error: BaseException) -> None:
    raise AssertionError(name) from error


def oid(catalog: Catalog, name: str) -> int:
    return next(each.oid for each in catalog.by_name[name] if each.schema == SCHEMA)


def named(catalog: Catalog, oids: tuple[int, ...]) -> set[str]:
    return {catalog.relations[each].name for each in oids}


def test_what_a_real_catalog_says(catalog: Catalog) -> None:
    assert catalog.columns[oid(catalog, "people")] == ("id", "name", "email")
    assert named(catalog, catalog.reads[oid(catalog, "mailbox")]) == {"contacts"}
    assert named(catalog, catalog.reads[oid(catalog, "contacts")]) == {"people"}
    assert named(catalog, catalog.children[oid(catalog, "events")]) == {"events_old"}
    assert named(catalog, catalog.parents[oid(catalog, "special")]) == {"people"}
    assert set(catalog.views) >= {oid(catalog, "contacts"), oid(catalog, "mailbox")}
    assert all(relation.schema != "pg_catalog" for relation in map(catalog.relations.__getitem__, catalog.reads))


def test_the_least_harmless_of_several_functions_counts(catalog: Catalog) -> None:
    assert catalog.functions["pay"] == (FunctionName(SCHEMA, "pay", "volatile"),)
    assert catalog.functions["twice"] == (FunctionName(SCHEMA, "twice", "immutable"),)
    assert "pay" not in catalog.computing
    assert "twice" in catalog.computing
    assert catalog.server["pg_read_file"] == "volatile"
    assert catalog.server["lower"] == "immutable"


def test_what_runs_unnamed_is_known_unless_it_only_computes(catalog: Catalog) -> None:
    pay = FunctionName(SCHEMA, "pay", "volatile")
    assert catalog.calls[oid(catalog, "payments")] == (pay,)
    assert oid(catalog, "contacts") not in catalog.calls
    assert catalog.operators["~~~>"] == (FunctionName(SCHEMA, "pays", "volatile"),)
    assert "~~~~>" not in catalog.operators
    assert catalog.types["paid"] == (pay,)
    assert "even" not in catalog.types
    assert FunctionName(SCHEMA, "open_wallet", "stable") in catalog.types["wallet"]
    assert "text" not in catalog.types


@pytest.fixture
def labelled(each_postgres: Postgres) -> Iterator[Catalog]:
    if int(each_postgres.version.partition(".")[0]) < 13:
        pytest.skip("before 13 only an option at the start of the server lets a test write security labels")
    each_postgres.sql(MADE + LABELS)
    try:
        yield asyncio.run(reading(each_postgres, CatalogReader.catalog))
    finally:
        each_postgres.sql(f"{UNLABEL} DROP SCHEMA {SCHEMA} CASCADE")


def test_comments_and_security_labels_classify_columns_of_tables_and_views(labelled: Catalog) -> None:
    assert {f"{column.table}.{column.column}": kind for column, kind in labelled.labelled.items()} == {
        "people.id": "unreadable-label",
        "people.name": "name",
        "people.email": "public",
        "contacts.email": "email",
        "copies.said": "speech",
        "odd.O'd.d": "odd",
        "events.what": "masked",
        "special.more": "alpha",
    }
    assert all(column.schema == SCHEMA for column in labelled.labelled)


def test_a_labelled_column_is_found_where_its_table_is_inherited_and_shown(labelled: Catalog) -> None:
    def places(table: str, column: str) -> set[str]:
        return named(labelled, tuple(oid for oid, _ in labelled.classified[ColumnName(SCHEMA, table, column)]))

    assert places("people", "name") == {"people", "special"}
    assert places("events", "what") == {"events", "events_old"}
    assert places("contacts", "email") == {"contacts"}
    what = ColumnName(SCHEMA, "events", "what")
    assert labelled.views[oid(labelled, "copies")] == {what}
    assert ColumnName(SCHEMA, "contacts", "email") in labelled.views[oid(labelled, "mailbox")]
    assert ColumnName(SCHEMA, "people", "name") in labelled.views[oid(labelled, "payments")]


def test_somebodys_temporary_table_takes_the_catalog_from_nobody(postgres: Postgres) -> None:
    """It is of one connection alone, and may still be below a classified table, or have labels of its own."""
    postgres.sql(MADE)
    try:
        with psycopg.connect(postgres.dsn(), autocommit=True) as somebody:
            somebody.execute(f"CREATE TEMPORARY TABLE mine () INHERITS ({SCHEMA}.people)")
            somebody.execute("COMMENT ON COLUMN mine.name IS 'hoopx:name'")
            seen = asyncio.run(reading(postgres, CatalogReader.catalog))
    finally:
        postgres.sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert seen.labelled == {}
    places = seen.classified[ColumnName(SCHEMA, "people", "email")]
    assert named(seen, tuple(oid for oid, _ in places)) == {"people", "special"}
    assert hide({ColumnName(SCHEMA, "people", "email"): "email"}, seen) is not None


def test_whoever_has_no_rights_on_a_table_reads_its_labels_all_the_same(postgres: Postgres) -> None:
    postgres.sql(f"{MADE} REVOKE ALL ON people FROM PUBLIC; COMMENT ON COLUMN people.name IS 'hoopx:name'")
    postgres.sql("CREATE ROLE bystander LOGIN PASSWORD 'by'")
    try:
        bystander = DatabaseLogin("bystander", Secret("by"))
        seen = asyncio.run(reading(postgres, CatalogReader.catalog, bystander))
    finally:
        postgres.sql(f"DROP SCHEMA {SCHEMA} CASCADE; DROP ROLE bystander")
    assert seen.labelled == {ColumnName(SCHEMA, "people", "name"): "name"}


def test_the_search_path_is_that_of_the_login(postgres: Postgres) -> None:
    assert asyncio.run(reading(postgres, CatalogReader.search_path)) == '"$user", public'


def test_one_connection_serves_readings_that_follow_each_other(postgres: Postgres) -> None:
    async def twice(reader: CatalogReader) -> tuple[int, int]:
        first = await reader.catalog()
        again = await reader.catalog(first)
        assert again.server is first.server
        during = readers()
        await reader.close()
        return during, readers()

    def readers() -> int:
        ((count,),) = postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hoopx catalog'")
        return int(count)

    during, _ = asyncio.run(reading(postgres, twice))
    assert during == 1
    eventually(lambda: readers() == 0, "the connection is gone")


def test_a_reading_that_fails_says_so_and_the_next_one_begins_anew(postgres: Postgres) -> None:
    async def interrupted(reader: CatalogReader) -> str:
        await reader.search_path()
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hoopx catalog'")
        with pytest.raises(BackendFailed):
            await reader.catalog()
        return await reader.search_path()

    assert asyncio.run(reading(postgres, interrupted)) == '"$user", public'


def test_a_function_is_found_by_its_number(postgres: Postgres) -> None:
    async def look(reader: CatalogReader) -> tuple[FunctionName | None, FunctionName | None]:
        return await reader.function(957), await reader.function(1)

    found = asyncio.run(reading(postgres, look))
    assert found == (FunctionName("pg_catalog", "lo_creat", "volatile"), None)
