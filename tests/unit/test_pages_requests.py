"""A request read and answered in a browser: what is shown to whom, and whose answer counts for what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.approvals.bounds import MAX_LINE
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.approvals.unmasking import matter_of
from hoopx_broker.daemon.pages.digest import digest_of, is_of
from hoopx_broker.daemon.pages.paper import VISIT
from hoopx_broker.identity.embedded import people
from hoopx_broker.storage.sessions import Sessions as Stored
from hoopx_broker.terms.approvals import Conditions, Effects
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from tests.unit.issuer_stage import fields
from tests.unit.pages_stage import ANN, GROUPS, OPENING, TWO_DBAS, Browser, PagesStage, Play, player

DORA = Principal("dora", "human", GROUPS["dora"])


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path)


def test_an_approver_reads_all_of_it_and_agrees_with_a_comment(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        dora = await stage.of("dora")
        page = await dora.get(f"/requests/{view.id}")
        assert page.status_code == 200
        for said in ("delete from orders where id = 7", "a customer asked", "OPS-7", "ann", "prod-db", "sensitive"):
            assert said in page.text
        assert "1 person of <code>dba</code>" in page.text
        sent = await dora.answer(page, "approve", "looks right")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/requests/{view.id}")
        after = await dora.get(sent.headers["location"])
        assert "looks right" in after.text
        assert "<textarea" not in after.text
        [ballot] = (await stage.desk.get(RequestId(view.id))).ballots
        assert (ballot.approver, ballot.verdict, ballot.comment) == ("dora", "approve", "looks right")

    play(scene)


def test_a_denial_decides_and_says_why(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask(ruling=TWO_DBAS)
        dora = await stage.of("dora")
        assert (await dora.say(view, "deny", "not on a Friday")).status_code == 303
        assert await stage.state(view) == "denied"
        page = await (await stage.of("dave")).get(f"/requests/{view.id}")
        assert "not on a Friday" in page.text
        assert "denied" in page.text
        assert "<textarea" not in page.text

    play(scene)


def test_one_of_two_people_does_not_decide(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask(ruling=TWO_DBAS)
        await (await stage.of("dora")).say(view, "approve")
        dave = await stage.of("dave")
        page = await dave.get(f"/requests/{view.id}")
        assert "2 people of <code>dba</code>" in page.text
        assert "<b>dora</b> approved" in page.text
        await dave.answer(page, "approve")
        assert await stage.state(view) == "approved"

    play(scene)


def test_nobody_answers_what_is_theirs_and_the_page_says_why(play: Play) -> None:
    """Not with a second account, either; and pressing a button that was not there changes nothing."""

    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        for who in ("ann", "ann-admin"):
            browser = await stage.of(who)
            page = await browser.get(f"/requests/{view.id}")
            assert page.status_code == 200
            assert "is your own, or one that you are part of" in page.text
            assert 'value="approve"' not in page.text
            forced = fields(page) if who == "ann" else await proofs(stage, browser, view)
            refused = await browser.post(f"/requests/{view.id}", forced | {"answer": "approve"})
            assert refused.status_code == 403
        assert await stage.state(view) == "waiting"

    play(scene)


def test_its_requester_takes_it_back(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        assert (await (await stage.of("ann")).say(view, "cancel")).status_code == 303
        assert await stage.state(view) == "cancelled"

    play(scene)


def test_who_is_in_no_asked_group_reads_which_it_is_and_nothing_more(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        eve = await stage.of("eve")
        page = await eve.get(f"/requests/{view.id}")
        assert page.status_code == 403
        assert "1 of <code>dba</code>" in page.text
        assert "delete from" not in page.text
        assert "a customer asked" not in page.text
        refused = await eve.post(f"/requests/{view.id}", await proofs(stage, eve, view) | {"answer": "approve"})
        assert refused.status_code == 403
        assert "delete from" not in refused.text
        assert (await eve.get("/requests/r_nothing")).status_code == 404
        assert await stage.state(view) == "waiting"

    play(scene)


def test_what_is_over_is_shown_as_that_and_takes_no_answer(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        late, gone = await stage.ask(wait=60), await stage.ask(OPENING)
        dora, dave = await stage.of("dora"), await stage.of("dave")
        pages = [await dave.get(f"/requests/{view.id}") for view in (late, gone)]
        await dora.say(gone, "approve")
        refused = await dave.answer(pages[1], "deny", "I object")
        assert refused.status_code == 409
        assert "I object" not in await comments(stage, gone)
        stage.now += 60
        refused = await dave.answer(pages[0], "approve")
        assert refused.status_code == 409
        assert "expired" in refused.text
        assert await stage.state(late) == "expired"

    play(scene)


def test_an_answer_counts_for_what_its_page_showed_and_for_nothing_else(play: Play) -> None:
    """A form of one request sent to another comes back with the other one to read, and with what was written."""

    async def scene(stage: PagesStage) -> None:
        harmless, harmful = await stage.ask(OPENING), await stage.ask()
        dora = await stage.of("dora")
        page = await dora.get(f"/requests/{harmless.id}")
        crossed = await dora.post(f"/requests/{harmful.id}", fields(page) | {"answer": "approve", "comment": "fine"})
        assert crossed.status_code == 409
        assert "is not as it was" in crossed.text
        assert "delete from orders" in crossed.text
        assert ">\nfine</textarea>" in crossed.text
        assert await stage.state(harmful) == "waiting"
        assert (await dora.answer(crossed, "approve", seen="0" * 64)).status_code == 409
        assert await stage.state(harmful) == "waiting"
        assert (await dora.answer(crossed, "approve")).status_code == 303

    play(scene)


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "delete from orders where id = 8"},
        {"canonical": "DELETE"},
        {"effects": Effects(rows=8.0)},
        {"target": "stage-db"},
        {"requester": "bob"},
        {"on_behalf_of": "bob"},
        {"reason": "another"},
        {"ticket": "OPS-8"},
        {"duration": 7200},
        {"classes": ("email", "phone")},
        {"session": "s_other"},
        {"policy": "sha256:2"},
        {"approvers": {"dba": 1}},
        {"conditions": Conditions(tickets=("OPS-[0-9]+",))},
        {"state": "approved"},
        {"review": "open"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_an_answer_is_bound_to_is_all_that_was_shown(change: dict[str, Any]) -> None:
    view = RequestView("r_1", "waiting", "statement", "prod-db", "ann", "why", "OPS-7", 0, (), {}, 0.0, 9.0, "select 1")
    assert not is_of(replace(view, **change), digest_of(view))
    assert is_of(replace(view, ballots=(Ballot("dora", "approve", "", 1.0),), expires_at=10.0), digest_of(view))


def test_broken_glass_is_reviewed_by_its_reviewers(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.break_glass()
        sam, ann = await stage.of("sam"), await stage.of("ann")
        page = await sam.get(f"/requests/{view.id}")
        assert "The glass was broken" in page.text
        assert 'value="accept"' in page.text
        assert 'value="approve"' not in page.text
        assert "To review" in (await sam.get("/requests")).text
        assert "is your own" in (await ann.get(f"/requests/{view.id}")).text
        assert (await sam.answer(page, "object", "a backup was at hand")).status_code == 303
        after = await sam.get(f"/requests/{view.id}")
        assert "went through, objected" in after.text
        assert "a backup was at hand" in after.text

    play(scene)


def test_the_list_has_what_waits_for_its_reader_and_what_is_theirs(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        mine, others = await stage.ask(), await stage.ask(OPENING, requester=DORA)
        page = await (await stage.of("dora")).get("/requests")
        waiting, _, own = page.text.partition("<h2>Yours</h2>")
        assert (mine.id in waiting, others.id in waiting) == (True, False)
        assert (mine.id in own, others.id in own) == (False, True)
        second = (await (await stage.of("ann-admin")).get("/requests")).text
        assert mine.id not in second.partition("<h2>Yours</h2>")[0]

    play(scene)


def test_what_its_requester_did_lately_is_for_those_who_decide(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        await (await stage.of("dora")).say(await stage.ask(OPENING), "deny")
        view = await stage.ask()
        assert "1 request and 0 sessions" in (await (await stage.of("dora")).get(f"/requests/{view.id}")).text
        assert "Lately" not in (await (await stage.of("ann")).get(f"/requests/{view.id}")).text

    play(scene)


def test_whoever_unmasks_by_the_page_is_seen_at_once(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask(matter_of("prod-db", "sha256:1", ["email"], 600))
        dora = await stage.of("dora")
        page = await dora.get(f"/requests/{view.id}")
        assert "See <code>email</code> raw" in page.text
        await dora.answer(page, "approve")
        assert stage.refreshed == 1

    play(scene)


def test_more_time_says_which_session_and_until_when(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        times = stage.now, stage.now + 3600
        await Stored(stage.store).add(Opened("s_1", ANN, "prod-db", "postgres", "shop", "", "sha256:1", "", *times))
        view = await stage.ask(Matter("extension", "prod-db", "sha256:1", duration=1800, session="s_1"))
        page = (await (await stage.of("dora")).get(f"/requests/{view.id}")).text.replace("\u00a0", " ")
        assert "Session <code>s_1</code> on <code>prod-db</code> for 30 min more" in page
        assert re.search("<dt>Ends</dt><dd>[^/]*09:00 UTC", page)
        assert re.search("<dt>Would end</dt><dd>[^/]*09:30 UTC", page)

    play(scene)


HOSTILE = "</textarea><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\u2066\u0001\u200b'\"&"


def test_whatever_people_write_stays_text(play: Play) -> None:
    """HTML, scripts, characters that turn others around and that nobody sees: in every field that somebody fills."""

    async def scene(stage: PagesStage) -> None:
        effects = Effects((HOSTILE,), (HOSTILE,), (HOSTILE,), None, HOSTILE)
        matter = Matter("statement", "prod-db", "sha256:1", f"select '{HOSTILE}'", canonical=HOSTILE, effects=effects)
        odd = Principal("ann<script>", "agent", ("developers",), on_behalf_of="<b>bob</b>")
        ruling = Ask("x", ("<script>rule</script>",), {"dba": 1, "<script>group</script>": 1})
        view = await stage.ask(matter, ruling, odd, reason=HOSTILE, ticket=HOSTILE)
        dora = await stage.of("dora")
        await dora.say(view, "approve", HOSTILE)
        lists, page = await dora.get("/requests"), await dora.get(f"/requests/{view.id}")
        again = await dora.answer(page, "approve", HOSTILE, seen="")
        for each in (lists, page, again):
            assert "<script" not in each.text
            assert "<img" not in each.text
            assert "<b>bob" not in each.text
            shown = re.sub("<textarea.*?</textarea>", "", each.text, flags=re.DOTALL)  # there stands what dora writes
            assert not re.search("[\u202e\u2066\u0001\u200b]", shown)
            assert each.text.count("</textarea>") == each.text.count("<textarea")
        assert "RIGHT-TO-LEFT OVERRIDE" in page.text
        assert "<script" not in (await dora.get("/requests/%3Cscript%3E")).text
        assert "&lt;script&gt;group" in page.text

    play(scene)


def test_forms_are_bounded(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        dora = await stage.of("dora")
        page = await dora.get(f"/requests/{view.id}")
        longest = "\U0001f600" * MAX_LINE
        assert (await dora.answer(page, "approve", longest + "!")).status_code == 400
        assert (await dora.answer(page, "approve", "x" * 40_000)).status_code == 413
        assert (await dora.post(f"/requests/{view.id}", fields(page))).status_code == 403  # no button
        assert (await dora.client.post(f"/requests/{view.id}", json={})).status_code == 400
        twice = "answer=deny&answer=approve"
        plain = {"content-type": "application/x-www-form-urlencoded"}
        assert (await dora.client.post(f"/requests/{view.id}", content=twice, headers=plain)).status_code == 400
        assert await stage.state(view) == "waiting"
        assert (await dora.answer(page, "approve", longest)).status_code == 303

    play(scene)


async def proofs(stage: PagesStage, browser: Browser, view: RequestView) -> dict[str, str]:
    """What an own form of this browser about this request would hold, were there one."""
    visit = await stage.visits.find(browser.client.cookies[VISIT])
    assert visit is not None
    return {"form": visit.form, "seen": digest_of(view)}


async def comments(stage: PagesStage, view: RequestView) -> list[str]:
    return [ballot.comment for ballot in (await stage.desk.get(RequestId(view.id))).ballots]
