"""A day of asyncpg: binary results, prepared statements by number, and its look at the catalog for each odd type."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from decimal import Decimal

import asyncpg


async def reads() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    for row in await connection.fetch("SELECT * FROM library.book WHERE id < $1 ORDER BY id", 4):
        print(dict(row))
    print([tuple(row) for row in await connection.fetch("SELECT id, home, feels FROM library.author ORDER BY id")])
    print(await connection.fetchval("SELECT ARRAY[ROW('a', 'b', 1)::library.address]"))
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=len)
    print(await connection.fetchval("SELECT extra FROM library.book WHERE id = 1"))
    statement = await connection.prepare("SELECT title FROM library.book WHERE id = $1 AND pages > $2::integer")
    print(statement.get_parameters(), statement.get_attributes(), [await statement.fetchval(n, 0) for n in range(1, 9)])
    print(await statement.explain(1, 0) != [])
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        print(sum([row[0] async for row in connection.cursor("SELECT id FROM library.book", prefetch=7)]))
        cursor = await connection.cursor("SELECT id FROM library.book ORDER BY id")
        await cursor.forward(10)
        print(await cursor.fetch(3), await cursor.fetchrow())
    out = io.BytesIO()
    print(await connection.copy_from_table("author", schema_name="library", columns=["id", "name"], output=out))
    print(await connection.copy_from_query("SELECT id FROM library.book WHERE id < $1", 9, output=out, format="csv"))
    print(out.getvalue())
    for asked in ("SELECT 1/0", "SELECT nope", "SELECT $1::int"):
        try:
            await connection.fetch(asked, *(["x"] if "$" in asked else []))
        except (asyncpg.PostgresError, asyncpg.DataError) as error:
            print(type(error).__name__, error)
    try:
        async with asyncio.timeout(0.3):
            await connection.execute("SELECT pg_sleep(30)")  # asyncpg cancels by a second connection
    except TimeoutError:
        print("cancelled", await connection.fetchval("SELECT 'goes on'"))
    await connection.reset()
    await connection.close()
    await _pooled()


async def _pooled() -> None:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=3) as pool:
        asked = [pool.fetchval("SELECT title FROM library.book WHERE id = $1", n) for n in range(1, 20)]
        print(await asyncio.gather(*asked))


async def writes() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute("CREATE TEMP TABLE asyncpg_day (id integer, name text, n numeric)")
    rows = [(n, f"name {n}", Decimal(n)) for n in range(300)]
    print(await connection.copy_records_to_table("asyncpg_day", records=rows))
    print(await connection.copy_to_table("asyncpg_day", source=io.BytesIO(b"1;x;2\n"), format="csv", delimiter=";"))
    await connection.executemany("INSERT INTO asyncpg_day VALUES ($1, $2, $3)", rows)
    print(await connection.fetchmany("INSERT INTO asyncpg_day VALUES ($1, $2, $3) RETURNING id", rows[:5]))
    print(await connection.fetchrow("SELECT count(*), sum(n), max(name) FROM asyncpg_day"))
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await connection.add_listener("news", lambda _connection, _pid, *told: heard.put_nowait(told))
    await connection.execute("SELECT pg_notify('news', 'asyncpg')")
    print(await asyncio.wait_for(heard.get(), 10))
    connection.add_log_listener(lambda _connection, said: print(said.severity, said.message))
    await connection.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
    await asyncio.sleep(0)
    await connection.close()


if __name__ == "__main__":
    asyncio.run({"reads": reads, "writes": writes}[sys.argv[1]]())
    print("the day is over")
