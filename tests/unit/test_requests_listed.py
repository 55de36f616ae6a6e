"""Lists of requests that are waited for: whoever asks again and again misses nothing, and hears nothing of others'."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import Listed, Review, SessionView
from hoopx_broker.daemon.requests import BRIEF, Requests
from hoopx_broker.terms.errors import BadInput, Denied, Unknown, Unreachable
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Deny, Ruling
from tests.unit.approvals_stage import ANN, BOB, CID, DELETION, EVE, ONE_DBA, OPENING, TWO_DBAS, Play, Stage, player

LONG = 50  # seconds; longer than any scene
BOT = Principal("bot", "agent", (), on_behalf_of="ann")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


def room(stage: Stage, desk: Any = None) -> Requests:
    """Over a desk; of sessions somebody had three, and nobody may look at those of others on `hr-db`."""
    had = [
        SessionView(f"s_{number}", "ann", on, "ended", 1) for number, on in enumerate(("prod-db", "hr-db", "dev-db"))
    ]

    async def listed(**_: object) -> list[SessionView]:
        return had

    def may_view(who: Principal, target: str, owner: Owner) -> Ruling:
        return Deny("it is private", "hr") if target == "hr-db" else Allow()

    judge = SimpleNamespace(may_view_session=may_view)
    services: Any = SimpleNamespace(
        desk=desk or stage.desk,
        steady=time.monotonic,
        stored=SimpleNamespace(list=listed),
        targets={name: name for name in ("prod-db", "hr-db", "dev-db")},
        judge=lambda: judge,
    )
    opening: Any = None
    return Requests(services, opening)


async def soon(listed: Awaitable[Listed]) -> Listed:
    async with asyncio.timeout(5):
        return await listed


def test_a_list_is_answered_at_once_where_something_had_happened(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first = await room(stage).listed(BOB, {}, 0, 0)
        request = await stage.asked()
        news = await soon(room(stage).listed(BOB, {}, LONG, first.cursor))
        assert [one.id for one in news.requests] == [request]
        assert news.cursor > first.cursor

    play(scene)


def test_what_others_do_wakes_nobody(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first = await room(stage).listed(EVE, {}, 0, 0)
        waiting = asyncio.ensure_future(room(stage).listed(EVE, {}, LONG, first.cursor))
        await asyncio.sleep(0.1)  # it has begun
        request = await stage.asked()
        await stage.desk.vote(request, BOB, "deny")
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        own = await stage.ask(DELETION, requester=EVE)
        assert (await soon(waiting)).requests == (own,)

    play(scene)


def test_nothing_is_missed_between_the_number_and_the_list(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first = await room(stage).listed(BOB, {}, 0, 0)
        desk = _Interrupted(stage.desk, stage.asked)
        news = await soon(room(stage, desk).listed(BOB, {}, LONG, first.cursor))
        assert len(news.requests) == 1

    play(scene)


class _Interrupted:
    """The desk, where something happens right after a number was told for the first time."""

    def __init__(self, desk: Any, act: Callable[[], Awaitable[object]]) -> None:
        self._desk = desk
        self._act: Callable[[], Awaitable[object]] | None = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    async def changes(self, since: int, timeout: float) -> int:
        number: int = await self._desk.changes(since, timeout)
        if self._act is not None:
            act, self._act = self._act, None
            await act()
        return number


def test_what_is_to_be_decided_is_told_without_what_was_voted_on(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        query = {"to_decide": "true", "brief": "true"}
        two = await stage.asked(OPENING, TWO_DBAS)
        long = await stage.asked(replace(DELETION, statement="x" * 5000))
        own = await stage.asked(replace(OPENING, target="other-db"), ONE_DBA, BOB)
        await stage.desk.vote(two, BOB, "approve")
        [seen] = (await room(stage).listed(BOB, query, 0, 0)).requests
        assert (seen.id, len(seen.statement)) == (long, BRIEF)
        assert {one.id for one in (await room(stage).listed(CID, query, 0, 0)).requests} == {two, long, own}
        only = await room(stage).listed(CID, {**query, "target": "other-db"}, 0, 0)
        assert [one.id for one in only.requests] == [own]

    play(scene)


def test_ones_own_are_those_of_ones_agents_too(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.asked(OPENING, ONE_DBA, ANN)
        await stage.asked(OPENING, ONE_DBA, BOT)
        await stage.asked(OPENING, ONE_DBA, BOB)
        for who, users in ((ANN, {"ann", "bot"}), (BOT, {"bot"}), (BOB, {"bob"})):
            found = await room(stage).listed(who, {"mine": "true"}, 0, 0)
            assert {one.requester for one in found.requests} == users

    play(scene)


def test_a_broker_that_stops_says_so_to_whoever_waits(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        request = await stage.asked()
        first = await room(stage).listed(BOB, {}, 0, 0)
        calls = (room(stage).listed(BOB, {}, LONG, first.cursor), room(stage).one(BOB, request, LONG))
        waiting = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.1)
        for each in waiting:
            each.cancel()
            with pytest.raises(Unreachable, match="the broker stops"):
                await each

    play(scene)


def test_the_past_tells_of_sessions_to_those_alone_who_may_decide(play: Play) -> None:
    """An agent asks in the name of its human, and must not learn by that what the human does."""

    async def scene(stage: Stage) -> None:
        request = await stage.asked(OPENING, ONE_DBA, BOT)
        earlier = await stage.asked(DELETION, ONE_DBA, ANN)
        seen = await room(stage).past(BOB, request)
        assert ([one.id for one in seen.requests], [one.id for one in seen.sessions]) == ([earlier], ["s_0", "s_2"])
        assert (await room(stage).past(BOT, request)).sessions == ()
        assert (await room(stage).past(BOT, request)).requests == ()
        with pytest.raises(Denied, match="none of these groups"):
            await room(stage).past(EVE, request)

    play(scene)


def test_the_journal_is_for_those_who_see_the_request(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        request = await stage.approved()
        told = (await room(stage).journal(ANN, request))["journal"]
        assert told[0].details
        assert all("known_as" not in each.details for each in told), "nobody's other names"
        assert [(each.event, each.by) for each in told] == [("asked", "ann"), ("approve", "bob"), ("approved", "bob")]
        with pytest.raises(Denied):
            await room(stage).journal(EVE, request)
        with pytest.raises(Unknown):
            await room(stage).journal(ANN, RequestId("r_none"))

    play(scene)


@pytest.mark.parametrize("query", [{"limit": "-1"}, {"limit": "x"}, {"limit": "9" * 30}, {"state": "open"}])
def test_a_bad_query_is_bad_input(play: Play, query: dict[str, str]) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(BadInput):
            await room(stage).listed(BOB, query, 0, 0)
        with pytest.raises(BadInput, match="no word on what was done"):
            await room(stage).review(BOB, RequestId("r_1"), Review("maybe"))

    play(scene)
