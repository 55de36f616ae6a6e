"""What real servers write for many options of COPY: unmasked it stays as it is, masked it can be read back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import CopyStyle
from hoopx_broker.wire.postgres.copying import CopyOut
from tests.peers.postgres import Postgres

Connection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]

CANARY = "CaNaRy"
MASKED = "*,\"'\n\\.\t|*"  # as hard to write as a mask may be
COLUMNS = ["id", "before", "secret", "after", "size"]
MASKS = [None, None, Mask(MASKED.encode()), None, None]

# What has been misread somewhere: marks, line ends, what looks like NULL, an end or an escape, and other alphabets.
PIECES = [
    "", "x", "\\", "\\\\", "\\.", "\\N", "\\n", "\n", "\r", "\r\n", "\t", "\b\f\v", "\1\x7f", '"', '""', "'", ",", ";",
    "|", "~", "^", "5", "x,y", 'a"b', "a\\", "\\,", '\\"', '",', '"\n"', "NULL", "null", " ", "é", "日本", "𝔘", "{}",
]  # fmt: skip
OPTIONS = [
    "",
    "(format text)",
    "(null '')",
    "delimiter '|'",
    r"(delimiter E'\b')",
    r"(delimiter E'\x02', null '\x')",
    "(delimiter '~', encoding 'utf8')",
    "csv",
    "csv header",
    "csv header force quote *",
    "(format csv, null 'x', force_quote (secret))",
    "(format csv, delimiter ';', null 'NULL')",
    r"(format csv, delimiter E'\t', quote '''')",
    r"(format csv, escape '\')",
    r"csv quote '~' escape '^' null '\N'",
    r"(format csv, delimiter '\', quote '5')",
    "(format csv, delimiter 'x', quote '|', escape 'y')",
    r"(format csv, delimiter '|', quote ',', escape '\', header true, force_quote *)",
    "binary",
    "(format binary)",
]
# Here a value may be written as NULL is, and then nobody can tell.
UNCLEAR = [
    "null as 'x'",
    "(delimiter ',', null 'NULL')",
    r"(delimiter E'\x02', null '\n')",
    "(delimiter 'N', null 'null')",
]


@pytest.fixture(scope="module")
def connection(each_postgres: Postgres) -> Iterator[Connection]:
    with psycopg.connect(each_postgres.dsn(), autocommit=True) as connection:
        connection.execute("create temp table nasty (id int, before text, secret text, after text, size int)")
        connection.execute("create temp table back (like nasty)")
        connection.execute("create temp table direct (like nasty)")
        with connection.cursor() as cursor, cursor.copy("copy nasty from stdin") as copy:
            for row in rows():
                copy.write_row(row)
        yield connection


def rows() -> Iterator[Row]:
    for n, piece in enumerate(PIECES):
        other = PIECES[-n]
        yield n, piece, f"{CANARY}{piece}{other}{CANARY}", other, n
        yield n, other, f"{piece}{CANARY}{other}", piece, None
        yield n, None, None, piece or None, n
    yield -1, None, "", None, None


def style_of(sql: str) -> CopyStyle:
    found = read(sql.encode())
    assert isinstance(found, tuple)
    style = found[0].copy_style
    assert style is not None
    return style


def sent(connection: Connection, sql: str) -> list[bytes]:
    """What is in each message that the server sends."""
    with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
        return [bytes(payload) for payload in copy]


def load(connection: Connection, table: str, options: str, data: bytes) -> list[Row]:
    """The rows that the server reads in these bytes."""
    options = re.sub(r",? force.quote (\*|\(.*?\))", "", options)
    connection.execute(f"truncate {table}".encode())
    with connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin {options}".encode()) as copy:
        copy.write(data)
    return connection.execute(f"select * from {table} order by ctid".encode()).fetchall()


@pytest.mark.parametrize("options", OPTIONS + UNCLEAR)
@pytest.mark.parametrize("what", ["nasty", "nasty (secret)", "(select * from nasty)"])
def test_what_nobody_masks_stays_as_the_server_wrote_it(connection: Connection, what: str, options: str) -> None:
    sql = f"copy {what} to stdout {options}"
    payloads = sent(connection, sql)
    whole = b"".join(payloads)
    width = 1 if what == "nasty (secret)" else len(COLUMNS)
    out = CopyOut(style_of(sql), [None] * width, lambda value, column: value)
    assert [out.feed(payload) for payload in payloads] == payloads
    out.end()
    for size in (1, 3, 7, len(whole)):
        out = CopyOut(style_of(sql), [None] * width)
        assert b"".join(out.feed(whole[at : at + size]) for at in range(0, len(whole), size)) == whole
        out.end()


@pytest.mark.parametrize("options", OPTIONS + UNCLEAR)
def test_the_server_reads_masked_rows_back_and_no_canary_is_in_them(connection: Connection, options: str) -> None:
    sql = f"copy nasty to stdout {options}"
    payloads = sent(connection, sql)
    out = CopyOut(style_of(sql), MASKS)
    masked = b"".join(out.feed(payload) for payload in payloads)
    out.end()
    assert CANARY.encode() not in masked
    expected = load(connection, "direct", options, b"".join(payloads))
    found = load(connection, "back", options, masked)
    assert len(found) == len(expected)
    for there, here in zip(expected, found, strict=True):
        assert here[:2] + here[3:] == there[:2] + there[3:]
        assert here[2] == (None if there[2] is None and options not in UNCLEAR else MASKED)


@pytest.mark.parametrize("options", ["", "csv", "(format csv, null 'x')", "binary"])
def test_a_single_hidden_column_is_read_back(connection: Connection, options: str) -> None:
    """The hardest for lines: an empty one, and one that looks like the end."""
    sql = f"copy nasty (secret) to stdout {options}"
    for mask in (b"", b"\\.", b"\\N", b"x"):
        out = CopyOut(style_of(sql), [Mask(mask)])
        masked = b"".join(out.feed(payload) for payload in sent(connection, sql))
        out.end()
        connection.execute("truncate back")
        with connection.cursor() as cursor, cursor.copy(f"copy back (secret) from stdin {options}".encode()) as copy:
            copy.write(masked)
        found = connection.execute("select secret from back").fetchall()
        assert found.count((mask.decode(),)) == 2 * len(PIECES) + 1
        assert found.count((None,)) == len(PIECES)


@pytest.mark.parametrize("options", ["", "csv", "csv header", "binary"])
@pytest.mark.parametrize("masks", [MASKS, []], ids=["no rows", "no columns"])
def test_a_copy_without_rows_or_columns_is_whole(
    connection: Connection, options: str, masks: list[Mask | None]
) -> None:
    sql = f"copy (select {'* from nasty where false' if masks else 'from nasty'}) to stdout {options}"
    payloads = sent(connection, sql)
    out = CopyOut(style_of(sql), masks)
    assert [out.feed(payload) for payload in payloads] == payloads
    out.end()


def test_the_look_of_null_or_of_quotes_does_not_tell_a_value(connection: Connection) -> None:
    """Each asks whether a hidden value is, or holds, what the client names: the answer must not depend on it."""
    asked = [
        "(null '{0}')",
        "(format csv, null '{0}')",
        "(format csv, delimiter 'C')",
        "(format csv, quote 'C')",
        "(format csv, escape 'C')",
        "(delimiter 'C')",
    ]
    for options in asked:
        sql = f"copy (select * from (values ('{CANARY}'), ('other')) v) to stdout {options.format(CANARY)}"
        out = CopyOut(style_of(sql), [Mask(b"*****")])
        one, other = (out.feed(payload) for payload in sent(connection, sql))
        assert one == other
