"""The brake and an opening that is under way: one finds the other, whoever comes first; and names are only names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from hoopx_broker.api.messages import LeaseRevoked, RevokeLeases
from hoopx_broker.credentials import ledger
from hoopx_broker.credentials.holdings import Holdings
from hoopx_broker.daemon.leases import Leases
from hoopx_broker.session.called_off import CalledOff
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.services import Services
from hoopx_broker.storage.sessions import Sessions as StoredSessions
from hoopx_broker.terms.errors import BackendFailed, BadInput, Denied
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.tunnel.crew import Crew
from tests.unit.leases_stage import Stage, order, running, stage
from tests.unit.policy_stage import shipped

SAM = Principal("sam", "human", ("security",))


def room(s: Stage) -> Leases:
    parts: dict[str, Any] = dict.fromkeys(Services.__struct_fields__)
    parts |= {"targets": s.targets, "judge": shipped, "keeper": s.keeper, "crew": Crew(lambda *_: None)}
    parts["stored"] = StoredSessions(s.store)
    return Leases(Services(**parts), Sessions(), Holdings(s.store), CalledOff())


async def pull(brake: Leases, **asked: Any) -> list[LeaseRevoked]:
    return (await brake.revoke(SAM, RevokeLeases(**asked)))["leases"]


def test_a_session_that_is_being_opened_is_called_off_and_nothing_of_it_stays(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            leases, slow, goes_on = room(s), asyncio.Event(), asyncio.Event()

            async def dawdle(_: Order) -> None:
                slow.set()
                await goes_on.wait()

            async def opening() -> None:
                with leases.called_off.heeding(order().lease):
                    await s.keeper.lease(order())
                    leases.called_off.check(order().lease)

            s.source.before_issue = dawdle
            opened = asyncio.ensure_future(opening())
            await slow.wait()
            pulled = asyncio.ensure_future(pull(leases, user="ann", reason="incident"))
            again = asyncio.ensure_future(pull(leases, everything=True))
            while not any(leases.called_off._why.values()):  # noqa: ASYNC110 - the brake tells nobody that it is pulled
                await asyncio.sleep(0.001)
            goes_on.set()
            assert [one.outcome for one in await pulled] == ["revoked"]
            assert [one.outcome for one in await again] == ["revoked"]
            with pytest.raises(Denied, match="its lease was revoked by `sam`"):
                await opened
            assert s.source.logins == set()

    asyncio.run(play())


def test_names_are_only_names_and_what_is_not_meant_is_not_done(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as s:
            leases = room(s)
            await s.keeper.lease(order())
            for odd in ("'; DROP TABLE leases; --", "%", "_nn", "ANN", "Zoë\u202e", "a\0nn", "x" * 100_000):
                assert await pull(leases, user=odd) == []
            for unclear in ({}, {"leases": ("l_1",), "everything": True}, {"user": "ann", "reason": "two\nlines"}):
                with pytest.raises(BadInput):
                    await pull(leases, **cast("dict[str, Any]", unclear))
            assert s.source.logins == {"hoopx_s_1"}

    asyncio.run(play())


def test_the_list_tells_when_a_lease_is_tried_again_and_when_it_ends_by_itself(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as s:
            leases = room(s)

            async def down(_: Lease) -> None:
                raise BackendFailed("the source is down")

            s.source.before_revoke = down
            await s.keeper.lease(order())
            asleep = asyncio.Event()
            s.keeper._sleep = lambda _: asleep.wait()
            async with running(s.keeper):
                assert [one.outcome for one in await pull(leases, everything=True)] == ["queued"]
                while not s.keeper._next:  # noqa: ASYNC110 - the keeper tells nobody that it waits
                    await asyncio.sleep(0.001)
                [seen] = (await leases.seen(SAM, {}, 0))["leases"]
                assert (seen.state, seen.attempts, seen.last_error) == ("ending", 1, "the source is down")
                assert seen.next_attempt == s.time.now + 1
            await s.store.run(
                lambda connection: ledger.note_fading(connection, order().lease, 1_002_000.0, 1_001_000.0)
            )
            [fading] = (await leases.seen(SAM, {}, 0))["leases"]
            assert fading.fades_at == 1_002_000.0

    asyncio.run(play())
