"""Columns that a database classifies itself are hidden at once, and nobody from whom they are hidden lays them open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.stage import Stage, playing
from tests.peers import clients, found
from tests.peers.postgres import Foundry, installations

READ, WRITE = "shop-prod", "shop-dev"
PHONES = "+1-555-01"
# Ann owns the table, as far as her server is concerned, and may change structure on the target `shop-dev`.
LABELS = """
ALTER TABLE customers OWNER TO app_write;
COMMENT ON COLUMN customers.phone IS 'How to reach them. hoopx:phone';
COMMENT ON COLUMN customer_contacts.id IS 'hoopx: Number';
COMMENT ON COLUMN customer_contacts.email IS 'hoopx:public';
COMMENT ON COLUMN orders.item IS 'hoopx:public';
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel SELECT 'customers'::regclass, 'pg_class'::regclass, attnum, 'anon', 'MASKED WITH VALUE NULL'
FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'name'
"""
RULE = """
@id("public-values")
permit (principal, action == Action::"reveal", resource in DataClass::"public");
"""


@pytest.fixture(scope="module")
def labelled(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """For this file alone: what is said of columns holds for every target of its server."""
    found.require("psql")
    with foundry.server(installations()[0]) as postgres:
        postgres.sql(LABELS)
        stage = Stage(tmp_path_factory.mktemp("labelled"), postgres)
        (stage.home / "policies" / "90-public.cedar").write_text(RULE)
        with playing(stage):
            yield stage


def seen(stage: Stage, *sql: str, target: str = WRITE, who: str = "ann") -> str:
    outcome = stage.psql(target, *sql, who=who)
    return outcome.out + outcome.err


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT phone, name FROM customers",
        "SELECT upper(phone) || name FROM customers",
        "SELECT * FROM customer_contacts",
        "SELECT c::text FROM customers c",
        "COPY customers TO STDOUT",
    ],
)
def test_what_a_comment_or_label_classifies_stays_hidden(labelled: Stage, sql: str) -> None:
    heard = seen(labelled, sql)
    assert PHONES not in heard
    assert "Example 1" not in heard


def test_a_dba_sees_it_raw(labelled: Stage) -> None:
    assert PHONES in seen(labelled, "SELECT phone FROM customers WHERE id = 1", who="dora")
    assert "Example 1" in seen(labelled, "SELECT name FROM customers WHERE id = 1", who="dora")


@pytest.mark.parametrize(
    "sql",
    [
        "COMMENT ON COLUMN customers.phone IS NULL",
        "COMMENT ON COLUMN public.customers.phone IS 'hoopx:public'",
        "COMMENT ON COLUMN customers.email IS 'hoopx:public'",
        "SECURITY LABEL FOR anon ON COLUMN customers.name IS NULL",
        "DO $$ BEGIN COMMENT ON COLUMN customers.phone IS NULL; END $$",
        "DO $$ BEGIN EXECUTE 'COMMENT ON COLUMN customers.phone IS NULL'; END $$",
        "ALTER TABLE customers RENAME COLUMN phone TO handy",
    ],
)
def test_nobody_declassifies_what_is_hidden_from_him(labelled: Stage, sql: str) -> None:
    refused = labelled.psql(WRITE, sql)
    assert refused.code != 0
    assert "hoopx" in refused.err, refused.err
    assert PHONES not in seen(labelled, "SELECT phone, email FROM customers", target=READ)


def test_other_comments_are_written_as_ever(labelled: Stage) -> None:
    labelled.psql(WRITE, "COMMENT ON TABLE customers IS 'People who buy things'").fine()
    labelled.psql(WRITE, "COMMENT ON COLUMN customers.created_at IS 'When they first came'").fine()


def test_a_label_of_another_connection_counts_from_the_next_statement_on(labelled: Stage) -> None:
    """The label is set through the broker, so that every session on that target learns of it."""
    script = """
        import os, psycopg
        with psycopg.connect(os.environ['DATABASE_URL'], autocommit=True) as one:
            with psycopg.connect(os.environ['DATABASE_URL'], autocommit=True) as other:
                print(one.execute('SELECT created_at FROM customers LIMIT 1').fetchone()[0])
                other.execute("COMMENT ON COLUMN customers.created_at IS 'hoopx:entry'")
                print(one.execute('SELECT created_at FROM customers LIMIT 1').fetchone()[0])
    """
    heard = labelled.exec(WRITE, clients.python(script)).fine().out.splitlines()
    assert heard[0].startswith("2026-01-01")
    assert not heard[1].startswith("2026-01-01")


def test_a_word_that_names_no_class_hides_its_column_and_is_told(labelled: Stage) -> None:
    outcome = labelled.psql("misspelt", "SELECT id FROM customer_contacts")
    assert "names no class: public.customer_contacts.id" in outcome.err
    assert "17" not in outcome.out


def test_a_rule_may_reveal_a_class_that_the_database_names(labelled: Stage) -> None:
    assert labelled.psql(WRITE, "SELECT item FROM orders WHERE id = 1").fine().out == "widget 1\n"


def test_a_view_with_a_label_of_its_own_still_hides_what_it_shows_of_a_table(labelled: Stage) -> None:
    for sql in (
        "SELECT email FROM customer_contacts",
        "SELECT upper(email) FROM customer_contacts",
        "SELECT email || '' FROM customer_contacts v",
        "SELECT phone || '' FROM customer_contacts",
        "SELECT max(email) FROM customer_contacts",
    ):
        heard = seen(labelled, sql).lower()
        assert "@example.com" not in heard, sql
        assert PHONES not in heard, sql
