"""An approval to unmask holds for as long as was asked, for whoever asked it, and until it is taken back."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.approvals.unmasking import Unmasking, matter_of
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.migrate import migrate, shipped
from hoopx_broker.terms.errors import BadInput, Denied, StillPending, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from tests.unit.approvals_stage import ANN, BOB, CID, EVE, OPENING, TWO_DBAS, Play, Stage, player, stage

EMAILS = matter_of("prod-db", "sha256:1", ["email"], 1800)
ANNS_AGENT = Principal("bot", "agent", ("agents",), on_behalf_of="ann")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


async def held(s: Stage) -> list[str]:
    return [each.request for each in await s.desk.unmaskings()]


def test_it_holds_from_the_approval_on_and_no_moment_longer_than_was_asked(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(EMAILS)
        assert await held(s) == []
        s.now += 800
        await s.desk.vote(request, BOB, "approve")
        (found,) = await s.desk.unmaskings()
        assert found == Unmasking(
            request,
            Principal("ann", "human"),
            "prod-db",
            "sha256:1",
            ("email",),
            frozenset({"dba"}),
            ("bob",),
            "fix the order",
            "T-1",
            s.now + 1800,
        )
        s.now += 1799.9
        assert await held(s) == [request]
        s.now += 0.1
        assert await held(s) == []
        assert await s.state(request) == "expired"

    play(scene)


def test_part_of_a_quorum_and_a_refusal_unmask_nothing(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(EMAILS, TWO_DBAS)
        await s.desk.vote(request, BOB, "approve")
        assert await held(s) == []
        await s.desk.vote(request, CID, "deny")
        assert await held(s) == []

    play(scene)


def test_it_is_for_exactly_who_asked_and_where(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.approved(EMAILS)
        (found,) = await s.desk.unmaskings()
        assert found.is_for(ANN, "prod-db")
        assert not found.is_for(ANN, "test-db")
        assert not found.is_for(EVE, "prod-db")
        assert not found.is_for(ANNS_AGENT, "prod-db"), "whoever acts for her is not her"
        assert not found.is_for(msgspec.structs.replace(ANN, on_behalf_of="eve"), "prod-db")

    play(scene)


def test_it_is_asked_as_people_read_it_and_each_class_once() -> None:
    matter = matter_of("prod-db", "sha256:1", ["ssn", "email", "ssn"], 60)
    assert (matter.statement, matter.classes, matter.kind) == ("see email, ssn raw", ("email", "ssn"), "unmask")
    assert matter == matter_of("prod-db", "sha256:1", ["email", "ssn"], 60)


def test_asking_for_another_class_is_another_request_and_for_the_same_it_is_not(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(EMAILS)
        assert await s.asked(EMAILS) == request
        assert await s.asked(matter_of("prod-db", "sha256:1", ["ssn"], 1800)) != request

    play(scene)


@pytest.mark.parametrize("who", [ANN, CID])
def test_who_asked_and_who_could_have_refused_it_end_it(play: Play, who: Principal) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(EMAILS)
        assert (await s.desk.cancel(request, who)).state == "cancelled"
        assert await held(s) == []
        with pytest.raises(BadInput):
            await s.desk.vote(request, CID, "approve")

    play(scene)


def test_others_do_not_end_it_and_approvers_cancel_nothing_else(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(EMAILS)
        with pytest.raises(Unknown):
            await s.desk.cancel(request, EVE)
        waiting, session = await s.asked(matter_of("prod-db", "sha256:1", ["ssn"], 60)), await s.approved(OPENING)
        for other in (waiting, session):
            with pytest.raises(Denied, match="belongs to `ann`"):
                await s.desk.cancel(other, BOB)
        assert await held(s) == [request]

    play(scene)


def test_it_opens_no_session_and_an_approved_session_unmasks_nothing(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request, session = await s.approved(EMAILS), await s.approved(OPENING)
        with pytest.raises(Denied, match="another kind of thing: `unmask`, not `session`"):
            await s.desk.spend(request, ANN, OPENING)
        assert await held(s) == [request]
        await s.desk.spend(session, ANN, OPENING)
        assert await held(s) == [request]

    play(scene)


def test_whoever_watches_hears_of_every_word_that_may_change_it(play: Play) -> None:
    async def scene(s: Stage) -> None:
        heard: list[int] = []
        s.desk.watch(lambda: heard.append(1))
        request = await s.asked(EMAILS)
        heard.clear()
        await held(s)
        assert not heard
        await s.desk.vote(request, BOB, "approve")
        assert len(heard) == 1
        await s.desk.cancel(request, ANN)
        assert len(heard) == 2
        with pytest.raises(StillPending):
            await s.desk.spend(await s.asked(OPENING), ANN, OPENING)

    play(scene)


def test_a_watcher_hears_of_a_vote_whose_caller_left(play: Play) -> None:
    async def scene(s: Stage) -> None:
        heard: list[int] = []
        s.desk.watch(lambda: heard.append(1))
        request = await s.asked(EMAILS)
        vote = asyncio.ensure_future(s.desk.vote(request, BOB, "approve"))
        await asyncio.sleep(0)
        vote.cancel()
        with pytest.raises(asyncio.CancelledError):
            await vote
        assert heard
        assert await held(s) in ([], [request])  # done or never, and whoever looks now sees which

    play(scene)


def test_requests_and_votes_of_before_survive_the_third_kind(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, shipped()[:2])
    connection.execute(
        "INSERT INTO requests VALUES ('r_1', 'approved', 'session', 'shop', 'ann', NULL, 'why', '', 60, '', 'p',"
        " '[\"x\"]', '{\"dba\": 1}', 'like', 1.0, 9e9)"
    )
    connection.execute("INSERT INTO ballots VALUES ('r_1', 'bob', 'bob', 'approve', '', '[\"dba\"]', 2.0)")
    migrate(connection, shipped())
    connection.close()

    async def look() -> None:
        async with stage(tmp_path) as s:
            view = await s.desk.get(RequestId("r_1"))
            assert (view.state, view.reason, view.classes, view.ballots[0].approver) == ("approved", "why", (), "bob")
            await s.store.run(_changes_are_refused)

    asyncio.run(look())


def _changes_are_refused(connection: Connection) -> None:
    for change in (
        "UPDATE requests SET state = 'waiting' WHERE id = 'r_1'",
        "INSERT INTO ballots (request, person, approver, verdict, comment, groups, at)"
        " VALUES ('r_none', 'bob', 'bob', 'approve', '', '[]', 2.0)",
        "UPDATE requests SET kind = 'other' WHERE id = 'r_1'",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(change)
