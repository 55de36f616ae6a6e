"""`hoopx classify`: what may be personal data is proposed from samples, and not one value is shown or needed raw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hoopx_broker.daemon.values import column
from tests.golden.cli_json import as_told
from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.clients import Outcome
from tests.peers.postgres import Foundry, installations

OPEN, CLASSIFIED, DENIED = "misspelt", "shop-prod", "shop-dev"
# Every value of the seed that is about a person holds one of these.
VALUES = ("@example.com", "@firm.test", "000-12-", "+1-555-01", "Example 1", "1984-")
ROOMS = """
CREATE SCHEMA "Odd.Schema";
CREATE TABLE "Odd.Schema"."Guest's book" (
  "E-Mail" varchar(50), note text, seen_from inet, "dateOfBirth" date, doc jsonb, mails text[], big bigint, "Name" text
);
INSERT INTO "Odd.Schema"."Guest's book"
SELECT format('guest%s@firm.test', n), CASE WHEN n < 4 THEN 'write to a@firm.test' ELSE 'nothing' END,
  ('192.0.2.' || n)::inet, '1984-02-29', jsonb_build_object('mail', format('guest%s@firm.test', n)),
  ARRAY[format('guest%s@firm.test', n)], n, 'x'
FROM generate_series(1, 20) AS n;
CREATE TABLE orders_of_people (buyer text) PARTITION BY LIST (buyer);
CREATE TABLE orders_of_ann PARTITION OF orders_of_people FOR VALUES IN ('ann');
CREATE TABLE locked (email text);
CREATE VIEW broken AS SELECT 1 / 0 AS email;
GRANT USAGE ON SCHEMA "Odd.Schema" TO app_read, app_write;
GRANT SELECT ON ALL TABLES IN SCHEMA "Odd.Schema" TO app_read, app_write;
GRANT SELECT ON orders_of_people, orders_of_ann, broken TO app_read, app_write;
COMMENT ON COLUMN payments.card IS 'hoopx:card';
"""
RULES = f"""
@id("scene-orders")
forbid (principal, action == Action::"read", resource == Table::"{OPEN}/public.orders");
@id("scene-all")
forbid (principal, action == Action::"read", resource in Schema::"{DENIED}/public");
@id("scene-odd")
forbid (principal, action == Action::"read", resource in Schema::"{DENIED}/\\"Odd.Schema\\"");
"""


@pytest.fixture(scope="module")
def rooms(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with more rooms, and rules of its own."""
    found.require("psql")
    with foundry.server(installations()[0]) as postgres:
        postgres.sql(ROOMS)
        stage = Stage(tmp_path_factory.mktemp("rooms"), postgres)
        (stage.home / "policies" / "90-scene.cedar").write_text(RULES)
        with playing(stage):
            yield stage


def proposed(outcome: Outcome) -> dict[str, str]:
    """What stands on stdout: a block of YAML and nothing else, whose every key the configuration would take."""
    (block,) = yaml.safe_load(outcome.fine().out).items()
    assert block[0] == "classify"
    assert all(column(name) for name in block[1])
    return dict(block[1])


def tells_no_value(outcome: Outcome) -> bool:
    return not any(value in outcome.out + outcome.err for value in VALUES)


