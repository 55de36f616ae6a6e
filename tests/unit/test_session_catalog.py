"""What is read of a real catalog: what lies behind views and partitions, and what runs where nobody names it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from hoopx_broker.session.catalog import read_catalog, read_search_path
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from tests.peers.postgres import Postgres

SCHEMA = "catalog_scene"
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


@pytest.fixture
def catalog(each_postgres: Postgres) -> Iterator[Catalog]:
    each_postgres.sql(MADE)
    try:
        yield asyncio.run(read_catalog(target(each_postgres), login(each_postgres)))
    finally:
        each_postgres.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def target(postgres: Postgres) -> Target:
    tls = UpstreamTls("verify-full", str(postgres.ca))
    classify = {ColumnName(SCHEMA, "people", "email"): "email"}
    return Target("t", "postgres", postgres.host, postgres.port, postgres.database, tls, "static", classify=classify)


def login(postgres: Postgres) -> Credential:
    return Credential(postgres.superuser, Secret(postgres.superuser_password))


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


def test_the_search_path_is_that_of_the_login(postgres: Postgres) -> None:
    assert asyncio.run(read_search_path(target(postgres), login(postgres))) == '"$user", public'
