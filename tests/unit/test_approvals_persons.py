"""Second accounts: nobody decides what is theirs under another name, and nobody is two people of a quorum."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.approvals.persons import Persons, names_of
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.people import Principal
from tests.unit.approvals_stage import ANN, BOB, CID, DBA_AND_SECURITY, TWO_DBAS, Play, Stage, player

ACCOUNTS = (("ann", "Ann.Admin@Example.com"), ("bob", "bob-admin"), ("bob-admin", "robert"))
ANNS_SECOND = Principal("ann.admin@example.com", "human", ("dba",))
BOBS_SECOND = Principal("bob-admin", "human", ("dba", "security"))


def named(who: Principal, person: str) -> Principal:
    return structs.replace(who, person=person)


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path, ACCOUNTS)


OWN = [
    (ANN, ANNS_SECOND),
    (ANNS_SECOND, structs.replace(ANN, groups=("dba",))),
    # An agent asks for one account of hers, and another one answers.
    (Principal("bot", "agent", (), on_behalf_of="ann"), ANNS_SECOND),
    # The provider says that they are one person, each account under its own name.
    (named(ANN, "4711"), named(CID, "4711")),
    (named(Principal("bot", "agent", (), on_behalf_of="dan"), "4711"), named(CID, "4711")),
    # A person's name is an account's at another provider, however it is written.
    (named(ANN, "CID"), CID),
    (ANN, named(CID, "ann.admin@example.com")),
    # A job that she started, where its provider says who did.
    (named(Principal("repo:shop", "job"), "4711"), named(CID, "4711")),
]


@pytest.mark.parametrize(("requester", "approver"), OWN)
@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_second_account_decides_nothing_of_the_first(
    play: Play, requester: Principal, approver: Principal, verdict: str
) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(requester=requester)
        with pytest.raises(Denied, match="is your own, or one that you are part of"):
            await s.desk.vote(request, approver, "approve" if verdict == "approve" else "deny")
        assert (await s.desk.get(request)).ballots == ()
        assert (await s.desk.vote(request, BOB, "approve")).state == "approved"

    play(scene)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BOB, BOBS_SECOND),
        (BOB, Principal("robert", "human", ("dba",))),
        (named(BOB, "7"), named(CID, "7")),
        # What one token says and the other does not: they are one account, or one name.
        (named(BOB, "7"), BOB),
        (BOB, named(BOB, "7")),
        (named(CID, "bob"), BOB),
        (named(BOB, "ｃｉｄ"), CID),
    ],
)
def test_two_accounts_of_one_person_are_one_voice(play: Play, one: Principal, other: Principal) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        for voter in (one, other, one):
            view = await s.desk.vote(request, voter, "approve")
            assert (view.state, len(view.ballots)) == ("waiting", 1)
        assert (await s.desk.vote(request, Principal("dora", "human", ("dba",)), "approve")).state == "approved"

    play(scene)


def test_a_person_sits_for_one_group_whatever_account_is_in_the_other(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=DBA_AND_SECURITY)
        await s.desk.vote(request, BOB, "approve")
        assert (await s.desk.vote(request, BOBS_SECOND, "approve")).state == "waiting"

    play(scene)


def test_a_no_of_the_second_account_takes_the_place_of_its_persons_yes(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS)
        await s.desk.vote(request, BOB, "approve")
        view = await s.desk.vote(request, BOBS_SECOND, "deny", "I see it now")
        assert (view.state, [ballot.approver for ballot in view.ballots]) == ("denied", ["bob-admin"])

    play(scene)


def test_accounts_that_were_listed_after_the_votes_count_once_from_then_on(tmp_path: Path) -> None:
    async def before(s: Stage) -> None:
        request = await s.asked(ruling=structs.replace(TWO_DBAS, approvers={"dba": 3}))
        await s.desk.vote(request, BOB, "approve")
        await s.desk.vote(request, BOBS_SECOND, "approve")

    async def after(s: Stage) -> None:
        (view,) = await s.desk.list()
        request = await s.asked(ruling=structs.replace(TWO_DBAS, approvers={"dba": 3}))
        assert request == view.id
        assert (await s.desk.vote(request, CID, "approve")).state == "waiting"
        with pytest.raises(Denied, match="your own"):
            await s.desk.vote(request, ANNS_SECOND, "approve")

    player(tmp_path)(before)
    player(tmp_path, ACCOUNTS)(after)


def test_a_job_decides_where_its_rules_put_it_into_the_group_and_an_agent_never_does(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        agent = Principal("bot", "agent", ("dba",))
        with pytest.raises(Denied, match="is decided by people, and `bot` is an agent"):
            await s.desk.vote(request, agent, "approve")
        assert await s.desk.list(viewer=agent) == ()
        job = Principal("repo:shop", "job", ("dba",))
        assert [view.id for view in await s.desk.list(viewer=job)] == [request]
        assert (await s.desk.vote(request, job, "approve")).state == "approved"

    play(scene)


def test_lists_that_share_a_name_are_one_person() -> None:
    persons = Persons([["a", "b"], ["c", "d"], ["B", "c"], ["x", "y"]])
    assert all(persons.are_one([one], [other]) for one in "abcd" for other in "abcd")
    assert not persons.are_one(["a"], ["x"])
    assert not persons.are_one(names_of(ANN), names_of(BOB))
    assert persons.merged(
        [(frozenset("x"), frozenset({"dba"})), (frozenset("a"), frozenset({"dba"})), (frozenset("yd"), frozenset("s"))]
    ) == [frozenset({"dba", "s"})]


def test_people_with_nothing_in_common_are_two(tmp_path: Path) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(ruling=TWO_DBAS, requester=named(ANN, "1"))
        await s.desk.vote(request, named(BOB, "2"), "approve")
        assert (await s.desk.vote(request, named(CID, "3"), "approve")).state == "approved"
        assert (await s.desk.vote(await s.asked(requester=CID), BOB, "approve")).state == "approved"

    player(tmp_path)(scene)
