"""Migrations by several authors, across versions, cut at any point."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateUnusable
from hoopx_broker.storage.migrate import Migration, migrate, read_folder, shipped, statements_of
from hoopx_broker.storage.store import Store

HOUSE = Migration(1, "house", "CREATE TABLE house (id INTEGER PRIMARY KEY);\nINSERT INTO house VALUES (1);")
GARDEN = Migration(2, "garden", "CREATE TABLE garden (tree TEXT);")
POND = Migration(3, "pond", "CREATE TABLE pond (fish TEXT);")


def memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_version'")
    return {name for (name,) in rows}


def numbers(connection: Connection | sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM schema_version ORDER BY number")]


def test_each_step_is_applied_once() -> None:
    connection = memory()
    migrate(connection, [HOUSE])
    migrate(connection, [HOUSE, GARDEN])
    migrate(connection, [HOUSE, GARDEN])
    assert tables(connection) == {"house", "garden"}
    assert numbers(connection) == [1, 2]
    connection.close()


def test_a_step_of_another_room_that_came_late_is_applied() -> None:
    connection = memory()
    migrate(connection, [HOUSE, POND])
    migrate(connection, [HOUSE, GARDEN, POND])
    assert numbers(connection) == [1, 2, 3]
    connection.close()


def test_a_step_that_fails_leaves_nothing_of_itself_and_all_before_it() -> None:
    connection = memory()
    broken = Migration(2, "broken", "CREATE TABLE shed (tool TEXT); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, [HOUSE, broken])
    assert tables(connection) == {"house"}
    migrate(connection, [HOUSE, GARDEN])
    assert tables(connection) == {"house", "garden"}
    connection.close()


@pytest.mark.parametrize("sql", ["COMMIT;", "ROLLBACK;", "CREATE TABLE a (b); COMMIT; BEGIN; COMMIT;"])
def test_a_step_that_ends_its_transaction_does_not_count_as_done(sql: str) -> None:
    connection = memory()
    with pytest.raises(RuntimeError, match="0001 `escape` ends its own transaction"):
        migrate(connection, [Migration(1, "escape", sql)])
    assert numbers(connection) == []
    connection.close()


def test_a_state_of_a_newer_broker_is_refused_and_untouched(tmp_path: Path) -> None:
    async def scene() -> None:
        newer = await Store.open(tmp_path / "state.db", [HOUSE, GARDEN])
        await newer.close()
        with pytest.raises(StateUnusable, match="newer hoopx: it has schema step 0002 `garden`") as refused:
            await Store.open(tmp_path / "state.db", [HOUSE])
        assert refused.value.hint
        again = await Store.open(tmp_path / "state.db", [HOUSE, GARDEN])
        assert await again.run(numbers) == [1, 2]
        await again.close()

    asyncio.run(scene())


def test_the_same_number_with_another_name_is_another_history() -> None:
    connection = memory()
    migrate(connection, [HOUSE, GARDEN])
    with pytest.raises(StateUnusable, match="0002 `garden`"):
        migrate(connection, [HOUSE, Migration(2, "pond", POND.sql)])
    assert tables(connection) == {"house", "garden"}
    connection.close()


def test_two_files_of_one_number_are_found_before_anything_is_applied(tmp_path: Path) -> None:
    (tmp_path / "0001_house.sql").write_text(HOUSE.sql)
    (tmp_path / "0001_garden.sql").write_text(GARDEN.sql)
    with pytest.raises(ValueError, match="share a number"):
        read_folder(tmp_path)


def test_only_numbered_sql_files_are_steps(tmp_path: Path) -> None:
    (tmp_path / "0002_garden.sql").write_text(GARDEN.sql)
    (tmp_path / "0001_house.sql").write_text(HOUSE.sql)
    (tmp_path / "0003_pond.sql~").write_text(POND.sql)
    (tmp_path / "__init__.py").write_text("")
    assert read_folder(tmp_path) == (HOUSE, GARDEN)


def test_the_shipped_steps_make_the_whole_schema_from_nothing() -> None:
    connection = memory()
    migrate(connection, shipped())
    assert {"sessions", "leases", "requests", "ballots"} <= tables(connection)
    connection.close()


def test_a_script_is_cut_only_where_a_statement_ends() -> None:
    script = """
    -- a comment; with a semicolon
    CREATE TABLE a (b TEXT DEFAULT 'x;y'); /* and; here */
    CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = ';'; DELETE FROM a; END;
    SELECT ";" FROM a; ;
    INSERT INTO a VALUES (1)
    -- the end; of it"""
    connection = memory()
    kinds = [first_word(statement) for statement in statements_of(script)]
    for statement in statements_of(script):
        connection.execute(statement)
    connection.close()
    assert [kind for kind in kinds if kind] == ["CREATE", "CREATE", "SELECT", "INSERT"]


def first_word(statement: str) -> str:
    words = [line.split("*/")[-1].strip() for line in statement.splitlines() if not line.strip().startswith("--")]
    return "".join(words).split(" ")[0].strip(";")
