"""Brokers on one state: each shows that it lives, knows when it cannot, and takes over only what is left for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.credentials import ledger
from hoopx_broker.storage import brokers, postgres, postgres_line, postgres_presence
from hoopx_broker.storage.brokers import Place, Presence
from hoopx_broker.storage.errors import StateFailed, StateUnusable
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import StateUrl
from tests.peers.cable import Cable, cable_to
from tests.peers.postgres import Postgres
from tests.unit.leases_stage import order
from tests.unit.test_storage_postgres import through, until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tenths of seconds for seconds."""
    monkeypatch.setattr(brokers, "CUT_OFF_SECONDS", 0.8)
    monkeypatch.setattr(brokers, "GONE_SECONDS", 2.0)
    monkeypatch.setattr(postgres_line, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(postgres_line, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(postgres_line, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(postgres_presence, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(postgres, "RUN_SECONDS", 2.0)


@pytest.fixture
def cable(state_server: Postgres) -> Iterator[Cable]:
    with cable_to(state_server.port) as cable:
        yield cable


class Joined:
    """A broker that has nothing but its presence, and notes when it was told to end everything."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.presence: Presence
        self.lost_at: list[float] = []

    async def lose(self, _: str) -> None:
        self.lost_at.append(time.monotonic())

    async def leased(self, lease: int, broker: str) -> None:
        made = order(lease)
        await self.store.run(lambda connection: ledger.add(connection, made, 0.0, 0.0, broker))

    async def takes_over(self) -> list[str]:
        mine = self.presence.id
        return [str(lease.id) for lease in await self.store.run(lambda c: ledger.take_over(c, mine))]


def played(scene: Callable[..., Awaitable[None]], *states: tuple[StateUrl | Path, Place]) -> None:
    async def play() -> None:
        async with AsyncExitStack() as stack:
            joined = []
            for where, place in states:
                broker = Joined(await Store.open(where))
                stack.push_async_callback(broker.store.close)
                broker.presence = await broker.store.join(place, broker.lose)
                joined.append(broker)
            await scene(*joined)

    asyncio.run(play())


def test_a_broker_that_is_silent_has_ended_all_before_another_takes_over_and_cannot_come_back_as_itself(
    state_url: StateUrl, cable: Cable
) -> None:
    async def scene(silent: Joined, other: Joined) -> None:
        former = silent.presence.id
        await silent.leased(1, former)
        assert await other.takes_over() == []
        cable.is_silent.set()
        gone: tuple[str, ...] = ()
        while not gone:
            await asyncio.sleep(0.05)
            gone = await other.presence.look()
        assert gone == (former,)
        assert silent.lost_at
        assert silent.lost_at[0] < time.monotonic() - 0.5, "well before"
        assert await other.takes_over() == ["l_1"]
        cable.is_silent.clear()
        await until(lambda: silent.presence.id != former)
        with pytest.raises(StateFailed, match="taken for gone"):
            await silent.leased(2, former)
        await can_work(silent)
        assert await other.takes_over() == [], "it is there again, as somebody else"

    played(scene, (through(state_url, cable), Place("a")), (state_url, Place("b")))


async def can_work(broker: Joined) -> None:
    """It takes a moment to enter again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await broker.leased(3, broker.presence.id)
            except StateFailed:
                await asyncio.sleep(0.05)


def test_a_process_that_was_stopped_does_not_keep_what_it_has_by_its_open_line(
    state_url: StateUrl, state_server: Postgres
) -> None:
    """Its machine goes on answering for it: the lock alone would be held for ever."""

    async def scene(other: Joined) -> None:
        with psycopg.connect(state_server.dsn(database=state_url.shown.rpartition("/")[2]), autocommit=True) as line:
            line.execute("SELECT pg_advisory_lock(hashtextextended('hoopx broker b_stopped', 0))")
            await other.store.run(lambda c: brokers.enter(c, "b_stopped", Place("a"), time.time()))
            await other.leased(1, "b_stopped")
            await until_gone(other, "b_stopped")
            assert await other.takes_over() == ["l_1"]
            with pytest.raises(psycopg.OperationalError):
                line.execute("SELECT 1")

    played(scene, (state_url, Place("b")))


async def until_gone(looking: Joined, broker: str) -> None:
    async with asyncio.timeout(10):
        while broker not in await looking.presence.look():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def test_a_line_that_breaks_and_is_there_again_takes_nothing_from_anybody(state_url: StateUrl, cable: Cable) -> None:
    async def scene(broken: Joined, other: Joined) -> None:
        former = broken.presence.id
        await broken.leased(1, former)
        for _ in range(10):
            cable.cut()
            await asyncio.sleep(0.3)
            assert await other.presence.look() == ()
        assert broken.presence.id == former
        assert broken.lost_at == []
        assert await other.takes_over() == []

    played(scene, (through(state_url, cable), Place("a")), (state_url, Place("b")))


def test_a_home_that_is_taken_again_tells_at_once_that_its_last_broker_is_gone(
    state_url: StateUrl, cable: Cable
) -> None:
    async def scene(first: Joined, other: Joined) -> None:
        await first.leased(1, first.presence.id)
        cable.is_silent.set()
        cable.cut()  # as the death of its process does
        began = time.monotonic()
        again = Joined(await Store.open(state_url))
        again.presence = await again.store.join(Place("a", is_alone=True), again.lose)
        while not await again.presence.look():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < brokers.GONE_SECONDS
        assert await again.takes_over() == ["l_1"]
        assert await other.takes_over() == []
        await again.store.close()

    played(scene, (through(state_url, cable), Place("a")), (state_url, Place("b")))


def test_two_that_say_they_are_alone_in_one_home_take_nothing_from_each_other(state_url: StateUrl) -> None:
    async def scene(one: Joined, two: Joined) -> None:
        await one.leased(1, one.presence.id)
        assert await two.presence.look() == ()
        assert await one.presence.look() == ()
        assert await two.takes_over() == []

    played(scene, (state_url, Place("a", is_alone=True)), (state_url, Place("a", is_alone=True)))


def test_a_broker_that_stops_leaves_the_rest_to_the_others_at_once(state_url: StateUrl) -> None:
    async def scene(first: Joined, other: Joined) -> None:
        await first.leased(1, first.presence.id)
        heard: list[str | None] = []
        other.store.subscribe(brokers.TOPIC, heard.append)
        gone = first.presence.id
        await first.store.close()
        await until(lambda: gone in heard)
        assert await other.takes_over() == ["l_1"]

    played(scene, (state_url, Place("a")), (state_url, Place("b")))


def test_two_that_find_one_gone_agree_on_who_takes_over(state_url: StateUrl, cable: Cable) -> None:
    async def scene(silent: Joined, one: Joined, two: Joined) -> None:
        for number in range(8):
            await silent.leased(number, silent.presence.id)
        cable.is_silent.set()
        took: list[str] = []

        async def hunt(broker: Joined) -> None:
            while len(took) < 8:
                await broker.presence.look()
                took.extend(await broker.takes_over())
                await asyncio.sleep(0.05)

        await asyncio.gather(hunt(one), hunt(two))
        assert sorted(took) == [f"l_{number}" for number in range(8)], "each by one of them"

    played(scene, (through(state_url, cable), Place("a")), (state_url, Place("b")), (state_url, Place("c")))


@pytest.mark.parametrize(("off", "way"), [(30.0, "ahead of"), (-30.0, "behind")])
def test_a_clock_that_is_off_keeps_a_broker_out(
    state_url: StateUrl, off: float, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + off)

    async def scene() -> None:
        store = await Store.open(state_url)
        with pytest.raises(StateUnusable, match=f"30 s {way} that of the state's server"):
            await store.join(Place("a"), Joined(store).lose)
        await store.close()

    asyncio.run(scene())


def test_the_one_broker_on_a_file_knows_that_all_before_it_are_gone(tmp_path: Path) -> None:
    async def first(broker: Joined) -> None:
        await broker.leased(1, broker.presence.id)
        assert await broker.takes_over() == []

    async def second(broker: Joined) -> None:
        assert await broker.takes_over() == ["l_1"]
        assert len(await broker.store.run(brokers.listed)) == 1

    played(first, (tmp_path / "state.db", Place("a")))
    played(second, (tmp_path / "state.db", Place("a")))
