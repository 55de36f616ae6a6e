"""The desk: who may ask, decide, take back and use, and what stops everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.asking import MAX_WAIT, MAX_WAITING
from hoopx_broker.approvals.bounds import MAX_LINE, MAX_SEATS, MAX_STATEMENT
from hoopx_broker.approvals.deciding import USE_WITHIN
from hoopx_broker.approvals.desk import DEFAULT_WAIT
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.terms.errors import BadInput, Denied, ExitCode, HoopxError, Refused, StillPending, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from tests.unit.approvals_stage import (
    ANN,
    BOB,
    CID,
    DBA_AND_SECURITY,
    DEE,
    DELETION,
    EVE,
    ONE_DBA,
    OPENING,
    TWO_DBAS,
    Play,
    Stage,
    player,
    stage,
)


@pytest.fixture
def play(tmp_path: Path, each_state: str) -> Play:
    return player(tmp_path)


# Asking


def test_a_request_shows_what_is_asked_of_whom(play: Play) -> None:
    async def scene(s: Stage) -> None:
        view = await s.ask(DELETION, DBA_AND_SECURITY)
        assert (view.state, view.kind, view.target, view.requester) == ("waiting", "statement", "prod-db", "ann")
        assert (view.statement, view.reason, view.ticket) == (DELETION.statement, "fix the order", "T-1")
        assert (view.rules, view.approvers) == (("sensitive", "secret"), {"dba": 1, "security": 1})
        assert (view.created_at, view.expires_at) == (s.now, s.now + 900)
        assert await s.desk.get(RequestId(view.id)) == view

    play(scene)


def test_asking_the_same_again_is_the_same_request_and_prolongs_it(play: Play) -> None:
    async def scene(s: Stage) -> None:
        first = await s.ask()
        s.now += 600
        again = await s.ask()
        assert again.id == first.id
        assert again.expires_at == s.now + 900
        hurried = await s.desk.ask(OPENING, ANN, ONE_DBA, reason="fix the order", ticket="T-1", wait=1)
        assert hurried == again, "but never shortens it"

    play(scene)


def test_asking_again_and_again_is_not_waiting_for_ever(play: Play) -> None:
    async def scene(s: Stage) -> None:
        async def ask() -> RequestView:
            return await s.desk.ask(OPENING, ANN, ONE_DBA, wait=MAX_WAIT / 2)

        first = await ask()
        for _ in range(3):
            s.now = first.created_at + min(MAX_WAIT - 1, s.now - first.created_at + MAX_WAIT / 2 - 1)
            again = await ask()
            assert again.id == first.id
        assert again.expires_at == first.created_at + MAX_WAIT
        s.now += 1
        assert (await ask()).id != first.id

    play(scene)


def test_asking_again_after_the_approval_gives_the_approval(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved()
        again = await s.ask()
        assert (again.id, again.state) == (request, "approved")
        await s.desk.spend(request, ANN, OPENING)
        assert (await s.ask()).state == "waiting", "a used one is no answer to a new question"

    play(scene)


def test_asking_again_never_prolongs_an_approval(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved()
        until = (await s.desk.get(request)).expires_at
        await s.desk.ask(OPENING, ANN, ONE_DBA, reason="fix the order", ticket="T-1", wait=MAX_WAIT)
        assert (await s.desk.get(request)).expires_at == until

    play(scene)


@pytest.mark.parametrize(
    ("matter", "requester", "ruling", "reason"),
    [
        (msgspec.structs.replace(OPENING, target="test-db"), ANN, ONE_DBA, "a"),
        (msgspec.structs.replace(OPENING, policy="sha256:2"), ANN, ONE_DBA, "a"),
        (msgspec.structs.replace(OPENING, duration=7200), ANN, ONE_DBA, "a"),
        (msgspec.structs.replace(OPENING, statement="select 1"), ANN, ONE_DBA, "a"),
        (msgspec.structs.replace(OPENING, kind="statement"), ANN, ONE_DBA, "a"),
        (OPENING, BOB, ONE_DBA, "a"),
        (OPENING, msgspec.structs.replace(ANN, on_behalf_of="bob"), ONE_DBA, "a"),
        (OPENING, ANN, TWO_DBAS, "a"),
        (OPENING, ANN, ONE_DBA, "b"),
    ],
)
def test_asking_for_anything_else_is_another_request(
    play: Play, matter: Matter, requester: Principal, ruling: Ask, reason: str
) -> None:
    async def scene(s: Stage) -> None:
        one = await s.desk.ask(OPENING, ANN, ONE_DBA, reason="a")
        other = await s.desk.ask(matter, requester, ruling, reason=reason)
        assert one.id != other.id

    play(scene)


@pytest.mark.parametrize("approvers", [{}, {"dba": 0}, {"dba": -1, "security": 2}, {"dba": MAX_SEATS + 1}])
def test_a_rule_that_nobody_can_satisfy_denies_and_is_not_satisfied_by_nobody(
    play: Play, approvers: dict[str, int]
) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(Denied, match="rule `broken`") as denied:
            await s.desk.ask(OPENING, ANN, Ask("?", ("broken",), approvers))
        assert denied.value.hint
        assert await s.desk.list() == ()

    play(scene)


def test_the_time_to_wait_has_a_default_and_a_bound(play: Play) -> None:
    async def scene(s: Stage) -> None:
        by_default = await s.desk.ask(OPENING, ANN, ONE_DBA, reason="a")
        for_ever = await s.desk.ask(OPENING, ANN, ONE_DBA, reason="b", wait=1e12)
        assert by_default.expires_at == s.now + DEFAULT_WAIT
        assert for_ever.expires_at == s.now + MAX_WAIT

    play(scene)


@pytest.mark.parametrize(
    ("matter", "reason", "ticket"),
    [
        (OPENING, "x" * (MAX_LINE + 1), ""),
        (OPENING, "", "x" * (MAX_LINE + 1)),
        (OPENING, "\ud800", ""),
        (OPENING, "a\0b", ""),
        (msgspec.structs.replace(DELETION, statement="select 1\0; drop table orders"), "", ""),
        (msgspec.structs.replace(DELETION, statement="x" * (MAX_STATEMENT + 1)), "", ""),
        (msgspec.structs.replace(DELETION, statement="select '\udcff'"), "", ""),
    ],
)
def test_what_no_person_can_read_is_not_asked(play: Play, matter: Matter, reason: str, ticket: str) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(BadInput) as refused:
            await s.desk.ask(matter, ANN, ONE_DBA, reason=reason, ticket=ticket)
        assert refused.value.hint

    play(scene)


def test_text_comes_back_as_it_was_given(play: Play) -> None:
    async def scene(s: Stage) -> None:
        hostile = "select 'Ω\u202e\x1b[2J'; -- ' \" $1"
        view = await s.desk.ask(msgspec.structs.replace(DELETION, statement=hostile), ANN, ONE_DBA, reason="'; --")
        assert (await s.desk.get(RequestId(view.id))) == view
        assert (view.statement, view.reason) == (hostile, "'; --")

    play(scene)


def test_one_requester_cannot_bury_the_others(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for number in range(MAX_WAITING):
            await s.desk.ask(OPENING, ANN, ONE_DBA, reason=str(number))
        with pytest.raises(BadInput, match="waiting already"):
            await s.desk.ask(OPENING, ANN, ONE_DBA, reason="one more")
        assert (await s.desk.ask(OPENING, EVE, ONE_DBA)).state == "waiting"
        s.now += DEFAULT_WAIT
        assert (await s.desk.ask(OPENING, ANN, ONE_DBA, reason="one more")).state == "waiting"

    play(scene)


# Voting


def test_one_word_is_enough_where_one_is_asked(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        s.now += 60
        view = await s.desk.vote(request, BOB, "approve", "go ahead")
        assert view.state == "approved"
        assert view.expires_at == s.now + USE_WITHIN["session"]
        (ballot,) = view.ballots
        assert (ballot.approver, ballot.verdict, ballot.comment, ballot.at) == ("bob", "approve", "go ahead", s.now)

    play(scene)


def test_two_people_are_two_people(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        assert (await s.desk.vote(request, BOB, "approve")).state == "waiting"
        again = await s.desk.vote(request, BOB, "approve", "really!")
        assert again.state == "waiting"
        assert len(again.ballots) == 1
        shouting = msgspec.structs.replace(BOB, user="BOB")
        assert (await s.desk.vote(request, shouting, "approve")).state == "waiting"
        assert (await s.desk.vote(request, CID, "approve")).state == "approved"

    play(scene)


@pytest.mark.parametrize(
    "agent",
    [
        Principal("bobs-agent", "agent", ("dba",), on_behalf_of="bob", their_groups=("dba",)),
        Principal("bot", "agent", ("dba",)),
        Principal("ci", "job", ("dba",), on_behalf_of="bob", their_groups=("dba",)),
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_an_agent_decides_nothing_whatever_its_groups_and_its_humans(
    play: Play, agent: Principal, verdict: str
) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        with pytest.raises(Denied, match=r"decided by people, and `.*` is an agent") as denied:
            await s.desk.vote(request, agent, "approve" if verdict == "approve" else "deny")
        assert denied.value.exit_code is ExitCode.DENIED
        assert (await s.desk.get(request)).ballots == ()
        assert (await s.desk.vote(request, BOB, "approve")).state == "waiting", "and its human's own vote is free"

    play(scene)


def test_an_agent_in_an_asked_group_sees_and_ends_nothing_of_others(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        agent = Principal("bobs-agent", "agent", ("dba",), on_behalf_of="bob", their_groups=("dba",))
        assert await s.desk.list(viewer=agent) == ()
        with pytest.raises(Unknown):
            await s.desk.get(request, agent)
        with pytest.raises(Unknown):
            await s.desk.cancel(request, agent)

    play(scene)


def test_a_request_of_an_agent_names_its_human(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for_ann = Principal("bot", "agent", ("agents",), on_behalf_of="ann", their_groups=("developers",))
        request = await s.asked(requester=for_ann)
        view = await s.desk.get(request)
        assert (view.requester, view.on_behalf_of) == ("bot", "ann")
        with pytest.raises(Denied, match="belongs to `bot on behalf of ann`"):
            await s.desk.cancel(request, BOB)

    play(scene)


def test_requests_of_a_human_and_of_her_agents_share_one_bound(play: Play) -> None:
    async def scene(s: Stage) -> None:
        agents = [Principal(f"agent-{n}", "agent", (), on_behalf_of="ann") for n in range(MAX_WAITING)]
        for agent in agents:
            await s.asked(requester=agent)
        with pytest.raises(BadInput, match=f"`ann` has {MAX_WAITING} requests"):
            await s.asked(requester=ANN)
        await s.asked(requester=Principal("agent-1", "agent", (), on_behalf_of="eve"))

    play(scene)


def test_an_approval_lies_ready_for_exactly_who_asked(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for_ann = Principal("bot", "agent", ("agents",), on_behalf_of="ann")
        request = await s.asked(requester=for_ann)
        assert await s.desk.ready(for_ann, "prod-db") == ()
        await s.desk.vote(request, BOB, "approve")
        assert [view.id for view in await s.desk.ready(for_ann, "prod-db")] == [request]
        for other in (ANN, Principal("bot", "agent", ()), msgspec.structs.replace(for_ann, on_behalf_of="eve")):
            assert await s.desk.ready(other, "prod-db") == ()
        assert await s.desk.ready(for_ann, "test-db") == ()

    play(scene)


def test_somebody_in_two_groups_counts_for_one_of_them(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=DBA_AND_SECURITY)
        assert (await s.desk.vote(request, DEE, "approve")).state == "waiting"
        assert (await s.desk.vote(request, BOB, "approve")).state == "approved", "dee moves over to security"

    play(scene)


def test_the_group_with_nobody_in_it_yet_is_waited_for(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=DBA_AND_SECURITY)
        assert (await s.desk.vote(request, BOB, "approve")).state == "waiting"
        assert (await s.desk.vote(request, CID, "approve")).state == "waiting"
        assert (await s.desk.vote(request, DEE, "approve")).state == "approved"

    play(scene)


def test_one_no_is_a_no(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        await s.desk.vote(request, BOB, "approve")
        view = await s.desk.vote(request, CID, "deny", "not on a friday")
        assert view.state == "denied"
        with pytest.raises(Refused, match="`cid` denied request `r_1`: not on a friday") as refused:
            await s.desk.spend(request, ANN, OPENING)
        assert refused.value.exit_code is ExitCode.REFUSED

    play(scene)


def test_second_thoughts_turn_a_yes_into_a_no(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        await s.desk.vote(request, BOB, "approve")
        view = await s.desk.vote(request, BOB, "deny")
        assert view.state == "denied"
        assert [(ballot.approver, ballot.verdict) for ballot in view.ballots] == [("bob", "deny")]

    play(scene)


@pytest.mark.parametrize(
    ("requester", "approver"),
    [
        (BOB, BOB),
        (BOB, msgspec.structs.replace(BOB, groups=("security", "dba"), issuer="https://second.example.com")),
        (BOB, Principal("Bob", "human", ("dba",))),
        (BOB, Principal("\uff42ob", "human", ("dba",))),  # a full-width b
        (BOB, Principal("agent", "agent", ("dba",), on_behalf_of="bob")),
        (Principal("agent", "agent", ("dev",), on_behalf_of="bob"), BOB),
        (Principal("agent", "agent", ("dev",), on_behalf_of="bob"), Principal("agent", "agent", ("dba",))),
        (
            Principal("one-agent", "agent", ("dev",), on_behalf_of="bob"),
            Principal("other-agent", "agent", ("dba",), on_behalf_of="bob"),
        ),
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_nobody_decides_their_own_request_in_any_disguise(
    play: Play, requester: Principal, approver: Principal, verdict: str
) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(requester=requester)
        with pytest.raises(Denied, match="your own"):
            await s.desk.vote(request, approver, "approve" if verdict == "approve" else "deny")
        assert (await s.desk.get(request)).ballots == ()

    play(scene)


@pytest.mark.parametrize("groups", [(), ("sales",), ("DBA",), ("dba ",), ("",)])
def test_who_is_in_no_asked_group_is_told_which_are_asked(play: Play, groups: tuple[str, ...]) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=DBA_AND_SECURITY)
        with pytest.raises(Denied, match="1 of `dba` and 1 of `security`, and `eve` is in none") as denied:
            await s.desk.vote(request, msgspec.structs.replace(EVE, groups=groups), "approve")
        assert denied.value.exit_code is ExitCode.DENIED
        assert await s.state(request) == "waiting"

    play(scene)


def test_what_is_decided_stays_decided(play: Play) -> None:
    async def scene(s: Stage) -> None:
        approved, denied = await s.approved(), await s.asked(DELETION)
        await s.desk.vote(denied, BOB, "deny")
        cancelled = await s.asked(ruling=TWO_DBAS)
        await s.desk.cancel(cancelled, ANN)
        for request, state in ((approved, "approved"), (denied, "denied"), (cancelled, "cancelled")):
            for verdict in ("approve", "deny"):
                with pytest.raises(BadInput, match=f"already {state}") as late:
                    await s.desk.vote(request, CID, "approve" if verdict == "approve" else "deny")
                assert late.value.exit_code is ExitCode.USAGE
            assert await s.state(request) == state

    play(scene)


def test_a_vote_on_nothing_is_unknown(play: Play) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(Unknown, match="`r_404`"):
            await s.desk.vote(RequestId("r_404"), BOB, "approve")

    play(scene)


def test_an_unreadable_comment_is_refused_before_it_counts(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        for comment in ("x" * (MAX_LINE + 1), "\ud800"):
            with pytest.raises(BadInput, match="comment"):
                await s.desk.vote(request, BOB, "approve", comment)
        assert await s.state(request) == "waiting"

    play(scene)


# Time


def test_nobody_can_approve_after_the_end(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        s.now += 900
        with pytest.raises(BadInput, match="already expired"):
            await s.desk.vote(request, BOB, "approve")
        with pytest.raises(StillPending, match="ran out"):
            await s.desk.spend(request, ANN, OPENING)
        assert await s.state(request) == "expired"

    play(scene)


@pytest.mark.parametrize("matter", [OPENING, DELETION])
def test_an_approval_left_lying_runs_out(play: Play, matter: Matter) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(matter)
        s.now += USE_WITHIN[matter.kind] - 1
        assert await s.state(request) == "approved"
        s.now += 1
        with pytest.raises(StillPending, match="ran out") as late:
            await s.desk.spend(request, ANN, matter)
        assert late.value.exit_code is ExitCode.PENDING

    play(scene)


# Spending


def test_an_approval_is_used_once(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=DBA_AND_SECURITY)
        await s.desk.vote(request, DEE, "approve")
        await s.desk.vote(request, CID, "approve")
        assert await s.desk.spend(request, ANN, OPENING) == {"dba", "security"}
        assert await s.state(request) == "used"
        with pytest.raises(Denied, match="used already"):
            await s.desk.spend(request, ANN, OPENING)

    play(scene)


def test_a_shorter_session_than_approved_is_fine(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved()
        assert await s.desk.spend(request, ANN, msgspec.structs.replace(OPENING, duration=60)) == {"dba"}

    play(scene)


@pytest.mark.parametrize(
    ("difference", "matter"),
    [
        ("kind of thing", msgspec.structs.replace(DELETION, kind="session")),
        ("target", msgspec.structs.replace(DELETION, target="test-db")),
        ("statement", msgspec.structs.replace(DELETION, statement=DELETION.statement + " ")),
        ("length of time", msgspec.structs.replace(DELETION, duration=1)),
        ("version of the policy", msgspec.structs.replace(DELETION, policy="sha256:2")),
    ],
)
def test_an_approval_holds_for_what_was_approved_and_nothing_else(play: Play, difference: str, matter: Matter) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved(DELETION)
        with pytest.raises(Denied, match=f"another {difference}") as denied:
            await s.desk.spend(request, ANN, matter)
        assert "run the statement again" in denied.value.hint
        assert "delete from orders" not in denied.value.message, "the error does not repeat statements"
        assert await s.desk.spend(request, ANN, DELETION) == {"dba"}, "and is still there for what was approved"

    play(scene)


@pytest.mark.parametrize("thief", [EVE, BOB, msgspec.structs.replace(ANN, on_behalf_of="eve")])
def test_nobody_spends_the_approval_of_another(play: Play, thief: Principal) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved()
        with pytest.raises(Unknown):
            await s.desk.spend(request, thief, OPENING)
        assert await s.state(request) == "approved"

    play(scene)


def test_an_approval_for_an_agent_of_one_person_is_not_for_its_work_for_another(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for_ann = Principal("agent", "agent", (), on_behalf_of="ann")
        request = await s.asked(requester=for_ann)
        await s.desk.vote(request, BOB, "approve")
        for other in (Principal("agent", "agent", (), on_behalf_of="eve"), Principal("agent", "agent"), ANN):
            with pytest.raises(Unknown):
                await s.desk.spend(request, other, OPENING)
        assert await s.desk.spend(request, for_ann, OPENING) == {"dba"}

    play(scene)


def test_what_waits_cannot_be_spent(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        with pytest.raises(StillPending, match="waits for 1 of `dba`") as pending:
            await s.desk.spend(request, ANN, OPENING)
        assert f"hoopx approve {request}" in pending.value.hint

    play(scene)


def test_an_approval_survives_a_restart_and_is_still_used_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as before:
            request = await before.approved()
        async with stage(tmp_path) as after:
            assert await after.desk.spend(request, ANN, OPENING) == {"dba"}
        async with stage(tmp_path) as later:
            with pytest.raises(Denied):
                await later.desk.spend(request, ANN, OPENING)

    asyncio.run(scene())


# Taking back


def test_a_request_is_taken_back_by_who_asked_or_the_human_behind(play: Play) -> None:
    async def scene(s: Stage) -> None:
        waiting, approved = await s.asked(), await s.approved(DELETION)
        for_ann = await s.asked(requester=Principal("agent", "agent", (), on_behalf_of="ann"))
        for request in (waiting, approved, for_ann):
            assert (await s.desk.cancel(request, ANN)).state == "cancelled"
        with pytest.raises(Denied, match="cancelled"):
            await s.desk.spend(approved, ANN, DELETION)
        with pytest.raises(BadInput, match="already cancelled"):
            await s.desk.cancel(waiting, ANN)

    play(scene)


def test_nobody_else_takes_it_back(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        with pytest.raises(Denied, match="belongs to `ann`"):
            await s.desk.cancel(request, BOB)
        with pytest.raises(Unknown):
            await s.desk.cancel(request, EVE)
        assert await s.state(request) == "waiting"

    play(scene)


# Seeing


def test_requests_are_seen_by_who_asked_and_who_decides(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        agents = await s.asked(DELETION, requester=Principal("agent", "agent", (), on_behalf_of="ann"))
        for viewer, seen in (
            (ANN, [agents, request]),
            (BOB, [agents, request]),
            (EVE, []),
            (Principal("agent", "agent"), []),
            (Principal("eve", "agent", (), on_behalf_of="ann"), []),
        ):
            assert sorted(view.id for view in await s.desk.list(viewer=viewer)) == sorted(seen)
            for each in (request, agents):
                if each in seen:
                    assert (await s.desk.get(each, viewer)).id == each
                else:
                    with pytest.raises(Unknown):
                        await s.desk.get(each, viewer)

    play(scene)


def test_lists_are_filtered_newest_first_and_never_show_the_dead_as_alive(play: Play) -> None:
    async def scene(s: Stage) -> None:
        first = await s.approved()
        s.now += 1
        second = await s.asked(DELETION, requester=EVE)
        ids = {
            "all": await s.desk.list(),
            "eve": await s.desk.list(requester="eve"),
            "waiting": await s.desk.list(state="waiting"),
            "other": await s.desk.list(target="test-db"),
            "one": await s.desk.list(limit=1),
        }
        assert {name: [view.id for view in views] for name, views in ids.items()} == {
            "all": [second, first],
            "eve": [second],
            "waiting": [second],
            "other": [],
            "one": [second],
        }
        s.now += 900
        assert [view.state for view in await s.desk.list()] == ["expired", "approved"]
        with pytest.raises(BadInput, match="`wating`"):
            await s.desk.list(state="wating")

    play(scene)


# Waiting


def test_a_waiter_wakes_when_it_is_decided(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(s.desk.wait(request)) for _ in range(5)]
            await asyncio.sleep(0.01)
            await s.desk.vote(request, BOB, "approve")
            await asyncio.sleep(0.01)
            assert not any(waiter.done() for waiter in waiters), "one of two is no decision"
            await s.desk.vote(request, CID, "approve")
        assert [waiter.result().state for waiter in waiters] == ["approved"] * 5
        assert s.desk._bells.is_silent, "nothing is kept for waiters that are gone"

    play(scene)


def test_a_waiter_sleeps_between_the_voices(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        looks = 0
        get = s.desk.get

        async def counted(request: RequestId, viewer: Principal | None = None) -> RequestView:
            nonlocal looks
            looks += 1
            return await get(request, viewer)

        s.desk.get = counted  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(s.desk.wait(request))
            await asyncio.sleep(0.01)
            await s.desk.vote(request, BOB, "approve")
            await asyncio.sleep(0.05)
            await s.desk.vote(request, CID, "approve")
        assert waiter.result().state == "approved"
        assert looks == 3, "at the start and after each voice"

    play(scene)


def test_a_waiter_is_told_of_a_cancellation_too(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(s.desk.wait(request))
            await asyncio.sleep(0.01)
            await s.desk.cancel(request, ANN)
        assert waiter.result().state == "cancelled"

    play(scene)


def test_a_waiter_comes_back_with_what_is_when_its_time_is_over(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        assert (await s.desk.wait(request, timeout=0)).state == "waiting"
        assert (await s.desk.wait(request, timeout=0.01)).state == "waiting"
        await s.desk.vote(request, BOB, "approve")
        assert (await s.desk.wait(request)).state == "approved"
        with pytest.raises(Unknown):
            await s.desk.wait(RequestId("r_404"))
        assert s.desk._bells.is_silent

    play(scene)


def test_a_waiter_wakes_when_the_request_runs_out(play: Play) -> None:
    async def scene(s: Stage) -> None:
        view = await s.desk.ask(OPENING, ANN, ONE_DBA, wait=0.05)
        loop = asyncio.get_running_loop()
        started = loop.time()
        s.desk._clock = lambda: s.now + loop.time() - started
        assert (await s.desk.wait(RequestId(view.id))).state == "expired"

    play(scene)


def test_a_voter_that_goes_away_still_wakes_the_waiters(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(s.desk.wait(request))
            await asyncio.sleep(0.01)
            while await s.state(request) == "waiting":
                voter = group.create_task(s.desk.vote(request, BOB, "approve"))
                await asyncio.sleep(0)
                voter.cancel()
        assert waiter.result().state == "approved"

    play(scene)


# The state fails


def test_every_error_of_the_desk_says_what_to_do_next(play: Play) -> None:
    async def scene(s: Stage) -> None:
        approved = await s.approved()
        waiting = await s.asked(DELETION)
        attempts: list[Awaitable[object]] = [
            s.desk.vote(approved, CID, "deny"),
            s.desk.vote(waiting, EVE, "approve"),
            s.desk.vote(waiting, ANN, "approve"),
            s.desk.cancel(approved, BOB),
            s.desk.spend(waiting, ANN, DELETION),
            s.desk.spend(approved, ANN, DELETION),
            s.desk.get(RequestId("r_404")),
        ]
        for attempt in attempts:
            with pytest.raises(HoopxError) as failed:
                await attempt
            assert failed.value.message
            assert failed.value.hint

    play(scene)
