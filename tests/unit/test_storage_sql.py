"""One text for both kinds of state: what is translated, what is refused, and that both have the same schema."""

from __future__ import annotations

import asyncio
import sqlite3

import psycopg
import pytest

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.migrate import migrate, shipped
from hoopx_broker.storage.notices import MAX_TOLD, Notices, check
from hoopx_broker.storage.sql import for_psycopg, refuse_strange
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import StateUrl
from tests.peers.postgres import Postgres


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("SELECT a FROM b WHERE c = ? AND d = ?", "SELECT a FROM b WHERE c = %s AND d = %s"),
        ("SELECT a FROM b WHERE c = :c OR d = :c", "SELECT a FROM b WHERE c = %(c)s OR d = %(c)s"),
        ("SELECT '?', ':x', '100%' FROM b WHERE c = ?", "SELECT '?', ':x', '100%%' FROM b WHERE c = %s"),
        ("SELECT 'it''s ?' -- why? :no\nFROM b", "SELECT 'it''s ?' -- why? :no\nFROM b"),
        ('SELECT "user", "a?" FROM b /* ? */', 'SELECT "user", "a?" FROM b /* ? */'),
        ("SELECT value FROM json_each(:x)", "SELECT value FROM json_members(%(x)s)"),
        ("SELECT a FROM b WHERE c LIKE 'x%' AND d % 2 = 0", "SELECT a FROM b WHERE c LIKE 'x%%' AND d %% 2 = 0"),
    ],
)
def test_parameters_are_translated_where_they_are_parameters(text: str, translated: str) -> None:
    assert for_psycopg(text) == translated


@pytest.mark.parametrize(
    "text",
    [
        "SELECT user FROM sessions",
        "UPDATE leases SET user = :user",
        "SELECT id FROM a WHERE b IS ?",
        "SELECT id FROM a WHERE b IS NOT :b",
        "UPDATE a SET b = max(b, ?)",
        "SELECT id FROM a WHERE 1",
        "SELECT id FROM a WHERE b = ? AND 1",
        "SELECT json_group_array(b) FROM a",
        "INSERT INTO a VALUES (?) RETURNING id",
        "INSERT OR IGNORE INTO a VALUES (?)",
        "SELECT b::text FROM a",
        "SELECT ifnull(b, 0) FROM a",
    ],
)
def test_what_only_one_of_them_reads_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in a statement on the state"):
        refuse_strange(text)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT "user" FROM sessions WHERE "user" = :user',
        "SELECT 'user', id FROM a -- the user\nWHERE b IS NULL AND 1 = :one",
        "SELECT max(number) FROM a",
        "SELECT state FROM a WHERE b = 0 AND c IS NOT NULL",
    ],
)
def test_what_both_read_is_not_refused(text: str) -> None:
    refuse_strange(text)


def test_parameters_of_both_kinds_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        for_psycopg("SELECT a FROM b WHERE c = ? AND d = :d")


def test_both_kinds_of_state_have_the_same_tables_and_columns(state_url: StateUrl, state_server: Postgres) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, shipped())
    query = (
        "SELECT m.name, c.name, lower(c.type) FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'schema_version'"
    )
    kinds = {"real": "double precision", "blob": "bytea"}
    here = {(table, column): kinds.get(kind, kind) for table, column, kind in connection.execute(query)}
    connection.close()
    rows = state_server.sql(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'hoopx' AND table_name <> 'schema_version'",
        state_url.shown.rpartition("/")[2],
    )
    there = {(str(table), str(column)): str(kind).replace("bigint", "integer") for table, column, kind in rows}
    assert there == here


WALLS = {
    "an ended lease stays ended": (
        "INSERT INTO leases (id, session, target, source, state, created_at, expires_at)"
        " VALUES ('l', 's', 't', 'x', 'ended', 0, 0)",
        "UPDATE leases SET state = 'live' WHERE id = 'l'",
    ),
    "state": (
        'INSERT INTO sessions (id, "user", target, state, opened_at, expires_at, reason, ticket, lease)'
        " VALUES ('s', 'ann', 't', 'open', 0, 0, '', '', 'l')",
        "UPDATE sessions SET state = 'odd' WHERE id = 's'",
    ),
}


@pytest.mark.parametrize("said", WALLS)
def test_the_second_walls_stand_in_postgres_too(state_url: StateUrl, said: str) -> None:
    made, change = WALLS[said]

    async def scene() -> None:
        store = await Store.open(state_url)
        await store.run(lambda c: c.execute(made).close())
        with pytest.raises(psycopg.IntegrityError, match=said):
            await store.run(lambda c: c.execute(change).close())
        await store.close()

    asyncio.run(scene())


def test_truth_numbers_and_nothing_are_the_same_in_both(state_url: StateUrl) -> None:
    def look(connection: Connection) -> list[object]:
        text = "SELECT :yes, :no, :half, :big, :none, :text"
        values = {"yes": True, "no": False, "half": 0.5, "big": 2**40, "none": None, "text": "ä'\\"}
        return list(connection.execute(text, values).fetchone())

    async def scene() -> None:
        store = await Store.open(state_url)
        assert await store.run(look) == [1, 0, 0.5, 2**40, None, "ä'\\"]
        await store.close()

    asyncio.run(scene())


def test_one_that_fails_to_hear_keeps_nobody_from_hearing() -> None:
    heard: list[str | None] = []
    notices = Notices()

    def deaf(_: str | None) -> None:
        raise KeyError("deaf")

    notices.subscribe("guests", deaf)
    leave = notices.subscribe("guests", heard.append)
    notices.deliver([("guests", "ann"), ("others", "bob")])
    notices.look_again()
    leave()
    leave()
    notices.deliver([("guests", "eve")])
    assert heard == ["ann", None]


@pytest.mark.parametrize("message", ["x" * (MAX_TOLD + 1), "a\0b"])
def test_what_is_told_is_short_text(message: str) -> None:
    with pytest.raises(ValueError, match="what is told"):
        check("guests", message)
