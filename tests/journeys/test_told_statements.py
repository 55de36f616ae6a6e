"""What a recording tells of each statement: what it does to which tables, how it ended, how many rows it moved."""

from __future__ import annotations

from collections.abc import Sequence

from hoopx_broker.recording.replay import moments
from hoopx_broker.terms.entries import Entry, Executed, Failed, Finished, Statement
from tests.journeys.stage import Stage
from tests.peers import clients

TARGET = "shop-dev"
ORDERS, CUSTOMERS = "public.orders", "public.customers"


def recorded(stage: Stage, command: Sequence[str]) -> list[Entry]:
    """Everything that the session of this command left behind."""
    known = {each["id"] for each in stage.listed("sessions", "ls")}
    stage.exec(TARGET, command)
    [new] = [each["id"] for each in stage.listed("sessions", "ls") if each["id"] not in known]
    with (stage.home / "recordings" / f"{new}.hoopx").open("rb") as file:
        return [entry for _, entry in moments(file)]


def said(entries: Sequence[Entry]) -> list[tuple[str, str, str]]:
    """Each statement in a few words: its beginning, what it does, to which tables."""
    statements = [each for each in entries if isinstance(each, Statement)]
    return [(each.text[:18], " ".join(each.effects), " ".join(each.tables)) for each in statements]


def ended(entries: Sequence[Entry]) -> list[tuple[str, int, int]]:
    """Each end: the server's tag or the error's code, rows that came, rows that the tag counts."""
    found: list[tuple[str, int, int]] = []
    for each in entries:
        if isinstance(each, Finished):
            found.append((each.tag, each.rows, each.affected))
        elif isinstance(each, Failed):
            found.append((each.code, 0, 0))
    return found


def test_psql(stage: Stage) -> None:
    again = "SELECT id FROM orders ORDER BY id LIMIT 3"
    several = "BEGIN; UPDATE customers SET name = name WHERE id <= 2; ROLLBACK"
    copied = "COPY (SELECT id FROM orders ORDER BY id LIMIT 4) TO STDOUT"
    wrong = "SELECT nothing_like_this FROM orders"
    entries = recorded(stage, clients.psql(again, again, several, wrong, copied, "CREATE ROLE somebody", ""))
    assert said(entries) == [
        ("SELECT id FROM ord", "read", ORDERS),
        ("SELECT id FROM ord", "read", ORDERS),
        ("BEGIN; UPDATE cust", "read session update", CUSTOMERS),
        ("SELECT nothing_lik", "read", ORDERS),
        ("COPY (SELECT id FR", "copy read", ORDERS),
        ("CREATE ROLE somebo", "admin", ""),
        ("", "", ""),
    ]
    several_ends = [("BEGIN", 0, 0), ("UPDATE 2", 0, 2), ("ROLLBACK", 0, 0)]
    reads = [("SELECT 3", 3, 3)] * 2
    assert ended(entries) == [*reads, *several_ends, ("42703", 0, 0), ("COPY 4", 0, 4), ("", 0, 0)]
    first, remembered, *others = [each.took_us for each in entries if isinstance(each, Statement)]
    assert 0 < first < 60_000_000
    assert remembered == 0
    assert any(each % 100 for each in (first, *others)), "it is told in microseconds"


def test_psycopg(stage: Stage) -> None:
    script = """
        import contextlib, psycopg
        with psycopg.connect() as talk:
            for most in (3, 2):
                talk.execute("SELECT id FROM customers WHERE id <= %s", [most], prepare=True).fetchall()
            with talk.pipeline():
                for number in (1, 2):
                    talk.execute("UPDATE customers SET name = name WHERE id = %s", [number])
            with talk.cursor().copy("COPY customers (id, name, email, ssn) FROM STDIN") as copy:
                copy.write_row([9001, "n", "e", "s"])
                copy.write_row([9002, "n", "e", "s"])
            with talk.cursor("c") as cursor:
                cursor.execute("SELECT id FROM orders LIMIT 5")
                cursor.fetchmany(2)
            with contextlib.suppress(psycopg.Error):
                talk.execute("INSERT INTO customers (id) VALUES (%s)", [1])
            talk.rollback()
    """
    entries = recorded(stage, clients.python(script))
    assert [each for each in said(entries) if each[1] != "session"] == [
        ("SELECT id FROM cus", "read", CUSTOMERS),
        *[("UPDATE customers S", "read update", CUSTOMERS)] * 2,
        ("COPY customers (id", "copy insert", CUSTOMERS),
        ('DECLARE "c" CURSOR', "read", ORDERS),
        ("FETCH FORWARD 2 FR", "read session", ORDERS),
        ("INSERT INTO custom", "insert", CUSTOMERS),
    ]
    silent = {"BEGIN", "ROLLBACK", "DECLARE CURSOR", "CLOSE CURSOR", "DEALLOCATE ALL"}
    assert [each for each in ended(entries) if each[0] not in silent] == [
        ("SELECT 3", 3, 3),
        ("SELECT 2", 2, 2),
        *[("UPDATE 1", 0, 1)] * 2,
        ("COPY 2", 0, 2),
        ("FETCH 2", 2, 2),
        ("23502", 0, 0),
    ]


def test_asyncpg(stage: Stage) -> None:
    script = """
        import asyncio, asyncpg
        async def main():
            talk = await asyncpg.connect()
            one = await talk.prepare("SELECT id FROM orders WHERE id <= $1")
            await one.fetch(4)
            async with talk.transaction():
                async for row in talk.cursor("SELECT id FROM orders ORDER BY id LIMIT 5", prefetch=2):
                    pass
            undone = talk.transaction()
            await undone.start()
            await talk.executemany("UPDATE customers SET name = name WHERE id <= $1", [(1,), (3,)])
            await talk.copy_from_query("SELECT id FROM orders LIMIT 6", output="/dev/null")
            await undone.rollback()
            await talk.close()
        asyncio.run(main())
    """
    entries = recorded(stage, clients.python(script))
    assert [each for each in said(entries) if each[1] != "session"] == [
        *[("SELECT id FROM ord", "read", ORDERS)] * 2,
        ("UPDATE customers S", "read update", CUSTOMERS),
        ("COPY (SELECT id FR", "copy read", ORDERS),
    ]
    assert [each for each in ended(entries) if each[0] not in {"BEGIN", "COMMIT", "ROLLBACK"}] == [
        ("SELECT 4", 4, 4),
        *[("", 2, 0)] * 2,  # a portal that is read in pieces
        ("SELECT 1", 1, 1),
        ("UPDATE 1", 0, 1),
        ("UPDATE 3", 0, 3),
        ("COPY 6", 0, 6),
    ]
    parameters = [each.parameters for each in entries if isinstance(each, Executed) if each.parameters]
    assert parameters == [((number).to_bytes(4, "big"),) for number in (4, 1, 3)]
