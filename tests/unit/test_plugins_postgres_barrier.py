"""Roles that end together are shut out together, over kept connections, and whoever opens a session goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from hoopx_broker.terms.leases import Issued, Order
from hoopx_plugins import postgres_kept
from hoopx_plugins.postgres_role import role_name
from hoopx_plugins.postgres_turns import Turn, Urgency
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.unit.minting import ADMINISTRATORS, Scene, lease_of, login_of, pinned, scene_with


@pytest.fixture(params=ADMINISTRATORS)
def scene(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with scene_with(postgres, request.param) as scene:
        yield scene


async def minted(scene: Scene, count: int) -> list[tuple[Order, Issued]]:
    orders = [scene.order() for _ in range(count)]
    issued = await asyncio.gather(*(scene.issuer.issue(order, pinned) for order in orders))
    return list(zip(orders, issued, strict=True))


LOGINS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'hoopx'"  # the plugin's own


def no_logins(server: Postgres) -> bool:
    return server.sql(LOGINS) == []


def test_many_that_end_at_once_are_all_gone_and_few_connections_did_it(scene: Scene) -> None:
    most = 0

    async def play() -> None:
        nonlocal most
        made = await minted(scene, 24)
        held = [scene.log_in(issued) for _, issued in made[:6]]
        ending = asyncio.gather(*(scene.issuer.revoke(lease_of(order, issued), order.target) for order, issued in made))
        with closing(psycopg.connect(scene.server.dsn(), autocommit=True)) as watcher:
            while not ending.done():
                most = max(most, len(watcher.execute(LOGINS).fetchall()))
                await asyncio.sleep(0.01)
        await ending
        for connection in held:
            with pytest.raises(psycopg.OperationalError), closing(connection):
                connection.execute("SELECT 1")

    asyncio.run(play())
    assert scene.server.roles("hoopx_s_") == set()
    assert 0 < most <= 8
    eventually(lambda: no_logins(scene.server), "with the event loop they end")


def test_who_asks_while_others_are_asked_about_is_not_said_to_be_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = psycopg.AsyncConnection.execute
    late: list[asyncio.Task[None]] = []

    async def play() -> None:
        (first, one), (second, two) = await minted(scene, 2)

        async def execute(self: Any, text: Any, *arguments: Any, **more: Any) -> Any:
            if "ANY (%s)" in str(text) and "pg_roles" in str(text) and not late:
                revoking = scene.issuer.revoke(lease_of(second, two), second.target)
                late.append(asyncio.ensure_future(revoking))
                await asyncio.sleep(0)
            return await real(self, text, *arguments, **more)

        monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
        await scene.issuer.revoke(lease_of(first, one), first.target)
        await late[0]

    asyncio.run(play())
    monkeypatch.undo()
    assert scene.server.roles("hoopx_s_") == set()


def test_one_that_cannot_be_shut_out_keeps_no_other_alive(scene: Scene) -> None:
    """A role of the same name that is not the administrator's to change."""

    async def play() -> list[BaseException | None]:
        made = await minted(scene, 3)
        stranger = role_name(made[1][0].session)
        scene.superuser(f'ALTER ROLE "{stranger}" SUPERUSER')
        try:
            revoking = (scene.issuer.revoke(lease_of(order, issued), order.target) for order, issued in made)
            return await asyncio.gather(*revoking, return_exceptions=True)
        finally:
            if stranger in scene.server.roles():
                scene.superuser(f'ALTER ROLE "{stranger}" NOSUPERUSER')

    first, second, third = asyncio.run(play())
    assert (first, third) == (None, None)
    if scene.admin != scene.server.superuser:
        assert "permission denied" in str(second) or "must be superuser" in str(second)


def test_a_kept_connection_that_was_lost_is_replaced_and_one_unused_is_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_kept, "IDLE_SECONDS", 0.05)

    async def play() -> None:
        order, issued = (await minted(scene, 1))[0]
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hoopx'"
        await asyncio.to_thread(scene.superuser, cut)
        with closing(scene.log_in(issued)):
            await scene.issuer.revoke(lease_of(order, issued), order.target)
        assert not scene.exists(order)
        await minted(scene, 1)
        await asyncio.to_thread(eventually, lambda: no_logins(scene.server), "none is kept for ever")

    asyncio.run(play())


def test_whoever_waits_for_a_session_goes_before_the_tidying_up() -> None:
    went: list[str] = []

    async def go(turn: Turn, urgency: Urgency, name: str) -> None:
        async with turn.taken(urgency):
            await asyncio.sleep(0)
            went.append(name)

    async def play() -> None:
        turn = Turn()
        tidying = [asyncio.ensure_future(go(turn, Urgency.LATER, f"drop {number}")) for number in range(3)]
        await asyncio.sleep(0)
        opening = asyncio.ensure_future(go(turn, Urgency.SOON, "mint"))
        gone = asyncio.ensure_future(go(turn, Urgency.SOON, "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        tidying[1].cancel()
        await asyncio.gather(*tidying, opening, gone, return_exceptions=True)
        async with turn.taken(Urgency.LATER):  # whoever left took no turn with them
            pass

    asyncio.run(play())
    assert went == ["drop 0", "mint", "drop 2"]


def test_a_lock_on_what_a_role_leaves_behind_holds_up_no_opening(scene: Scene) -> None:
    scene.superuser("GRANT CREATE ON SCHEMA public TO app_write")
    order, issued = scene.issue(roles=("app_write",), read_only=False)
    try:
        with closing(scene.log_in(issued)) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        with closing(psycopg.connect(scene.server.dsn())) as reader:
            reader.execute("SELECT * FROM kept")

            async def play() -> None:
                dropping = asyncio.ensure_future(scene.issuer.revoke(lease_of(order, issued), order.target))
                blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'REASSIGN'"
                await asyncio.to_thread(eventually, lambda: scene.superuser(blocked), "it waits for the lock")
                async with asyncio.timeout(3):  # the lock is waited for longer than that
                    await scene.issuer.issue(scene.order(), pinned)
                assert not dropping.done()
                await asyncio.to_thread(reader.rollback)
                await dropping

            asyncio.run(play())
        assert not scene.exists(order)
        with pytest.raises(psycopg.OperationalError):
            scene.log_in(issued)
        assert login_of(issued).user == role_name(order.session)
    finally:
        scene.superuser("DROP TABLE IF EXISTS kept; REVOKE CREATE ON SCHEMA public FROM app_write")
