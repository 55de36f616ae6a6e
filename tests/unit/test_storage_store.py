"""The store under crashes, strangers and careless callers."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed, StateUnusable
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import ExitCode


def names(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM guests ORDER BY name")]


def guest(name: str) -> str:
    return f"INSERT INTO guests VALUES ('{name}')"


async def with_guests(path: Path) -> Store:
    store = await Store.open(path)
    await store.run(lambda c: c.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT PRIMARY KEY)").close())
    return store


def test_what_was_run_is_there_after_a_restart(tmp_path: Path) -> None:
    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        await store.run(lambda c: c.execute(guest("ann")).close())
        await store.close()
        store = await with_guests(tmp_path / "state.db")
        found = await store.run(names)
        await store.close()
        return found

    assert asyncio.run(scene()) == ["ann"]


def test_a_crash_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        await store.run(lambda c: c.execute(guest("ann")).close())
        crashed = image_of_a_crash(tmp_path)
        await store.close()
        survivor = await Store.open(crashed)
        found = await survivor.run(names)
        await survivor.close()
        return found

    assert asyncio.run(scene()) == ["ann"]


def image_of_a_crash(folder: Path) -> Path:
    """The files as `kill -9` leaves them: nothing closed, nothing folded back from the journal."""
    target = folder / "crashed"
    target.mkdir()
    for file in folder.glob("state.db*"):
        shutil.copy(file, target / file.name)
    return target / "state.db"


def test_work_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def half(connection: Connection) -> None:
        connection.execute(guest("ann"))
        raise KeyError("second thoughts")

    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        with pytest.raises(KeyError, match="second thoughts"):
            await store.run(half)
        found = await store.run(names)
        await store.close()
        return found

    assert asyncio.run(scene()) == []


def test_work_that_ends_its_own_transaction_is_found_out(tmp_path: Path) -> None:
    def careless(connection: Connection) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.executescript(guest("ann"))  # commits before it begins, runs outside of any transaction

    async def scene() -> None:
        store = await with_guests(tmp_path / "state.db")
        with pytest.raises(RuntimeError, match="ended from inside"):
            await store.run(careless)
        assert await store.run(names) == ["ann"], "the store still works"
        await store.close()

    asyncio.run(scene())


def test_many_callers_at_once_never_interleave(tmp_path: Path) -> None:
    def count_up(connection: Connection) -> None:
        (number,) = connection.execute("SELECT count(*) FROM guests").fetchone()
        connection.execute(guest(f"{number:03}"))  # a lost update would collide with the primary key

    async def scene() -> int:
        store = await with_guests(tmp_path / "state.db")
        await asyncio.gather(*(store.run(count_up) for _ in range(200)))
        found = await store.run(names)
        await store.close()
        return len(found)

    assert asyncio.run(scene()) == 200


def test_a_cancelled_caller_leaves_all_or_nothing_and_later_work_sees_which(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(guest("ann"))
        entered.set()
        leave.wait(10)
        connection.execute(guest("bob"))

    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(store.run(slow))
            queued = group.create_task(store.run(lambda c: c.execute(guest("eve")).close()))
            await asyncio.to_thread(entered.wait, 10)
            running.cancel()
            queued.cancel()
            await asyncio.wait([running, queued])  # before the thread goes on, or it may begin what was queued
            leave.set()
        found = await store.run(names)
        await store.close()
        return found

    assert asyncio.run(scene()) == ["ann", "bob"]


def test_close_finishes_what_was_asked_before_and_then_refuses(tmp_path: Path) -> None:
    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        async with asyncio.TaskGroup() as group:
            group.create_task(store.run(lambda c: c.execute(guest("ann")).close()))
            await asyncio.sleep(0)
            group.create_task(store.close())
        await store.close()
        with pytest.raises(StateFailed, match="closed") as refused:
            await store.run(names)
        assert refused.value.hint
        store = await Store.open(tmp_path / "state.db")
        found = await store.run(names)
        await store.close()
        return found

    assert asyncio.run(scene()) == ["ann"]


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.db"
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.chmod(0o644)

    async def scene() -> dict[str, int]:
        store = await with_guests(path)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await store.close()
        return modes

    old = os.umask(0)
    try:
        modes = asyncio.run(scene())
    finally:
        os.umask(old)
    assert set(modes) == {"state.db", "state.db-wal", "state.db-shm", "state.db.lock"}
    assert set(modes.values()) == {0o600}


SECOND_BROKER = """
import asyncio, sys
from pathlib import Path
from hoopx_broker.storage.store import Store
from hoopx_broker.storage.errors import StateUnusable
try:
    asyncio.run(Store.open(Path(sys.argv[1])))
except StateUnusable as refused:
    print(refused.message)
"""


@pytest.mark.parametrize("name", ["state.db", "link.db"])
def test_a_second_broker_on_the_same_state_is_refused_with_the_first_ones_number(tmp_path: Path, name: str) -> None:
    path, other = tmp_path / "state.db", tmp_path / name
    (tmp_path / "link.db").symlink_to(path)

    async def scene() -> str:
        store = await Store.open(path)
        second = await asyncio.to_thread(start_second, other)
        await store.close()
        return second

    assert asyncio.run(scene()) == f"another broker (process {os.getpid()}) is using `{other}`\n"
    assert start_second(path) == "", "the lock went with the first broker"


def start_second(path: Path) -> str:
    run = [sys.executable, "-W", "ignore", "-c", SECOND_BROKER, str(path)]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_power_going_loses_no_commit(tmp_path: Path) -> None:
    """`synchronous` 2 is FULL: the journal is on the disk when `run` returns."""

    async def scene() -> tuple[object, object]:
        store = await Store.open(tmp_path / "state.db")
        sync = await store.run(lambda c: c.execute("PRAGMA synchronous").fetchone())
        journal = await store.run(lambda c: c.execute("PRAGMA journal_mode").fetchone())
        await store.close()
        return sync[0], journal[0]

    assert asyncio.run(scene()) == (2, "wal")


def opened_with(path: Path) -> StateUnusable:
    with pytest.raises(StateUnusable) as refused:
        asyncio.run(Store.open(path))
    assert refused.value.exit_code is ExitCode.USAGE
    assert str(path) in refused.value.message
    assert refused.value.hint
    return refused.value


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann,\n" * 1000)
    opened_with(path)
    assert path.read_text() == "Dear Ann,\n" * 1000


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    opened_with(tmp_path)


def test_a_state_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    opened_with(tmp_path / "file" / "state.db")


def test_a_full_disk_fails_the_caller_with_the_remedy_and_nothing_is_half_written(tmp_path: Path) -> None:
    def fill(connection: Connection) -> None:
        assert isinstance(connection, sqlite3.Connection)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute(guest("ann"))
        connection.executemany("INSERT INTO guests VALUES (?)", [(f"{n:03}" + "x" * 4000,) for n in range(50)])

    async def scene() -> list[str]:
        store = await with_guests(tmp_path / "state.db")
        with pytest.raises(StateFailed, match="full") as failed:
            await store.run(fill)
        assert "free space" in failed.value.hint
        found = await store.run(names)
        await store.close()
        return found

    assert asyncio.run(scene()) == []


def test_a_mistake_in_our_own_sql_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        store = await Store.open(tmp_path / "state.db")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await store.run(lambda c: c.execute("SELECT * FROM nowhere").close())
        await store.close()

    asyncio.run(scene())
