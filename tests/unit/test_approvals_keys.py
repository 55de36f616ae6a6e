"""A key makes asking again the same ask: for whoever asked, for what was asked, for a week."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.keys import KEPT_SECONDS, MAX_KEY
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from tests.unit.approvals_stage import ANN, BOB, DELETION, EVE, ONE_DBA, OPENING, TWO_DBAS, Play, Stage, player, stage


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


async def ask(s: Stage, key: str = "run-7", **changes: str) -> RequestView:
    return await s.desk.ask(OPENING, ANN, ONE_DBA, reason=changes.get("reason", "deploy"), wait=900, key=key)


@pytest.mark.parametrize("end", ["waiting", "approved", "used", "denied", "cancelled", "expired"])
def test_the_same_key_is_the_same_request_whatever_became_of_it(play: Play, end: str) -> None:
    async def scene(s: Stage) -> None:
        request = RequestId((await ask(s)).id)
        match end:
            case "approved" | "used":
                await s.desk.vote(request, BOB, "approve")
                if end == "used":
                    await s.desk.spend(request, ANN, OPENING)
            case "denied":
                await s.desk.vote(request, BOB, "deny")
            case "cancelled":
                await s.desk.cancel(request, ANN)
            case "expired":
                s.now += 900
        again = await ask(s)
        assert (again.id, again.state) == (request, end)
        assert len(await s.desk.list()) == 1

    play(scene)


def test_a_key_asks_again_after_the_policy_was_changed(play: Play) -> None:
    async def scene(s: Stage) -> None:
        first = await ask(s)
        newer = structs.replace(OPENING, policy="sha256:2")
        again = await s.desk.ask(newer, ANN, TWO_DBAS, reason="deploy", key="run-7")
        assert (again.id, again.policy, again.approvers) == (first.id, "sha256:1", {"dba": 1})

    play(scene)


@pytest.mark.parametrize(
    "other",
    [
        {"target": "test-db"},
        {"duration": 60},
        {"kind": "unmask", "classes": ("email",)},
        {"kind": "extension", "session": "s_1"},
        {"statement": "select 1"},
    ],
)
def test_the_same_key_for_something_else_is_refused(play: Play, other: dict[str, object]) -> None:
    async def scene(s: Stage) -> None:
        first = await ask(s)
        matter = structs.replace(OPENING, **other)
        with pytest.raises(BadInput, match=f"the key `run-7` belongs to request `{first.id}`"):
            await s.desk.ask(matter, ANN, ONE_DBA, reason="deploy", key="run-7")
        with pytest.raises(BadInput, match="belongs to request"):
            await ask(s, reason="something else")

    play(scene)


def test_keys_are_of_their_requester_alone(play: Play) -> None:
    async def scene(s: Stage) -> None:
        mine = await ask(s)
        for other in (EVE, Principal("bot", "agent", (), on_behalf_of="ann"), structs.replace(ANN, on_behalf_of="eve")):
            theirs = await s.desk.ask(DELETION, other, ONE_DBA, key="run-7")
            assert theirs.id != mine.id

    play(scene)


def test_another_key_is_another_ask_although_it_is_the_same_thing(play: Play) -> None:
    async def scene(s: Stage) -> None:
        ids = {(await ask(s, key)).id for key in ("run-7", "run-8", "", "run-7", "")}
        assert len(ids) == 3

    play(scene)


@pytest.mark.parametrize("key", ["x" * (MAX_KEY + 1), "a\nb", "a\0b", "\u202e", "\ud800"])
def test_a_key_is_short_and_printable(play: Play, key: str) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(BadInput, match="a key has at most"):
            await ask(s, key)

    play(scene)


def test_a_key_is_forgotten_after_a_week(play: Play) -> None:
    async def scene(s: Stage) -> None:
        first = await ask(s)
        s.now += KEPT_SECONDS - 1
        assert (await ask(s)).id == first.id
        s.now += 1
        again = await ask(s)
        assert (again.id, again.state) != (first.id, "expired")
        assert again.state == "waiting"

    play(scene)


def test_a_key_holds_over_a_restart_and_at_every_broker_of_the_state(each_state: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as before:
            first = await ask(before)
        async with stage(tmp_path) as after:
            desks = [after.another_desk(name=f"b{number}") for number in range(20)]
            same = [desk.ask(OPENING, ANN, ONE_DBA, reason="deploy", key="run-7") for desk in desks]
            new = [desk.ask(OPENING, ANN, ONE_DBA, reason="deploy", key="run-8") for desk in desks]
            assert {view.id for view in await asyncio.gather(*same)} == {first.id}
            assert len({view.id for view in await asyncio.gather(*new)}) == 1

    asyncio.run(scene())


def test_a_key_that_waits_is_prolonged_like_any_other_ask(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await ask(s)
        s.now += 600
        assert (await ask(s)).expires_at == s.now + 900

    play(scene)
