"""Who lost a group by a token that one broker saw has lost it at the others, and after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.standing import Standing
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import StateUrl
from tests.unit.test_storage_postgres import until

NOW = 1_000_000.0


def ann(*groups: str, at: float) -> Identity:
    login = Login("https://login.example.com", "ann-1", NOW)
    return Identity(Principal("ann", "human", groups), login, at, at + 300, client="hoopx-cli")


OLD, NEWER = ann("dev", "dba", at=NOW), ann("dev", at=NOW + 60)


async def loaded(store: Store) -> Standing:
    return await Standing.load(store, lambda: NOW + 60)


def test_a_group_that_was_lost_at_one_broker_is_lost_at_the_other(state_url: StateUrl) -> None:
    async def scene() -> None:
        stores = [await Store.open(state_url) for _ in range(2)]
        here, there = [await loaded(store) for store in stores]
        heard: list[Identity] = []
        there.groups.on_news(heard.append)
        there.groups.learn(OLD)
        here.groups.learn(NEWER)
        await until(lambda: NEWER in heard)
        assert there.memberships.lost(OLD) == {"dba"}
        assert there.memberships.as_now(OLD).who.groups == ("dev",)
        await until(lambda: here.memberships.lost(OLD) == {"dba"})
        for store in stores:
            await store.close()

    asyncio.run(scene())


def test_a_group_that_was_lost_is_lost_after_a_restart(tmp_path: Path) -> None:
    async def before() -> None:
        store = await Store.open(tmp_path / "state.db")
        (await loaded(store)).groups.learn(NEWER)
        count = "SELECT count(*) FROM identity_groups"
        async with asyncio.timeout(10):
            while await store.run(lambda c: c.execute(count).fetchone()[0]) == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await store.close()

    async def after() -> None:
        store = await Store.open(tmp_path / "state.db")
        standing = await loaded(store)
        assert standing.memberships.lost(OLD) == {"dba"}
        await store.close()

    asyncio.run(before())
    asyncio.run(after())


def test_an_older_word_that_is_heard_late_changes_nothing(state_url: StateUrl) -> None:
    async def scene() -> None:
        stores = [await Store.open(state_url) for _ in range(2)]
        here, there = [await loaded(store) for store in stores]
        here.groups.learn(NEWER)
        await until(lambda: there.memberships.lost(OLD) == {"dba"})
        there.groups.learn(OLD)
        third = await loaded(stores[0])
        assert third.memberships.lost(OLD) == {"dba"}
        for store in stores:
            await store.close()

    asyncio.run(scene())
