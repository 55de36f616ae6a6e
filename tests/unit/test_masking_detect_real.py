"""Cells as real servers send them, in both formats: what is hidden in them stays valid for its type."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.pq import ExecStatus

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.detectors import BUILT_IN
from hoopx_broker.masking.looked_into import is_encoded
from hoopx_broker.terms.masks import Detector
from tests.peers.postgres import Postgres
from tests.unit.wire_stage import row

Connection = psycopg.Connection[tuple[object, ...]]
ALL = Detection([Detector(name) for name in BUILT_IN])
MAIL, CARD = "ann.smith@example.com", "4111 1111 1111 1111"

TYPES = """\
create type person as (id int, mail text, born date, more jsonb);
create type mood as enum ('ann.smith@example.com', 'calm');
create type span as range (subtype = text);
create domain address as text;
create extension if not exists hstore;
create extension if not exists citext;
"""

HOLDING = [
    f"'to {MAIL}'::text",
    f"'to {MAIL}'::varchar(50)",
    f"'{MAIL}'::char(30)",
    f"'{MAIL}'::name",
    f"'{MAIL}'::address",
    f"'{MAIL}'::citext",
    f"'{MAIL}'::mood",
    f"'{MAIL}'",
    f"""'{{"a": ["{MAIL}", 4111111111111111, 1.50], "a": 1e3}}'::json""",
    """'{"a": "ann.smith\\u0040example.com", "b": "\\u00e9\\n\\""}'::json""",
    """'{"a": "ann.smith\\u0040example.com"}'::json::text""",
    f"""'{{"a": {{"b": "{MAIL}"}}, "n": 4111111111111111, "big": 1e300}}'::jsonb""",
    f"jsonb_build_object('a', '{MAIL}')::text",
    f"json_build_object('{MAIL}', 1)",
    "jsonb_build_object('password', 'x y')",
    f"""xmlparse(content '<a b="{MAIL}">{CARD}</a>')""",
    "xmlparse(content '<a>ann.smith&#64;example&#x2e;com &amp; co</a>')",
    f"xmlparse(content '<a>{MAIL}</a>')::text",
    f"'{MAIL}'::bytea",
    f"'\\xff00'::bytea || ' {MAIL} '::bytea || '\\x00ff'::bytea",
    f"'{MAIL}'::bytea::text",
    f"encode('{MAIL} \\\\'::bytea, 'escape')",
    f"array['a b', '{MAIL}, \"quoted\" \\', null, '{CARD}']",
    f"array[array['{MAIL}'], array['x']]",
    f"'[5:6]={{{MAIL},x}}'::text[]",
    f"array['{MAIL}'::varchar, 'x']",
    f"""array['{{"a": "{MAIL}"}}', 'null']::json[]""",
    f"""array['{{"a": "{MAIL}"}}']::jsonb[]""",
    f"array['{MAIL}'::bytea, '\\x00']",
    f"array[xmlparse(content '<a>{MAIL}</a>')]",
    f"array['{MAIL}'::citext]",
    f"array['{MAIL}'::mood, 'calm']",
    f"""row(1, 'see "{MAIL}", \\', now(), '{{"a": "{MAIL}"}}'::jsonb)::person""",
    f"""array[row(1, '{MAIL}', now(), null)::person, null]""",
    f"hstore(array['a', '{MAIL}', 'b', null])",
    f"hstore('{MAIL}', 'x')",
    f"span('{MAIL}', 'b')",
    f"to_tsvector('simple', '{MAIL}')",
    f"to_json('{MAIL}'::bytea)",
    f"json_agg(row(1, '{MAIL}', array['{CARD}']))",
    f"repeat('x ', 600000) || '{MAIL}'",
    f"array_fill('{MAIL}'::text, array[2000])",
    f"jsonb_build_object('a', repeat('x\"', 300000) || '{MAIL}')",
]

PLAIN = [
    "'nothing here'::text",
    "12345678",
    "4111111111111111::bigint",
    "4111111111111111::numeric",
    "now()",
    "gen_random_uuid()",
    "'10.1.2.3'::inet",
    "array[1, 2]",
    "array['a b', null, '\"']",
    """'{ "a" : [1.50, "\\u00e9\\n"], "a": null}'::json""",
    """'{"a": {"b": "c"}}'::jsonb""",
    "'\\x00ff'::bytea",
    "row(1, 'a b', now(), '{}')::person",
    "hstore('a', 'b')",
    "(select array_agg(oid) from pg_class)",
    "(select jsonb_agg(to_jsonb(t) - 'typname') from pg_type t)",
    "(select string_agg(prosrc, ' ') from pg_proc where prosrc !~ '@|::|password|token')",
]


@pytest.fixture(scope="module")
def connection(postgres: Postgres) -> Iterator[Connection]:
    postgres.sql("create schema looked")
    with psycopg.connect(postgres.dsn(), autocommit=True, options="-c search_path=looked,public") as made:
        made.execute(TYPES.encode())
        yield made
        made.execute("drop schema looked cascade")


def cell_of(connection: Connection, text: str, wire_format: int) -> tuple[bytes, int]:
    result = connection.pgconn.exec_params(f"select {text} as it".encode(), [], result_format=wire_format)
    assert result.status == ExecStatus.TUPLES_OK, result.error_message
    cell = result.get_value(0, 0)
    assert cell is not None
    return cell, result.ftype(0)


def read_back(connection: Connection, cell: bytes, type_oid: int, wire_format: int) -> str:
    """What the server takes it for; it refuses what is not valid for the type."""
    found = connection.execute("select format_type(%s, null)", [type_oid]).fetchone()
    assert found is not None
    name = "bpchar" if found[0] == "character" else found[0]  # the other is one character long
    cast = f"select ($1::{name})::text".encode()
    result = connection.pgconn.exec_params(cast, [cell], [type_oid], [wire_format])
    assert result.status == ExecStatus.TUPLES_OK, result.error_message
    return (result.get_value(0, 0) or b"").decode()


@pytest.mark.parametrize("wire_format", [0, 1])
@pytest.mark.parametrize("text", HOLDING)
def test_what_is_hidden_stays_valid_for_its_type(connection: Connection, text: str, wire_format: int) -> None:
    cell, type_oid = cell_of(connection, text, wire_format)
    assert ALL.covers(type_oid, wire_format)
    assert ALL.sees(row(cell), encoded=is_encoded(type_oid))
    shown = ALL.hide(cell, type_oid, wire_format)
    assert shown != cell
    for value in (MAIL, CARD, "x y", MAIL.encode().hex()):
        assert value.encode() not in (shown or b"")
    if shown is not None and "mood" not in text and "tsvector" not in text:
        read = read_back(connection, shown, type_oid, wire_format)
        assert "*****" in read or "2a2a2a2a2a" in read


@pytest.mark.parametrize("wire_format", [0, 1])
@pytest.mark.parametrize("text", PLAIN)
def test_what_holds_nothing_passes_as_it_came(connection: Connection, text: str, wire_format: int) -> None:
    cell, type_oid = cell_of(connection, text, wire_format)
    assert ALL.hide(cell, type_oid, wire_format) is cell


@pytest.mark.parametrize("type_name", ["json", "jsonb"])
def test_a_document_of_the_server_keeps_all_but_its_hits(connection: Connection, type_name: str) -> None:
    made = json.dumps({"mail": MAIL, "list": [CARD, {"x": 4111111111111111, "y": 1.5, "z": "é\n\t\\"}], "n": None})
    for wire_format in (0, 1):
        cell, type_oid = cell_of(connection, f"""'{made.replace("'", "''")}'::{type_name}""", wire_format)
        shown = ALL.hide(cell, type_oid, wire_format) or b""
        assert json.loads(shown.lstrip(b"\x01")) == {
            "mail": "*****",
            "list": ["*****", {"x": 0, "y": 1.5, "z": "é\n\t\\"}],
            "n": None,
        }


def test_a_value_of_an_enum_and_of_a_search_vector_is_hidden(
    connection: Connection,
) -> None:
    """What stands instead may be none of the labels: clients show it, no server reads it."""
    for text in (f"'{MAIL}'::mood", f"to_tsvector('simple', '{MAIL}')"):
        for wire_format in (0, 1):
            cell, type_oid = cell_of(connection, text, wire_format)
            assert MAIL.encode() not in (ALL.hide(cell, type_oid, wire_format) or b"")
