"""A day of psycopg 3: reading every way it has, or writing every way it has."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo
from psycopg.types.range import RangeInfo, register_range

BOOKS = "SELECT id, title, pages, price, tags, extra, cover, spoken_for, token, added, length, ratio FROM library.book"


def reads() -> None:
    with psycopg.connect(autocommit=True) as connection:
        _types(connection)
        _cursors(connection)
        _pipelines(connection)
        _copies(connection)
        _errors(connection)
        _prepares(connection)
    asyncio.run(_reads_async())


def _types(connection: psycopg.Connection[Any]) -> None:
    for binary in (False, True):
        rows = connection.execute(f"{BOOKS} WHERE id < %s ORDER BY id", [4], binary=binary).fetchall()
        print(binary, *rows, sep="\n")
    home = CompositeInfo.fetch(connection, "library.address")
    assert home is not None
    register_composite(home, connection)
    prices = RangeInfo.fetch(connection, "library.price_range")
    assert prices is not None
    register_range(prices, connection)
    mood = EnumInfo.fetch(connection, "library.mood")
    assert mood is not None
    print(mood.labels)
    print(connection.execute("SELECT name, home, feels FROM library.author ORDER BY id").fetchall())
    print(connection.execute("SELECT costs FROM library.book WHERE id = 5").fetchall())
    print(connection.execute("SELECT %s::int, %s::text, %s::numeric", [None, "ü\n'", Decimal("1.50")]).fetchall())


def _cursors(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction(), connection.cursor(name="a cursor", scrollable=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id FROM library.book ORDER BY id")
        print(cursor.fetchmany(3), cursor.fetchone())
        cursor.scroll(-2)
        print(cursor.fetchone())
        cursor.scroll(30, mode="absolute")
        print(len(cursor.fetchall()))
    with connection.transaction(), connection.cursor(name="rows", row_factory=dict_row) as cursor:
        cursor.itersize = 7
        print(sum(row["id"] for row in cursor.execute("SELECT id FROM library.book")))
    with connection.cursor() as cursor:
        print(list(cursor.stream("SELECT id FROM library.book WHERE id < %s ORDER BY id", [5])))
    client = psycopg.ClientCursor(connection)
    print(client.execute("SELECT %s, %s", ["it's \\", 3]).fetchone())
    raw = psycopg.RawCursor(connection)
    print(raw.execute("SELECT $1::int + $2", [1, 2]).fetchone())
    many = connection.execute("SELECT 1; SELECT 'two', 2; SET work_mem = '5MB'; SELECT 3")
    while True:
        print(many.statusmessage, many.fetchall() if many.description else None)
        if not many.nextset():
            break


def _pipelines(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline() as pipeline:
        first = connection.execute("SELECT 1")
        cursors = [connection.execute("SELECT title FROM library.book WHERE id = %s", [n]) for n in range(1, 30)]
        pipeline.sync()
        last = connection.execute("SELECT 2")
        print(first.fetchone(), [cursor.fetchone() for cursor in cursors], last.fetchone())
    try:
        with connection.pipeline():
            fine = connection.execute("SELECT 'before'")
            connection.execute("SELECT 1 / 0")
            skipped = connection.execute("SELECT 'after'")
            print(fine.fetchone())
            skipped.fetchone()
    except psycopg.Error as error:
        print(type(error).__name__, error.sqlstate)
    print(connection.execute("SELECT 'goes on'").fetchone())


def _copies(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        for how in ("TEXT", "CSV, HEADER", "BINARY"):
            asked = f"COPY (SELECT id, title, cover FROM library.book ORDER BY id) TO STDOUT (FORMAT {how})"
            with cursor.copy(asked.encode()) as copy:
                print(how, b"".join(bytes(part) for part in copy).hex())
        with cursor.copy(
            "COPY (SELECT id, tags FROM library.book ORDER BY id LIMIT 4) TO STDOUT (FORMAT BINARY)"
        ) as copy:
            copy.set_types(["int4", "text[]"])
            print(list(copy.rows()))
        with cursor.copy("COPY library.author (id, name) TO STDOUT") as copy:
            print(list(copy.rows()))
        with cursor.copy("COPY library.visit_other TO STDOUT") as copy:
            print(bytes(copy.read()))
            while copy.read():
                pass
    print(connection.execute("SELECT 'after the copies'").fetchone())


def _errors(connection: psycopg.Connection[Any]) -> None:
    for asked in ("SELECT nope", "SELECT 1/0", "SELECT 'x'::int", "SELECT * FROM library.nope", ""):
        try:
            print(connection.execute(asked.encode()).statusmessage)
        except psycopg.Error as error:
            told = error.diag
            print(told.sqlstate, told.message_primary, told.message_hint, told.statement_position, told.source_function)
    try:
        with connection.transaction():
            connection.execute("SELECT 1/0")
    except psycopg.Error as error:
        print(error, connection.info.transaction_status)
    with connection.transaction():
        try:
            with connection.transaction("point"):
                connection.execute("SELECT 1/0")
        except psycopg.Error as error:
            print(error, connection.info.transaction_status)
        print(connection.execute("SELECT 'after the savepoint'").fetchone())


def _prepares(connection: psycopg.Connection[Any]) -> None:
    connection.prepare_threshold = 2
    connection.prepared_max = 3
    for turn in range(24):  # more statements than may stay: psycopg deallocates them
        connection.execute(f"SELECT {turn % 6} + %s, title FROM library.book WHERE id = %s".encode(), [turn, 1])
    print(connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone())
    print(connection.execute("SELECT %s::int", [7], prepare=True).fetchone())
    for name in ("server_version", "TimeZone", "client_encoding", "standard_conforming_strings", "integer_datetimes"):
        print(name, connection.info.parameter_status(name))


async def _reads_async() -> None:
    async with await psycopg.AsyncConnection.connect(autocommit=True) as connection:
        async with connection.transaction(), connection.cursor(name="slow") as cursor:
            cursor.itersize = 9
            await cursor.execute("SELECT id FROM library.book")
            print(sum([row[0] async for row in cursor]))
        async with connection.pipeline():
            asked = [await connection.execute("SELECT %s::int", [n]) for n in range(50)]
            print([await cursor.fetchone() for cursor in asked])
        async with connection.cursor() as one, one.copy("COPY library.thing TO STDOUT") as copy:
            print([row async for row in copy.rows()])


def writes() -> None:
    with psycopg.connect() as connection:
        said: list[str | None] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        connection.execute("SET client_min_messages = notice; DROP TABLE IF EXISTS never_there")
        connection.execute("CREATE TABLE psycopg_day (id serial PRIMARY KEY, name text UNIQUE, data bytea, n numeric)")
        connection.commit()
        _inserts(connection)
        _copies_in(connection)
        connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$")
        print(said)
        _listens(connection)
        connection.execute("DROP TABLE psycopg_day")
        connection.commit()


def _inserts(connection: psycopg.Connection[Any]) -> None:
    rows = [(f"name {n}", bytes([n, 0, 255]), Decimal(n) / 3) for n in range(40)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO psycopg_day (name, data, n) VALUES (%s, %s, %s) RETURNING id", rows, returning=True
        )
        got = [cursor.fetchone()]
        while cursor.nextset():
            got.append(cursor.fetchone())
        print(got)
        cursor.executemany("UPDATE psycopg_day SET n = n + 1 WHERE id = %s", [[n] for n in range(1, 5)])
        print(cursor.rowcount)
    connection.commit()
    try:
        connection.execute("INSERT INTO psycopg_day (name) VALUES ('name 1')")
    except psycopg.errors.UniqueViolation as error:
        print(error.diag.constraint_name, error.diag.message_detail, error.diag.table_name)
    try:
        connection.execute("SELECT 1")
    except psycopg.errors.InFailedSqlTransaction as error:
        print(error)
    connection.rollback()
    with connection.pipeline():
        for n in range(30):
            connection.execute("INSERT INTO psycopg_day (n) VALUES (%s)", [n])
    print(connection.execute("SELECT count(*), sum(n) FROM psycopg_day WHERE id > 0").fetchone())
    connection.rollback()
    connection.execute("DELETE FROM psycopg_day WHERE id > %s", [30])
    connection.commit()


def _copies_in(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY psycopg_day (name, data) FROM STDIN") as copy:
            for n in range(500):
                copy.write_row((f"copied {n}\t\\", bytes([n % 256])))
        print(cursor.rowcount)
        with cursor.copy("COPY psycopg_day (name, n) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "numeric"])
            for n in range(500):
                copy.write_row((f"binary {n}", Decimal(n)))
        print(cursor.rowcount)
        connection.commit()
        for how in ("a bad row", "a change of mind"):
            try:
                with cursor.copy("COPY psycopg_day (n) FROM STDIN") as copy:
                    copy.write(b"1\n2\n")
                    if how == "a change of mind":
                        raise ValueError(how)
                    copy.write(b"not a number\n")
            except (psycopg.Error, ValueError) as error:
                print(type(error).__name__, error)
            connection.rollback()
    print(connection.execute("SELECT count(*), max(name), min(name) FROM psycopg_day").fetchone())
    connection.commit()


def _listens(connection: psycopg.Connection[Any]) -> None:
    connection.commit()
    connection.autocommit = True
    with psycopg.connect(autocommit=True) as other:
        connection.execute("LISTEN news")
        other.execute("NOTIFY news, 'one'")
        other.execute("SELECT pg_notify('news', %s)", ["two"])
        heard = list(connection.notifies(timeout=10, stop_after=2))
        print([(each.channel, each.payload) for each in heard])
        connection.execute("UNLISTEN *")
    connection.autocommit = False


if __name__ == "__main__":
    {"reads": reads, "writes": writes}[sys.argv[1]]()
    print("the day is over")
