"""Breaking the glass: at once for whom every rule lets, loud, once, and looked at afterwards by somebody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import asking
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.approvals.unmasking import matter_of
from hoopx_broker.terms.approvals import Conditions, Window
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from tests.unit.approvals_stage import BOB, CID, DEE, DELETION, EVE, ONE_DBA, OPENING, Play, Stage, player

OLA = Principal("ola", "human", ("oncall", "security"))
SAM = Principal("sam", "human", ("security",))
TIM = Principal("tim", "human", ("security",))
GLASS = Conditions(breakers=(("oncall",),), reviewers={"security": 1})
RULING = structs.replace(ONE_DBA, conditions=GLASS)
TWO_REVIEWERS = structs.replace(RULING, conditions=structs.replace(GLASS, reviewers={"security": 2}))
UNREVIEWED = structs.replace(RULING, conditions=structs.replace(GLASS, reviewers={}))


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path, [("ola", "ola-admin")])


async def broken(
    s: Stage, ruling: Ask = RULING, matter: Matter = OPENING, who: Principal = OLA, key: str = ""
) -> RequestView:
    return await s.desk.break_glass(matter, who, ruling, reason="the shop is down", key=key)


@pytest.mark.parametrize("matter", [OPENING, DELETION, Matter("extension", "prod-db", "sha256:1", session="s_1")])
def test_it_goes_through_at_once_and_stays_to_be_reviewed(play: Play, matter: Matter) -> None:
    async def scene(s: Stage) -> None:
        view = await broken(s, matter=matter)
        assert (view.state, view.glass, view.review, view.reason) == ("used", True, "open", "the shop is down")
        assert view.link == f"https://hoopx/requests/{view.id}"
        assert s.heard == [f"{view.id} broken-glass"]
        with pytest.raises(Denied, match="used already"):
            await s.desk.spend(RequestId(view.id), OLA, matter)
        s.now += 1e9
        assert (await s.desk.list(review="open")) == (view,), "however long nobody looks"

    play(scene)


def test_what_is_unmasked_through_it_holds_for_its_time_and_can_be_ended(play: Play) -> None:
    async def scene(s: Stage) -> None:
        changed: list[int] = []
        s.desk.watch(lambda: changed.append(1))
        emails = matter_of("prod-db", "sha256:1", ["email"], 600)
        views = [await broken(s, matter=emails, key=key) for key in ("a", "b", "c")]
        assert len(changed) == 3
        assert [each.request for each in await s.desk.unmaskings()] == [view.id for view in views]
        await s.desk.cancel(RequestId(views[0].id), SAM)
        await s.desk.cancel(RequestId(views[1].id), BOB)
        with pytest.raises(Unknown):
            await s.desk.cancel(RequestId(views[2].id), EVE)
        assert [each.request for each in await s.desk.unmaskings()] == [views[2].id]
        s.now += 600
        assert await s.desk.unmaskings() == ()
        assert len(await s.desk.list(review="open")) == 3

    play(scene)


def test_each_breaking_is_a_request_of_its_own_and_no_answer_to_anybody_who_asks(play: Play) -> None:
    async def scene(s: Stage) -> None:
        emails = matter_of("prod-db", "sha256:1", ["email"], 600)
        waiting = await s.desk.ask(emails, OLA, RULING, reason="the shop is down")
        first, second = await broken(s, matter=emails), await broken(s, matter=emails)
        assert len({waiting.id, first.id, second.id}) == 3
        await s.desk.cancel(RequestId(waiting.id), OLA)
        assert (await s.desk.ask(emails, OLA, RULING, reason="the shop is down")).state == "waiting"

    play(scene)


def test_it_is_in_the_log_as_a_warning(play: Play) -> None:
    async def scene(s: Stage) -> None:
        with capture_logs() as logs:
            view = await broken(s)
        (line,) = logs
        assert (line["event"], line["log_level"], line["request"]) == ("request.glass_broken", "warning", view.id)
        assert (line["who"], line["target"]) == ("ola", "prod-db")

    play(scene)


NOBODY = [
    Conditions(),
    Conditions(breakers=((),)),
    Conditions(breakers=(("oncall",), ())),
    Conditions(breakers=(("oncall",), ("dba",))),
    Conditions(breakers=(("dba", "admins"),)),
]


@pytest.mark.parametrize("conditions", NOBODY)
def test_every_rule_has_to_let_the_requester(play: Play, conditions: Conditions) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(Denied, match="`ola` may not break the glass of rule `sensitive`") as denied:
            await broken(s, structs.replace(ONE_DBA, conditions=conditions))
        assert "ask 1 of `dba` instead" in denied.value.hint
        assert await s.desk.list() == ()
        assert s.heard == []

    play(scene)


@pytest.mark.parametrize(
    "who",
    [
        Principal("bot", "agent", ("oncall",)),
        Principal("bot", "agent", ("oncall",), on_behalf_of="ola", their_groups=("oncall",)),
    ],
)
def test_no_agent_breaks_it(play: Play, who: Principal) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(Denied, match="no agent breaks the glass"):
            await broken(s, who=who)

    play(scene)


def test_a_reason_is_always_asked_for_and_the_longest_time_holds_but_hours_and_tickets_do_not(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for reason in ("", "  "):
            with pytest.raises(BadInput, match="needs a reason") as refused:
                await s.desk.break_glass(OPENING, OLA, RULING, reason=reason)
            assert "--reason" in refused.value.hint
        window = Window("UTC", (1,), 0, 60)
        strict = structs.replace(GLASS, needs_ticket=True, ask_within=((window,),), longest=60)
        with pytest.raises(BadInput, match="at most 1m"):
            await broken(s, structs.replace(ONE_DBA, conditions=strict))
        short = structs.replace(OPENING, duration=60)
        assert (await broken(s, structs.replace(ONE_DBA, conditions=strict), short)).state == "used"

    play(scene)


@pytest.mark.parametrize(("word", "review"), [("accept", "accepted"), ("object", "objected")])
def test_one_reviewer_closes_it_where_one_is_asked(play: Play, word: str, review: str) -> None:
    async def scene(s: Stage) -> None:
        request = RequestId((await broken(s)).id)
        view = await s.desk.review(request, SAM, "accept" if word == "accept" else "object", "looked at the recording")
        assert (view.review, view.state) == (review, "used")
        (said,) = view.reviews
        assert (said.approver, said.verdict, said.comment, said.at) == ("sam", word, "looked at the recording", s.now)
        assert s.heard == [f"{request} broken-glass", f"{request} {word}", f"{request} reviewed"]
        assert await s.desk.list(review="open") == ()
        assert [each.id for each in await s.desk.list(review=review)] == [request]
        with pytest.raises(BadInput, match=f"is reviewed already: {review}"):
            await s.desk.review(request, TIM, "object")

    play(scene)


def test_two_reviewers_are_two_people_and_one_objection_is_enough(play: Play) -> None:
    async def scene(s: Stage) -> None:
        one, other = [RequestId((await broken(s, TWO_REVIEWERS, key=key)).id) for key in "ab"]
        assert (await s.desk.review(one, SAM, "accept")).review == "open"
        assert (await s.desk.review(one, SAM, "accept", "really")).review == "open"
        assert (await s.desk.review(one, TIM, "accept")).review == "accepted"
        await s.desk.review(other, SAM, "accept")
        closed = await s.desk.review(other, SAM, "object", "I see it now")
        assert (closed.review, len(closed.reviews)) == ("objected", 1)

    play(scene)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (OLA, "your own, or one that you are part of: it is reviewed by somebody else"),
        (Principal("Ola-Admin", "human", ("security",)), "your own"),
        (BOB, "is reviewed by 1 of `security`, and `bob` is in none"),
        (EVE, "is reviewed by 1 of `security`, and `eve` is in none"),
        (Principal("bot", "agent", ("security",)), "is reviewed by people, and `bot` is an agent"),
        (Principal("bot", "agent", ("security",), on_behalf_of="sam"), "is reviewed by people"),
    ],
)
@pytest.mark.parametrize("word", ["accept", "object"])
def test_nobody_else_reviews_it(play: Play, who: Principal, why: str, word: str) -> None:
    async def scene(s: Stage) -> None:
        request = RequestId((await broken(s)).id)
        with pytest.raises(Denied, match=why):
            await s.desk.review(request, who, "accept" if word == "accept" else "object")
        assert (await s.desk.get(request)).reviews == ()

    play(scene)


def test_where_rules_name_no_reviewers_those_who_could_have_agreed_review_it(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = RequestId((await broken(s, UNREVIEWED)).id)
        with pytest.raises(Denied):
            await s.desk.review(request, SAM, "accept")
        assert (await s.desk.review(request, DEE, "accept")).review == "accepted"

    play(scene)


def test_reviewers_see_it_and_those_who_review_only_see_nothing_else(play: Play) -> None:
    async def scene(s: Stage) -> None:
        asked = await s.desk.ask(DELETION, EVE, RULING)
        glass = await broken(s)
        assert [view.id for view in await s.desk.list(viewer=SAM)] == [glass.id]
        assert [view.id for view in await s.desk.list(viewer=SAM, review="open")] == [glass.id]
        assert [view.id for view in await s.desk.list(viewer=OLA, review="open")] == [glass.id]
        assert await s.desk.list(viewer=EVE, review="open") == ()
        with pytest.raises(Unknown):
            await s.desk.get(RequestId(asked.id), SAM)

    play(scene)


def test_what_was_asked_is_not_reviewed_and_broken_glass_is_not_voted_on(play: Play) -> None:
    async def scene(s: Stage) -> None:
        asked, glass = RequestId((await s.desk.ask(DELETION, EVE, RULING)).id), RequestId((await broken(s)).id)
        for who in (SAM, BOB):  # a rule lets her ask and others review, but nobody was let through here
            with pytest.raises(BadInput, match="did not go through broken glass"):
                await s.desk.review(asked, who, "accept" if who is BOB else "object")
        with pytest.raises(BadInput, match="it is reviewed, not approved or denied") as gone:
            await s.desk.vote(glass, SAM, "deny")
        assert f"hoopx requests review {glass}" in gone.value.hint

    play(scene)


def test_the_same_key_never_goes_through_twice(each_state: str, play: Play) -> None:
    async def scene(s: Stage) -> None:
        async def attempt() -> bool:
            try:
                return (await broken(s, key="incident-7")).state == "used"
            except HoopxError:
                return False

        assert sum(await asyncio.gather(*(attempt() for _ in range(20)))) == 1
        with pytest.raises(Denied, match="used already"):
            await broken(s, key="incident-7")
        with pytest.raises(BadInput, match="asks for something else"):
            await s.desk.ask(OPENING, OLA, RULING, reason="the shop is down", key="incident-7")
        assert len(await s.desk.list()) == 1

    play(scene)


def test_nobody_breaks_more_glass_than_anybody_looks_at(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_UNREVIEWED", 3)

    async def scene(s: Stage) -> None:
        for _ in range(3):
            await broken(s)
        with pytest.raises(BadInput, match="nobody has looked at it"):
            await broken(s)
        (newest, *_) = await s.desk.list(review="open")
        await s.desk.review(RequestId(newest.id), SAM, "accept")
        await broken(s)

    play(scene)


def test_reviewers_that_nobody_could_be_are_a_fault_of_the_rule(play: Play) -> None:
    async def scene(s: Stage) -> None:
        for reviewers in ({"security": 0}, {"security": 51}):
            conditions = structs.replace(GLASS, reviewers=reviewers)
            with pytest.raises(Denied, match="which nobody can give"):
                await broken(s, structs.replace(ONE_DBA, conditions=conditions))

    play(scene)


def test_cid_is_no_reviewer(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = RequestId((await broken(s)).id)
        assert (await s.desk.get(request, CID)).id == request, "he could have agreed, and sees it"
        with pytest.raises(Denied):
            await s.desk.review(request, CID, "accept")

    play(scene)
