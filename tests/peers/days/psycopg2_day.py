"""A day of psycopg2, the driver of most Python code that is older than a few years: simple queries only."""

from __future__ import annotations

import io
import select
import sys
from datetime import UTC, datetime

import psycopg2
import psycopg2.extras


def reads() -> None:
    connection = psycopg2.connect("")
    cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    psycopg2.extras.register_default_jsonb(connection)
    psycopg2.extras.register_uuid(None, connection)
    print(psycopg2.extras.HstoreAdapter.get_oids(connection))
    psycopg2.extras.register_composite("library.address", connection)
    cursor.execute("SELECT id, title, tags, extra, added, length, token FROM library.book WHERE id IN %s", ((1, 2, 3),))
    print(cursor.fetchall())
    cursor.execute("SELECT home, feels FROM library.author ORDER BY id")
    print(cursor.fetchall())
    with connection.cursor("by name", withhold=True) as named:
        named.itersize = 11
        named.execute("SELECT id FROM library.book WHERE added > %s", (datetime(2020, 1, 1, tzinfo=UTC),))
        print(sum(row[0] for row in named))
    connection.commit()
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, title FROM library.book ORDER BY id) TO STDOUT (FORMAT csv)", out)
    print(out.getvalue())
    try:
        cursor.execute("SELECT 1/0")
    except psycopg2.Error as error:
        print(error.pgcode, error.pgerror)
    connection.rollback()
    connection.set_session(readonly=True, isolation_level="SERIALIZABLE")
    cursor.execute("SHOW transaction_isolation")
    print(cursor.fetchall())
    connection.commit()
    connection.close()


def writes() -> None:
    connection = psycopg2.connect("")
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE psycopg2_day (id integer, name text)")
    psycopg2.extras.execute_values(
        cursor, "INSERT INTO psycopg2_day VALUES %s", [(n, f"it's {n}") for n in range(250)], page_size=60
    )
    psycopg2.extras.execute_batch(
        cursor, "UPDATE psycopg2_day SET name = %s WHERE id = %s", [("x", n) for n in range(30)]
    )
    cursor.copy_from(io.StringIO("1000\ta\n1001\tb\\tc\n"), "psycopg2_day")
    cursor.execute("SELECT count(*), max(name), max(id) FROM psycopg2_day")
    print(cursor.fetchall())
    connection.commit()
    connection.autocommit = True
    cursor.execute("LISTEN news; NOTIFY news, 'psycopg2'")
    while not connection.notifies:
        select.select([connection], [], [], 10)
        connection.poll()
    print([(each.channel, each.payload) for each in connection.notifies])
    cursor.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
    print(connection.notices)
    connection.close()


if __name__ == "__main__":
    {"reads": reads, "writes": writes}[sys.argv[1]]()
    print("the day is over")
