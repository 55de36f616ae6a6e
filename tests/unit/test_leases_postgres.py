"""The keeper with a real source: whatever is cut off when, PostgreSQL keeps no role of ours."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import LeaseId, new_lease_id, new_session_id
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions
from tests.peers.lease_list import leases
from tests.peers.postgres import Postgres
from tests.unit.leases_stage import Time, running


class Scene:
    """One keeper over one store, one real server."""

    def __init__(self, store: Store, server: Postgres) -> None:
        login = PostgresRoleOptions(user=server.admin, password=Secret(server.admin_password), roles=("app_read",))
        tls = UpstreamTls("verify-full", str(server.ca))
        at = (server.host, server.port, server.database)
        self.server = server
        self.target = Target("prod-db", "postgres", *at, tls, "postgres-role", credentials=login)
        self.time = Time()
        self.keeper = Keeper(
            store,
            {"prod-db": PostgresRoleIssuer()},
            {"prod-db": self.target},
            clock=self.time.clock,
            sleep=self.time.sleep,
            random=lambda: 1.0,
            on_alarm=_unexpected,
        )

    def order(self) -> Order:
        end = time.time() + 3600
        return Order(new_lease_id(), new_session_id(), self.target, Principal("ann", "human"), end)

    def minted(self) -> set[str]:
        return {role for role in self.server.roles() if role.startswith("hoopx_s")}

    async def all_ended(self) -> None:
        while any(lease.state != "ended" for lease in await leases(self.keeper)):  # noqa: ASYNC110 - as an operator
            await asyncio.sleep(0.01)


def _unexpected(lease: Lease) -> None:
    raise AssertionError(f"alarm: {lease.last_error}")


def test_callers_that_go_away_at_any_moment_leave_no_role(tmp_path: Path, postgres: Postgres) -> None:
    chance = random.Random(7)

    async def go_away(scene: Scene) -> None:
        async with asyncio.TaskGroup() as group:
            leasing = group.create_task(scene.keeper.lease(scene.order()))
            await asyncio.sleep(chance.random() * 0.15)
            leasing.cancel()
        if not leasing.cancelled():
            assert await scene.keeper.end(leasing.result()[0].id)

    async def scene() -> None:
        store = await Store.open(tmp_path / "state.db")
        scene = Scene(store, postgres)
        before = scene.minted()
        async with running(scene.keeper):
            for _ in range(10):
                await asyncio.gather(*(go_away(scene) for _ in range(4)))
            await scene.all_ended()
        await store.close()
        assert scene.minted() == before

    asyncio.run(scene())


def test_what_a_dead_broker_left_is_gone_after_the_next_start(tmp_path: Path, postgres: Postgres) -> None:
    async def first_life() -> list[LeaseId]:
        store = await Store.open(tmp_path / "state.db")
        scene = Scene(store, postgres)
        before = scene.minted()
        leases = [(await scene.keeper.lease(scene.order()))[0] for _ in range(3)]
        assert scene.minted() - before == {lease.user for lease in leases}
        await store.close()  # and no lease was ended
        return [lease.id for lease in leases]

    async def second_life(left: list[LeaseId]) -> None:
        store = await Store.open(tmp_path / "state.db")
        scene = Scene(store, postgres)
        found = await scene.keeper.recover()
        assert {lease.id for lease in found} == set(left)
        async with running(scene.keeper):
            await scene.all_ended()
        await store.close()
        assert not scene.minted() & {lease.user for lease in found}

    asyncio.run(second_life(asyncio.run(first_life())))