def test_personal_data_is_proposed_by_its_values_and_names(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", OPEN, "--schema", "public")
    assert proposed(outcome) == {
        "public.customers.name": "name",
        "public.customers.email": "email",
        "public.customers.ssn": "national-id",
        "public.customers.phone": "phone",
    }
    assert "public.customers.email: email  # 200 of 200 values look like an e-mail address\n" in outcome.out
    assert tells_no_value(outcome)


def test_names_that_need_quotes_and_types_of_many_kinds_are_looked_at(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", OPEN, "--schema", "Odd.Schema", "--sample", "10")
    book = '"Odd.Schema"."Guest\'s book".'
    assert proposed(outcome) == {
        f'{book}"E-Mail"': "email",
        f"{book}seen_from": "ip",
        f'{book}"dateOfBirth"': "birth-date",
        f"{book}doc": "email",
        f"{book}mails": "email",
    }
    assert "10 of 10 values" in outcome.out
    assert tells_no_value(outcome)


def test_what_is_classified_is_told_and_neither_read_nor_proposed(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", CLASSIFIED, "--schema", "public")
    assert "public.customers.email is classified already: email, and masked for you\n" in outcome.err
    assert set(proposed(outcome)) == {"public.customers.name", "public.customers.phone"}
    asked = rooms.postgres.log()
    assert 'left("phone"::text' in asked
    seen_raw = rooms.hoopx("classify", CLASSIFIED, "--schema", "public", who="dora")
    assert "public.customers.email is classified already: email\n" in seen_raw.err
    assert proposed(seen_raw) == proposed(outcome)


def test_a_class_that_the_database_names_is_known_too(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", OPEN, "--schema", "public")
    assert "public.payments.card is classified already: card, and masked for you\n" in outcome.err


def test_a_table_that_a_rule_forbids_is_told_and_skipped(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", OPEN, "--schema", "public", "-q", "-o", "json")
    [document] = as_told("classify", outcome.fine().out)
    assert set(document["skipped"]) == {"public.orders"}
    assert "scene-orders" in document["skipped"]["public.orders"]
    assert outcome.err.startswith("public.orders is skipped: ")
    assert document["classify"]["public.customers.email"] == "email"
    assert document["known"] == {"public.payments.card": "card"}
    assert document["reasons"]["public.customers.name"] == "by its name"


def test_where_every_table_is_denied_the_command_is(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", DENIED)
    assert (outcome.code, outcome.out) == (10, "")
    assert "of `shop-dev` could be read" in outcome.err


def test_neither_views_nor_partitions_nor_what_one_may_not_read_are_looked_at(rooms: Stage) -> None:
    before = rooms.postgres.log_position()
    proposed(rooms.hoopx("classify", OPEN))
    heard = rooms.postgres.log(before)
    assert '"orders_of_people"' in heard
    for other in ("orders_of_ann", "customer_contacts", "broken", '"locked"'):
        assert f'from "public".{other}' not in heard
        assert f'"{other.strip(chr(34))}" limit' not in heard


def test_a_table_for_people_and_a_schema_that_is_not_there(rooms: Stage) -> None:
    outcome = rooms.hoopx("classify", OPEN, "--schema", "public", "-o", "table")
    assert outcome.fine().out.startswith("COLUMN ")
    nothing = rooms.hoopx("classify", OPEN, "--schema", "nowhere")
    assert proposed(nothing) == {}
    assert "no column that you may read" in nothing.err


def test_a_session_that_is_not_allowed_and_a_sample_that_is_none_leave_as_ever(rooms: Stage) -> None:
    assert rooms.hoopx("classify", OPEN, who="nobody").code == 10
    assert rooms.hoopx("classify", OPEN, "--sample", "0").code == 2
    assert rooms.hoopx("classify", OPEN, "--sample", "100001").code == 2
    assert rooms.hoopx("classify", "payments-prod").code == 12
    rooms.nothing_remains()


def test_settings_that_would_lead_libpq_elsewhere_mean_nothing(rooms: Stage) -> None:
    astray = {"PGHOSTADDR": "192.0.2.1", "PGCHANNELBINDING": "require", "PGSSLMODE": "require", "PGOPTIONS": "-c x=y"}
    outcome = rooms.hoopx("classify", OPEN, "--schema", "public", **astray)
    assert proposed(outcome)["public.customers.email"] == "email"


def test_without_a_client_library_it_says_what_to_install(rooms: Stage, tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError('none', name='psycopg')")
    outcome = rooms.hoopx("classify", OPEN, PYTHONPATH=str(tmp_path))
    assert (outcome.code, outcome.out) == (2, "")
    assert "pip install 'hoopx[broker]'" in outcome.err
