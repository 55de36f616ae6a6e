"""Who sees what of requests: lists, what a requester did before, and news of what happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from hoopx_broker.approvals import asking, deciding, docket
from hoopx_broker.approvals.asking import Wish
from hoopx_broker.approvals.turn import Turn
from hoopx_broker.storage.connection import Connection, Rows
from hoopx_broker.storage.migrate import shipped
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Conditions, Effects
from hoopx_broker.terms.errors import BadInput, Denied, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import StateUrl
from tests.peers.postgres import Postgres
from tests.peers.state import fresh_state
from tests.unit.approvals_stage import ANN, BOB, DEE, DELETION, EVE, ONE_DBA, OPENING, TWO_DBAS, Play, Stage, player

SECURITY = structs.replace(ONE_DBA, approvers={"security": 1})
LONG_AGO = 10_000.0


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


def test_a_view_says_all_that_was_asked(play: Play) -> None:
    async def scene(s: Stage) -> None:
        effects = Effects(("update",), ("update shop.orders",), rows=12.0)
        matter = structs.replace(DELETION, canonical="DELETE FROM orders", session="s_1", effects=effects)
        view = await s.desk.ask(matter, ANN, ONE_DBA, reason="fix")
        assert (view.canonical, view.session, view.effects, view.policy) == (
            "DELETE FROM orders",
            "s_1",
            effects,
            "sha256:1",
        )
        assert view.link == f"https://hoopx/requests/{view.id}"
        assert await s.desk.get(RequestId(view.id), BOB) == view
        assert await s.desk.list(viewer=BOB) == (view,)
        again = await s.desk.ask(structs.replace(matter, effects=Effects(rows=99.0)), ANN, ONE_DBA, reason="fix")
        assert again == view, "what the database expects changes by the minute, and binds nothing"
        await s.desk.vote(RequestId(view.id), BOB, "approve")
        assert await s.desk.spend(RequestId(view.id), ANN, structs.replace(matter, effects=None)) == {"dba"}

    play(scene)


@pytest.mark.parametrize(
    ("difference", "change"),
    [("session", {"session": "s_2"}), ("statement", {"canonical": "x"}), ("set of classes", {"classes": ("email",)})],
)
def test_an_approval_is_bound_to_session_form_and_classes_too(
    play: Play, difference: str, change: dict[str, object]
) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(DELETION)
        with pytest.raises(Exception, match=f"was for another {difference}"):
            await s.desk.spend(request, ANN, structs.replace(DELETION, **change))

    play(scene)


def test_the_past_of_a_requester_is_what_the_viewer_may_see_of_it(play: Play) -> None:
    async def scene(s: Stage) -> None:
        bot = Principal("bot", "agent", (), on_behalf_of="ann")
        before = [await s.asked(ruling=structs.replace(ONE_DBA, rules=(rule,))) for rule in "ab"]
        for_her = await s.asked(requester=bot)
        hidden = await s.asked(ruling=SECURITY)
        others = await s.asked(requester=EVE)
        s.now += 1
        now = await s.asked(DELETION)
        assert {view.id for view in await s.desk.past(now, BOB)} == {*before, for_her}
        assert {view.id for view in await s.desk.past(now, DEE)} == {*before, for_her, hidden}
        assert {view.id for view in await s.desk.past(for_her, BOB)} == {*before, now}
        assert await s.desk.past(others, BOB) == ()
        for viewer in (EVE, Principal("dba-bot", "agent", ("dba",))):
            with pytest.raises(Unknown):
                await s.desk.past(now, viewer)

    play(scene)


def test_whoever_waits_for_changes_hears_of_each_kind(play: Play) -> None:
    async def scene(s: Stage) -> None:
        assert await s.desk.changes(0, 0) == 0

        async def next_after(number: int) -> int:
            async with asyncio.timeout(5):
                return await s.desk.changes(number, 60)

        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(next_after(0))
            await asyncio.sleep(0.01)
            request = await s.asked(ruling=TWO_DBAS)
        assert waiter.result() == 1
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(next_after(1))
            await asyncio.sleep(0.01)
            await s.desk.vote(request, BOB, "approve")
        assert waiter.result() == 2
        assert await s.desk.changes(1, 60) == 2, "what happened before is there at once"
        assert await s.desk.changes(2, 0.01) == 2, "and what does not happen is not waited for too long"
        assert s.desk._bells.is_silent

    play(scene)


def test_whoever_waits_for_changes_hears_what_time_does(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.desk.ask(OPENING, ANN, ONE_DBA, wait=0.05)
        loop = asyncio.get_running_loop()
        started, began = loop.time(), s.now
        s.desk._clock = lambda: began + loop.time() - started
        async with asyncio.timeout(5):
            assert await s.desk.changes(1, 60) == 2

    play(scene)


def _listed(connection: Connection) -> tuple[int, float]:
    """How many queries one list is, and how many seconds."""
    counting = Counting(connection)
    began = time.perf_counter()
    docket.listed(counting, {}, BOB, docket.MAX_LIST)
    return counting.queries, time.perf_counter() - began


class Counting:
    """A connection that counts."""

    def __init__(self, real: Connection) -> None:
        self._real = real
        self.queries = 0

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        self.queries += 1
        return self._real.execute(sql, parameters)

    def tell(self, topic: str, message: str = "", /) -> None:
        self._real.tell(topic, message)


def test_a_thousand_requests_are_listed_by_three_queries(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_WAITING", LONG_AGO)

    async def scene(s: Stage) -> None:
        def file(connection: Connection) -> None:
            turn = Turn(connection, s.now, s.desk._house)
            for number in range(docket.MAX_LIST):
                wish = Wish(OPENING, ANN, TWO_DBAS, reason=str(number))
                view = asking.ask(turn, wish, RequestId(f"r_{number}"), s.now + 900)
                deciding.vote(turn, view.id, BOB, "approve", "")

        await s.store.run(file)
        counted, took = await s.store.run(_listed)
        assert counted <= 3
        views = await s.desk.list(viewer=BOB, limit=docket.MAX_LIST)
        assert len(views) == docket.MAX_LIST
        assert all(len(view.ballots) == 1 for view in views)
        assert took < 5, "a hundredth of it, on an idle machine"

    play(scene)


def test_lists_use_an_index_for_what_they_look_for(play: Play) -> None:
    async def scene(s: Stage) -> None:
        human = "coalesce(on_behalf_of, requester) = 'a'"
        plans = {
            f"SELECT count(*) FROM requests WHERE state = 'waiting' AND {human}": "requests_waiting_of",
            f"SELECT count(*) FROM requests WHERE review = 'open' AND {human}": "requests_open_of",
            "SELECT id FROM requests WHERE state = 'approved' AND kind = 'unmask'": "requests_approved",
            "SELECT id FROM requests WHERE state = 'waiting' ORDER BY created_at DESC, id LIMIT 9": "requests_waiting",
            "SELECT id FROM requests WHERE review = 'open' ORDER BY created_at DESC": "requests_open",
            "SELECT id FROM requests WHERE 1 = 1 ORDER BY created_at DESC, id LIMIT 9": "by_time",
            "SELECT id FROM requests WHERE state IN ('waiting', 'approved') AND expires_at <= 1": "due",
            "SELECT event FROM requests_journal WHERE request = 'r' ORDER BY number": "by_request",
        }
        for query, index in plans.items():
            plan = await s.store.run(lambda c, sql=query: c.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())  # type: ignore[misc]
            assert index in plan[0][3], (query, plan)

    play(scene)


@pytest.mark.parametrize(("filters", "what"), [({"state": "open"}, "state of a request"), ({"review": "x"}, "review")])
def test_a_filter_that_is_none_is_told(play: Play, filters: dict[str, str], what: str) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(BadInput, match=what) as refused:
            await s.desk.list(**filters)  # type: ignore[arg-type]
        assert "use one of" in refused.value.hint

    play(scene)


async def _of_before(where: Path | StateUrl) -> None:
    """A request and a vote as a broker of before 0008 wrote them, and then this broker on that state."""
    before = await Store.open(where, [step for step in shipped() if step.number < 8])
    await before.run(_write_of_before)
    await before.close()
    store = await Store.open(where)
    s = Stage(store)
    view = await s.desk.get(RequestId("r_old"))
    assert (view.state, view.conditions, view.glass, view.review) == ("waiting", Conditions(), False, "")
    assert [ballot.approver for ballot in view.ballots] == ["Bob"]
    assert [each.id for each in await s.desk.list(viewer=DEE)] == ["r_old"]
    assert await s.desk.list(viewer=EVE) == ()
    with pytest.raises(Denied, match="your own"):
        await s.desk.vote(RequestId("r_old"), Principal("ANN", "human", ("dba",)), "approve")
    assert (await s.desk.vote(RequestId("r_old"), BOB, "approve")).state == "waiting", "he has voted before"
    assert (await s.desk.vote(RequestId("r_old"), DEE, "approve")).state == "approved"
    assert [each.event for each in await s.desk.journal(RequestId("r_old"))] == ["approve", "approved"]
    await store.close()


def _write_of_before(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO requests (id, state, kind, target, requester, reason, ticket, duration, statement, policy, rules,"
        " approvers, likeness, created_at, expires_at)"
        " VALUES ('r_old', 'waiting', 'session', 'shop', 'ann', '', '', 60, '', 'p',"
        " '[\"x\"]', '{\"dba\": 2}', 'like', 1.0, 9e9)"
    )
    connection.execute(
        "INSERT INTO ballots (request, person, approver, verdict, comment, groups, at)"
        " VALUES ('r_old', 'bob', 'Bob', 'approve', '', '[\"dba\"]', 2.0)"
    )


def test_requests_of_before_are_seen_and_answered_as_ever(tmp_path: Path) -> None:
    asyncio.run(_of_before(tmp_path / "state.db"))


def test_requests_of_before_are_seen_and_answered_on_postgresql_too(state_server: Postgres) -> None:
    with fresh_state(state_server, "template0") as where:
        asyncio.run(_of_before(where))
