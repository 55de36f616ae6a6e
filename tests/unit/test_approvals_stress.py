"""Everybody at once: one decision for each request, and one use of each approval."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import RequestId
from tests.unit.approvals_stage import ANN, BOB, CID, DEE, OPENING, TWO_DBAS, WALL, Stage, stage

FINAL = {"denied", "cancelled", "expired", "used"}


async def act(s: Stage, request: RequestId, chance: random.Random, seen: list[str]) -> str:
    """One random deed; `seen` collects what its answer says of the state."""
    await asyncio.sleep(chance.choice([0, 0, 0.001]))
    deed = chance.choice(["approve", "approve", "approve", "deny", "cancel", "spend", "spend", "later", "ask"])
    try:
        match deed:
            case "approve" | "deny":
                view = await s.desk.vote(request, chance.choice([BOB, CID, DEE]), deed)
                seen.append(view.state)
            case "cancel":
                if chance.random() < 0.3:
                    seen.append((await s.desk.cancel(request, ANN)).state)
            case "spend":
                await s.desk.spend(request, ANN, OPENING)
                seen.append("used")
                return "spent"
            case "later":
                s.now += chance.choice([0, 1, 300])
            case _:
                seen.append((await s.desk.get(request)).state)
    except HoopxError:
        return "refused"
    return deed


@pytest.mark.parametrize("seed", range(5))
def test_in_any_turmoil_there_is_one_decision_and_one_use(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def scene() -> None:
        async with stage(tmp_path) as s:
            for round_ in range(5):
                view = await s.desk.ask(OPENING, ANN, TWO_DBAS, reason=f"round {round_}", wait=900)
                seen: list[str] = []
                async with asyncio.TaskGroup() as group:
                    deeds = [group.create_task(act(s, RequestId(view.id), chance, seen)) for _ in range(60)]
                told = Counter(deed.result() for deed in deeds)
                end = await s.desk.get(RequestId(view.id))
                assert told["spent"] == (1 if end.state == "used" else 0)
                assert {state for state in seen if state in FINAL} <= {end.state}
                if {"approved", "used"} & set(seen):
                    assert "denied" not in seen
                    assert end.state != "denied"
                    assert not [ballot for ballot in end.ballots if ballot.verdict == "deny"]

    asyncio.run(scene())


def test_a_hundred_spenders_share_one_use(each_state: str, tmp_path: Path) -> None:
    async def spend(s: Stage, request: RequestId) -> bool:
        try:
            return await s.desk.spend(request, ANN, OPENING) == {"dba"}
        except HoopxError:
            return False

    async def scene() -> None:
        async with stage(tmp_path) as s:
            request = await s.approved()
            assert sum(await asyncio.gather(*(spend(s, request) for _ in range(100)))) == 1

    asyncio.run(scene())


def test_a_hundred_askers_share_one_request(each_state: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            assert len(set(await asyncio.gather(*(s.asked() for _ in range(100))))) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("end", sorted(FINAL))
def test_the_state_itself_leads_nothing_out_of_an_end(each_state: str, tmp_path: Path, end: str) -> None:
    """The second wall: even a desk with a mistake in it could not revive a request."""

    def force(connection: Connection, state: str) -> None:
        connection.execute("UPDATE requests SET state = ?", (state,))

    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.approved() if end == "used" else await s.asked()
            await s.store.run(lambda c: force(c, end))
            for change in sorted({*FINAL, "waiting", "approved"} - {end}):
                with pytest.raises(WALL, match="stays decided"):
                    await s.store.run(lambda c, to=change: force(c, to))  # type: ignore[misc]

    asyncio.run(scene())


def test_the_state_itself_lets_only_an_approval_be_used(each_state: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.asked()
            with pytest.raises(WALL, match="stays decided"):
                await s.store.run(lambda c: c.execute("UPDATE requests SET state = 'used'").close())

    asyncio.run(scene())
