"""The state in PostgreSQL under other brokers, broken lines, lost answers and servers that go away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hoopx_broker.storage import postgres, postgres_migrate
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed, StateUnusable
from hoopx_broker.storage.migrate import Migration, shipped
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import StateUrl
from tests.peers.cable import Cable, cable_to
from tests.peers.postgres import SUPERUSER_PASSWORD, Postgres
from tests.peers.state import fresh_state, url_of

GUESTS = "identity_assertions"  # any table with a key will do


def names(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(f"SELECT id FROM {GUESTS} ORDER BY id")]


def add(connection: Connection, *those: str) -> None:
    for name in those:
        connection.execute(f"INSERT INTO {GUESTS} (agent, id, expires_at) VALUES ('', ?, 1)", (name,))


def on_stores(count: int, where: StateUrl, scene: Callable[..., Awaitable[None]]) -> None:
    async def play() -> None:
        stores = [await Store.open(where) for _ in range(count)]
        try:
            await scene(*stores)
        finally:
            for store in stores:
                await store.close()

    asyncio.run(play())


def through(where: StateUrl, cable: Cable) -> StateUrl:
    """In the clear, so that the cable can read along."""
    return changed(where, port=str(cable.port), sslmode="disable", sslrootcert="")


def changed(where: StateUrl, **changes: str) -> StateUrl:
    return StateUrl(Secret(make_conninfo(where.url.reveal(), **changes)), where.shown)


def test_brokers_that_count_at_once_never_count_the_same(state_url: StateUrl) -> None:
    def count_up(connection: Connection) -> None:
        (number,) = connection.execute(f"SELECT count(*) FROM {GUESTS}").fetchone()
        add(connection, f"{number:03}")  # a lost update would collide with the primary key

    async def scene(one: Store, two: Store) -> None:
        await asyncio.gather(*(store.run(count_up) for store in (one, two) for _ in range(20)))
        assert len(await one.run(names)) == 40

    on_stores(2, state_url, scene)


def test_nobody_leaves_on_the_strength_of_somebody_who_leaves_too(state_url: StateUrl) -> None:
    """Write skew: each looks whether the other is there, and goes."""
    both_looked = threading.Barrier(2, timeout=10)
    attempts: list[str] = []

    def leave(connection: Connection, name: str) -> None:
        there = names(connection)
        attempts.append(name)
        if len(attempts) <= 2:
            both_looked.wait()
        if len(there) > 1:
            connection.execute(f"DELETE FROM {GUESTS} WHERE id = ?", (name,))

    async def scene(one: Store, two: Store) -> None:
        await one.run(lambda c: add(c, "ann", "bob"))
        await asyncio.gather(one.run(lambda c: leave(c, "ann")), two.run(lambda c: leave(c, "bob")))
        assert len(await one.run(names)) == 1
        assert len(attempts) > 2, "one of them had to look again"

    on_stores(2, state_url, scene)


def test_a_cancelled_caller_leaves_all_or_nothing_and_later_work_sees_which(state_url: StateUrl) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        add(connection, "ann")
        entered.set()
        leave.wait(10)
        add(connection, "bob")

    async def scene(store: Store) -> None:
        running = asyncio.ensure_future(store.run(slow))
        await asyncio.to_thread(entered.wait, 10)
        running.cancel()
        await asyncio.wait([running])
        later = asyncio.ensure_future(store.run(names))
        await asyncio.sleep(0.05)
        assert not later.done(), "it would see neither"
        leave.set()
        assert await later == ["ann", "bob"]

    on_stores(1, state_url, scene)


@pytest.mark.parametrize("careless", ["COMMIT", "ROLLBACK"])
def test_work_that_ends_its_own_transaction_is_found_out(state_url: StateUrl, careless: str) -> None:
    async def scene(store: Store) -> None:
        with pytest.raises(RuntimeError, match="ended from inside"):
            await store.run(lambda c: c.execute(careless).close())
        assert await store.run(names) == []

    on_stores(1, state_url, scene)


def test_work_that_goes_on_after_a_failed_statement_has_done_nothing_and_is_told_so(state_url: StateUrl) -> None:
    def stubborn(connection: Connection) -> None:
        add(connection, "ann")
        with pytest.raises(psycopg.IntegrityError):
            add(connection, "ann")

    async def scene(store: Store) -> None:
        with pytest.raises(RuntimeError, match="ended from inside"):
            await store.run(stubborn)
        assert await store.run(names) == []

    on_stores(1, state_url, scene)


def test_a_lost_answer_to_a_commit_is_told_and_settled_before_anything_else(
    state_url: StateUrl, state_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RUN_SECONDS", 1.0)

    async def scene(cable: Cable, store: Store) -> None:
        cable.swallow = b"COMMIT"
        with pytest.raises(StateFailed, match=r"may be done, or not at all|gave no answer"):
            await store.run(lambda c: add(c, "ann"))
        cable.swallow = b""
        cable.is_silent.clear()
        seen = await store.run(names)
        assert seen == ["ann"], "the server had heard it"
        assert await store.run(names) == seen

    with cable_to(state_server.port) as cable:
        on_stores(1, through(state_url, cable), lambda store: scene(cable, store))


def test_a_line_that_falls_silent_holds_nobody_up_for_long(
    state_url: StateUrl, state_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RUN_SECONDS", 0.5)

    async def scene(cable: Cable, store: Store) -> None:
        await store.run(names)
        cable.is_silent.set()
        began, ticks = time.monotonic(), 0
        waiting = asyncio.ensure_future(store.run(lambda c: add(c, "ann")))
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0.01)
        with pytest.raises(StateFailed, match=r"no answer|failed"):
            await waiting
        assert time.monotonic() - began < 5
        assert ticks > 20, "the loop went on meanwhile"
        other = await Store.open(state_url)
        assert await other.run(names) == [], "others are not held up"
        await other.close()
        cable.is_silent.clear()
        assert await store.run(names) == []

    with cable_to(state_server.port) as cable:
        on_stores(1, through(state_url, cable), lambda store: scene(cable, store))


def test_what_is_told_is_heard_everywhere_after_the_commit_and_not_without(state_url: StateUrl) -> None:
    def told_in_vain(connection: Connection) -> None:
        connection.tell("guests", "nobody")
        raise KeyError("second thoughts")

    async def scene(one: Store, two: Store) -> None:
        heard: dict[str, list[str | None]] = {"one": [], "two": []}
        for name, store in (("one", one), ("two", two)):
            store.subscribe("guests", heard[name].append)
        await until(lambda: all(None in each for each in heard.values()))  # whatever was told before is looked for
        with pytest.raises(KeyError):
            await one.run(told_in_vain)
        await one.run(lambda c: c.tell("guests", "ann"))
        await one.run(lambda c: c.tell("others", "bob"))
        await until(lambda: all("ann" in each for each in heard.values()))
        assert heard == {"one": [None, "ann"], "two": [None, "ann"]}, "each once, to its own broker as well"

    on_stores(2, state_url, scene)


def test_after_a_broken_line_everybody_looks_again(state_url: StateUrl, state_server: Postgres) -> None:
    async def scene(store: Store) -> None:
        heard: list[str | None] = []
        store.subscribe("guests", heard.append)
        await until(lambda: heard == [None])
        lines = "application_name LIKE 'hoopx-broker %' AND pid <> pg_backend_pid()"
        ended = state_server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {lines}")
        assert ended
        await until(lambda: heard == [None, None])
        assert await store.run(names) == []

    on_stores(1, state_url, scene)


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 - what is waited for is what nobody tells
            await asyncio.sleep(0.005)


def test_a_server_that_goes_away_is_named_without_a_password_and_found_again(own_postgres: Postgres) -> None:
    own_postgres.sql("CREATE DATABASE state TEMPLATE template0 ENCODING 'UTF8'", database="postgres")
    where = url_of(own_postgres, "state")

    async def scene(store: Store) -> None:
        await store.run(lambda c: add(c, "ann"))
        await asyncio.to_thread(own_postgres.stop)
        with pytest.raises(StateFailed) as failed:
            await store.run(names)
        told = f"{failed.value.message} {failed.value.hint} {failed.value.__cause__!r} {store!r}"
        assert where.shown in told
        assert "reachable" in failed.value.hint
        assert SUPERUSER_PASSWORD not in told
        await asyncio.to_thread(own_postgres.start)
        assert await store.run(names) == ["ann"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "RUN_SECONDS", 1.0)
        on_stores(1, where, scene)


def test_brokers_that_start_at_once_migrate_once(state_server: Postgres) -> None:
    async def scene(where: StateUrl) -> None:
        stores = await asyncio.gather(*(Store.open(where) for _ in range(3)))
        count = "SELECT count(*) FROM schema_version"
        assert await stores[0].run(lambda c: c.execute(count).fetchone()) == (len(shipped()),)
        for store in stores:
            await store.close()

    with fresh_state(state_server, "template0") as where:
        asyncio.run(scene(where))


def opened(where: StateUrl, *more: Migration) -> None:
    async def play() -> None:
        await (await Store.open(where, [*shipped(), *more])).close()

    asyncio.run(play())


def test_a_step_that_fails_leaves_nothing_and_a_newer_state_is_refused(state_server: Postgres) -> None:
    with fresh_state(state_server) as where, ExitStack() as stack:
        shed = Migration(9001, "shed", "CREATE TABLE shed (tool TEXT); SELECT 1 / 0;")
        with pytest.raises(psycopg.Error, match="division"):
            opened(where, shed)
        opened(where, Migration(9002, "pond", "CREATE TABLE pond (fish TEXT);"))
        refused = stack.enter_context(pytest.raises(StateUnusable, match="newer hoopx: it has schema step 9002"))
        opened(where)
    assert refused.value.hint


def test_the_role_of_a_broker_needs_no_right_to_change_the_schema(state_server: Postgres) -> None:
    role = "hoopx_state_worker"
    with fresh_state(state_server) as where:
        database = where.shown.rpartition("/")[2]
        state_server.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'worker'", database)
        try:
            worker = url_of(state_server, database, role, "worker")
            with pytest.raises(StateUnusable, match="permission denied") as refused:
                opened(worker)
            assert "rights" in refused.value.hint
            for grant in grants(role):
                state_server.sql(grant, database)
            opened(worker)
            with pytest.raises(StateUnusable, match="permission denied") as refused:
                opened(worker, Migration(9003, "pond", "CREATE TABLE pond (fish TEXT);"))
            assert "hoopx broker migrate" in refused.value.hint
        finally:
            state_server.sql(f"DROP OWNED BY {role}; DROP ROLE {role}", database)


def grants(role: str) -> list[str]:
    """As the documentation says it."""
    page = (Path(__file__).parents[2] / "docs" / "state.md").read_text()
    script = page.split("<!-- grants -->")[1].split("```sql\n")[1].split("```")[0]
    return [each.strip().replace("hoopx_broker", role) for each in script.split(";") if "GRANT" in each]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"password": "not-it"}, "password authentication failed"),
        ({"dbname": "nowhere"}, "does not exist"),
        ({"port": "1"}, "refused"),
    ],
)
def test_a_state_that_cannot_be_opened_says_why_and_what_to_do(
    state_url: StateUrl, change: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_migrate, "START_SECONDS", 0.1)
    with pytest.raises(StateUnusable, match=why) as refused:
        opened(changed(state_url, **change))
    assert refused.value.hint
    assert SUPERUSER_PASSWORD not in f"{refused.value} {refused.value.__cause__!r}"
    assert "not-it" not in f"{refused.value} {refused.value.__cause__!r}"


def test_a_nul_is_the_callers_mistake(state_url: StateUrl) -> None:
    async def scene(store: Store) -> None:
        with pytest.raises(BadInput, match="NUL"):
            await store.run(lambda c: add(c, "a\0nn"))
        await store.run(lambda c: add(c, "'; DROP TABLE guests; --", "%s %(x)s ?", "\\", "Zoë\u202e", '"', "$$"))
        assert len(await store.run(names)) == 6

    on_stores(1, state_url, scene)
