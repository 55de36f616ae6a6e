"""Classified columns that a minted role cannot read, whatever way round the masks somebody tries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from msgspec.structs import replace

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Order
from hoopx_broker.terms.targets import ColumnName
from tests.peers.postgres import Postgres
from tests.unit.minting import Scene, pinned, scene_with

SETTING = """
CREATE SCHEMA clinic;
CREATE TABLE clinic.patients (id integer PRIMARY KEY, name text, ssn text,
    short text GENERATED ALWAYS AS (right(ssn, 4)) STORED);
INSERT INTO clinic.patients VALUES (1, 'Ann', '000-12-3456');
CREATE TABLE clinic.visits (id integer, note text, day date) PARTITION BY RANGE (day);
CREATE TABLE clinic.visits_2026 PARTITION OF clinic.visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO clinic.visits VALUES (1, '000-12-3456', '2026-02-01');
CREATE TABLE clinic."Odd Name" (a integer, "b;c" text);
CREATE VIEW clinic.safe AS SELECT id, name FROM clinic.patients;
CREATE VIEW clinic.over AS SELECT row_to_json(p) AS all_of_it FROM clinic.patients AS p;
CREATE VIEW clinic.over_over AS SELECT * FROM clinic.over;
ANALYZE clinic.patients;
"""
CLASSIFY = {
    ColumnName("clinic", "patients", "ssn"): "ssn",
    ColumnName("clinic", "visits", "note"): "note",
}
TABLES = ("clinic.*", "clinic.safe")


@pytest.fixture(scope="module")
def clinic(postgres: Postgres) -> Iterator[Postgres]:
    postgres.sql(SETTING)
    yield postgres
    postgres.sql("DROP SCHEMA clinic CASCADE")


@pytest.fixture
def scene(clinic: Postgres) -> Iterator[Scene]:
    with scene_with(clinic, "superuser") as scene:
        yield scene


def issue(scene: Scene, tables: tuple[str, ...] = TABLES, **changes: object) -> tuple[Order, Issued]:
    order = scene.order(**({"roles": (), "columns_of": tables} | changes))
    order = replace(order, target=replace(order.target, classify=CLASSIFY))
    return order, asyncio.run(scene.issuer.issue(order, pinned))


READABLE = {
    "SELECT id, name FROM clinic.patients": [(1, "Ann")],
    "SELECT * FROM clinic.safe": [(1, "Ann")],
    "SELECT id, day::text FROM clinic.visits": [(1, "2026-02-01")],
    'SELECT a, "b;c" FROM clinic."Odd Name"': [],
    "SELECT attname::text FROM pg_stats WHERE schemaname = 'clinic' AND attname IN ('ssn', 'short')": [],
}
WAYS_ROUND = [
    "SELECT ssn FROM clinic.patients",
    "SELECT short FROM clinic.patients",
    "SELECT * FROM clinic.patients",
    "SELECT p FROM clinic.patients AS p",
    "SELECT row_to_json(p) FROM clinic.patients AS p",
    "SELECT id FROM clinic.patients WHERE ssn LIKE '000%'",
    "SELECT id FROM clinic.patients ORDER BY ssn",
    "SELECT p.name FROM clinic.patients AS p JOIN (VALUES ('000-12-3456')) AS v(ssn) USING (ssn)",
    "COPY clinic.patients TO STDOUT",
    "COPY (TABLE clinic.patients) TO STDOUT",
    "SELECT query_to_xml('SELECT ssn FROM clinic.patients', true, false, '')",
    "SELECT table_to_xml('clinic.patients', true, false, '')",
    "SELECT note FROM clinic.visits",
    "SELECT note FROM clinic.visits_2026",
    "SELECT * FROM clinic.over",
    "SELECT * FROM clinic.over_over",
    "CREATE TEMPORARY VIEW mine AS SELECT ssn FROM clinic.patients; SELECT * FROM mine",
    "SELECT stavalues1 FROM pg_statistic",
    "SELECT pg_read_file('PG_VERSION')",
    "SET ROLE postgres",
]


def test_the_role_reads_the_rest_and_no_way_round_reaches_a_classified_column(scene: Scene) -> None:
    _, issued = issue(scene)
    with closing(scene.log_in(issued)) as connection:
        for text, rows in READABLE.items():
            assert connection.execute(text).fetchall() == rows, text
        connection.execute("SET default_transaction_read_only = off")
        for text in WAYS_ROUND:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(text)


@pytest.mark.parametrize(
    ("give", "take", "told"),
    [
        ("GRANT SELECT ON clinic.patients TO PUBLIC", "REVOKE SELECT ON clinic.patients FROM PUBLIC",
         r"SELECT on `clinic\.patients\.short`"),
        ("GRANT SELECT (note) ON clinic.visits_2026 TO app_read", "REVOKE ALL ON clinic.visits_2026 FROM app_read",
         r"SELECT on `clinic\.visits_2026\.note`"),
        ("GRANT SELECT ON clinic.over_over TO app_read", "REVOKE ALL ON clinic.over_over FROM app_read",
         r"by the view `clinic\.over_over`"),
        ("GRANT pg_read_server_files TO app_read", "REVOKE pg_read_server_files FROM app_read",
         "membership in `pg_read_server_files`"),
        ("GRANT pg_read_all_data TO app_read", "REVOKE pg_read_all_data FROM app_read", "SELECT on `clinic"),
    ],
)  # fmt: skip
def test_another_way_to_a_classified_column_means_no_role(scene: Scene, give: str, take: str, told: str) -> None:
    if "pg_read_all_data" in give and scene.server.installation.major < 14:
        pytest.skip("this role is new in PostgreSQL 14")
    scene.superuser(give)
    try:
        with pytest.raises(BackendFailed, match=f"could read classified columns by {told}|{told}") as refused:
            issue(scene, roles=("app_read",))
        assert refused.value.hint
        assert scene.server.roles("hoopx_s_") == set()
    finally:
        scene.superuser(take)


def test_a_view_that_asks_for_the_callers_rights_is_no_way_round(scene: Scene) -> None:
    if scene.server.installation.major < 15:
        pytest.skip("such views are new in PostgreSQL 15")
    scene.superuser("CREATE VIEW clinic.mine WITH (security_invoker) AS SELECT * FROM clinic.patients")
    scene.superuser("GRANT SELECT ON clinic.mine TO PUBLIC")
    try:
        _, issued = issue(scene)
        with closing(scene.log_in(issued)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT ssn FROM clinic.mine")
    finally:
        scene.superuser("DROP VIEW clinic.mine")


def test_a_table_that_is_not_there_is_named(scene: Scene) -> None:
    with pytest.raises(BackendFailed, match=r"finds no column that may be read in `clinic\.nurses`"):
        issue(scene, ("clinic.nurses",))


def test_an_administrator_without_the_right_to_grant_is_told_so(clinic: Postgres) -> None:
    with scene_with(clinic, "createrole") as scene:
        clinic.sql(f"GRANT USAGE ON SCHEMA clinic TO {scene.admin} WITH GRANT OPTION")
        clinic.sql(f"GRANT SELECT ON clinic.patients TO {scene.admin}")
        with pytest.raises(BackendFailed, match="could not grant all") as refused:
            issue(scene, ("clinic.patients",))
        clinic.sql(f"REVOKE ALL ON clinic.patients FROM {scene.admin}")
        clinic.sql(f"REVOKE ALL ON SCHEMA clinic FROM {scene.admin} CASCADE")
    assert "WITH GRANT OPTION" in refused.value.hint
