"""Hidden values before their judges: real servers take them in both formats, and real clients decode them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from psycopg import pq
from psycopg.adapt import Transformer

from hoopx_broker.masking.shapes import mask_for
from hoopx_broker.masking.typed import BPCHAR, CONSTANTS
from hoopx_broker.terms.masks import REDACT, Shape
from tests.peers.postgres import Postgres

UNKNOWN = 705  # the server turns it into text
CSTRING, CSTRING_ARRAY = 2275, 1263
KEY = b"a key of more than 16 bytes"
HASH, FORMAT, LAST4, FIXED = Shape("hash"), Shape("format"), Shape("keep", last=4), Shape("fixed", text='a<b>"&\\')
# Values of the types that a hash fits in, odd ones among them.
SAMPLES = {
    "text": ["", "ann@example.com", "東京", "4111 1111 1111 1111", "x" * 300],
    "varchar(40)": ["ann@example.com"],
    "char(40)": ["ann@example.com"],
    "name": ["ann@example.com"],
    "json": ['{"a": [1, null]}', '"ann"'],
    "jsonb": ['{"a": [1, null]}', '"ann"'],
    "int2": ["0", "-32768", "7"],
    "int4": ["0", "-2147483648", "7"],
    "int8": ["0", "-9223372036854775808", "7"],
    "numeric": ["0", "-1.50", "1e40", "1e-30", "123456.789", "0.00010", "10000", "NaN", "99999999.0001"],
    "uuid": ["6f1c2d3e-0000-4000-8000-123456789abc"],
    "date": ["1984-02-29", "0001-01-01", "9999-12-31"],
    "timestamp": ["1984-02-29 23:59:59.5", "2000-01-01 00:00:00.000001", "1999-12-31 23:59:59.999999"],
    "timestamptz": ["1984-02-29 23:59:59.5+02", "1890-01-01 00:00:00+00"],
    "inet": ["10.0.0.7", "10.0.0.7/8", "2001:db8::7", "::ffff:10.0.0.7"],
    "cidr": ["10.0.0.0/8", "2001:db8::/48", "10.0.0.7/32"],
    "bytea": ["\\x", "\\x00ff", "\\x" + "ab" * 60],
}
# They have no equal in the other format, or in any, so nothing joins with them.
UNHASHABLE = {
    "date": ["infinity", "0044-03-15 BC", "10000-01-01"],
    "timestamp": ["-infinity", "0044-03-15 00:00:00 BC"],
    "float8": ["1.5"],
    "bool": ["t"],
    "interval": ["1 day"],
    "int4[]": ["{1,2}"],
    "int4range": ["[1,2)"],
}


@pytest.fixture
def connection(each_postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(each_postgres.dsn(), autocommit=True) as connection:
        connection.execute("SET TimeZone = 'Europe/Berlin'")
        yield connection


def echoed(connection: psycopg.Connection, value: bytes | None, kind: int, come: int, go: int) -> bytes | None:
    """What the server makes of a value of that type in the format `come`, in the format `go`."""
    result = connection.pgconn.exec_params(b"SELECT $1", [value], [kind], [come], pq.Format(go))
    assert result.status == pq.ExecStatus.TUPLES_OK, (kind, value, result.error_message)
    assert result.ftype(0) == (25 if kind == UNKNOWN else kind)
    return result.get_value(0, 0)


def stored(connection: psycopg.Connection, value: str, kind: str, go: int) -> tuple[int, bytes | None]:
    result = connection.pgconn.exec_params(f"SELECT $1::{kind}".encode(), [value.encode()], [0], [0], pq.Format(go))
    assert result.status == pq.ExecStatus.TUPLES_OK, (kind, value, result.error_message)
    return result.ftype(0), result.get_value(0, 0)


def known(connection: psycopg.Connection) -> set[int]:
    """The older servers lack some types."""
    return CONSTANTS.keys() & {oid for (oid,) in connection.execute("SELECT oid::int8 FROM pg_type")}


def test_each_constant_is_what_the_server_itself_would_send(connection: psycopg.Connection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    types = known(connection)
    assert len(types) > 80
    for kind in types:
        text, binary = CONSTANTS[kind].text, CONSTANTS[kind].binary
        assert [echoed(connection, text, kind, 0, go) for go in (0, 1)] == [text, binary], kind
        assert [echoed(connection, binary, kind, 1, go) for go in (0, 1)] == [text, binary], kind


def test_each_array_is_of_the_type_of_its_elements(connection: psycopg.Connection) -> None:
    found = connection.execute("SELECT oid::int8, typarray::int8 FROM pg_type WHERE oid = ANY(%s)", [[*CONSTANTS]])
    for kind, array in found.fetchall():
        if array and kind != CSTRING:
            assert array in CONSTANTS, kind
            assert CONSTANTS[array].binary[8:] == kind.to_bytes(4, "big")


def test_psycopg_decodes_each_constant_in_both_formats(connection: psycopg.Connection) -> None:
    loaders = Transformer(connection)
    for kind in known(connection):
        for wire_format, value in ((pq.Format.TEXT, CONSTANTS[kind].text), (pq.Format.BINARY, CONSTANTS[kind].binary)):
            loaders.get_loader(kind, wire_format).load(value)


def test_asyncpg_decodes_each_constant(connection: psycopg.Connection, each_postgres: Postgres) -> None:
    names = connection.execute(
        "SELECT oid::int8, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(%s)", [[*CONSTANTS]]
    )
    types: dict[int, str] = dict(names.fetchall())
    # Nobody can store these.
    for pseudo in (CSTRING, CSTRING_ARRAY, UNKNOWN):
        del types[pseudo]

    async def decode() -> None:
        trust = ssl.create_default_context(cafile=str(each_postgres.ca))
        server = await asyncpg.connect(
            host=each_postgres.host,
            port=each_postgres.port,
            user=each_postgres.superuser,
            password=each_postgres.superuser_password,
            database=each_postgres.database,
            ssl=trust,
        )
        try:
            for kind, name in types.items():
                # What comes is the binary constant: that the server sends just that is another test's matter.
                await server.fetchval(f"SELECT $1::text::{name}", CONSTANTS[kind].text.decode())
        finally:
            await server.close()

    asyncio.run(decode())


@pytest.mark.parametrize("shape", [REDACT, HASH, FORMAT, LAST4, FIXED], ids=lambda shape: shape.kind)
def test_a_hidden_value_is_valid_and_the_same_in_both_formats(connection: psycopg.Connection, shape: Shape) -> None:
    loaders = Transformer(connection)
    for kind, value in ((kind, value) for kind, values in SAMPLES.items() for value in values):
        (oid, text), (_, binary) = (stored(connection, value, kind, go) for go in (0, 1))
        assert text is not None
        assert binary is not None
        as_text = mask_for(oid, 0, shape, key=KEY).instead_of(text)
        as_binary = mask_for(oid, 1, shape, key=KEY).instead_of(binary)
        assert as_text is not None, value
        assert as_binary is not None, value
        loaded = [loaders.get_loader(oid, pq.Format(go)).load(cell) for go, cell in ((0, as_text), (1, as_binary))]
        assert echoed(connection, as_text, oid, 0, 1) == as_binary, value
        assert echoed(connection, as_binary, oid, 1, 1) == as_binary, value
        assert loaded[0] == loaded[1]


def test_what_no_hash_fits_in_is_null_in_both_formats(connection: psycopg.Connection) -> None:
    for kind, value in ((kind, value) for kind, values in UNHASHABLE.items() for value in values):
        for wire_format in (0, 1):
            oid, cell = stored(connection, value, kind, wire_format)
            assert cell is not None
            assert mask_for(oid, wire_format, HASH, key=KEY).instead_of(cell) is None, value


def test_equal_values_hash_alike_however_they_are_written(connection: psycopg.Connection) -> None:
    def hashed(value: str, kind: str) -> bytes | None:
        oid, cell = stored(connection, value, kind, 0)
        assert cell is not None
        return mask_for(oid, 0, HASH, key=KEY).instead_of(cell)

    assert hashed("1.50", "numeric") == hashed("1.5", "numeric") == hashed("001.5", "numeric(9,5)")
    assert hashed("2024-01-01 12:00+02", "timestamptz") == hashed("2024-01-01 10:00+00", "timestamptz")
    assert hashed("ann", "char(9)") == hashed("ann", "text") == hashed("ann", "varchar") == hashed("ann", "name")
    assert hashed("10.0.0.7/32", "inet") == hashed("10.0.0.7", "inet")
    assert hashed("1", "int4") != hashed("2", "int4")
    assert stored(connection, "x", "char(3)", 0)[0] == BPCHAR


def test_a_session_that_writes_days_in_its_own_way_loses_the_hash_and_nothing_else(
    connection: psycopg.Connection,
) -> None:
    """Only for the sake of joins would somebody read `DateStyle`; without it a day in that style is just hidden."""
    for style in ("German", "SQL, DMY", "Postgres, MDY"):
        connection.execute(f"SET DateStyle = '{style}'".encode())
        for kind in ("date", "timestamp", "timestamptz"):
            oid, cell = stored(connection, "1984-02-03 00:00:00", kind, 0)
            assert cell is not None
            assert mask_for(oid, 0, HASH, key=KEY).instead_of(cell) is None
