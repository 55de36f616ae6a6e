"""People answer in Slack as who the broker knows them to be: a real desk and outbox, and a double of Slack over TLS."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hoopx_broker.approvals.desk import Desk
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.daemon.clerk import LinkedClerk
from hoopx_broker.daemon.linking import Answerable, Linking
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier, Trouble
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Notify
from hoopx_plugins.slack import SlackNotifier, SlackOptions
from tests.peers.receiver import Receiver, receiver
from tests.peers.slack_double import SIGNING_SECRET, TOKEN, SlackDouble, click, labels, shown, signed, submission
from tests.unit.approvals_stage import ANN, BOB, DELETION, ONE_DBA, OPENING
from tests.unit.notices_stage import EVENTS, NOON

BROKER = "https://broker.example.com"
HOUR = 3600.0


def signed_in(who: Principal, at: float, **more: Any) -> Identity:
    return Identity(who, Login("https://login.example.com", f"sub-{who.user}", at), at, at + HOUR, **more)


class Office:
    """A broker that tells Slack, with a clock to hold, and the browser of somebody."""

    def __init__(self, store: Store, standing: Standing, options: SlackOptions, slack: SlackDouble) -> None:
        self.now = NOON
        self.store, self.standing, self.slack = store, standing, slack
        numbers = iter(range(1, 99))
        self.entry = Notify("team", "slack", options, EVENTS)
        self.desk = Desk(
            store,
            lambda: self.now,
            lambda: RequestId(f"r_{next(numbers)}"),
            link=lambda request: f"{BROKER}/requests/{request}",
            hear=Ear((self.entry,), {}),
        )
        self.notifier = SlackNotifier("team", options, lambda: self.now)
        self.troubles: list[Trouble] = []
        self.courier = Courier(
            store,
            {"team": self.notifier},
            Composer(self.desk.get, _no_form).notice,
            me="one",
            clock=lambda: self.now,
            random=lambda: 1.0,
            on_trouble=self.troubles.append,
        )
        self.visitor: Identity | None = None
        self.web = self.another_broker()

    def another_broker(self) -> Starlette:
        accounts = Accounts(self.store, "team", lambda: self.now, os.urandom)
        clerk = LinkedClerk(self.entry, accounts, self.desk, self.standing, lambda: self.now, BROKER)
        return Starlette(
            routes=Linking({"team": Answerable(self.notifier, clerk, accounts)}, BROKER, self._visit).routes()
        )

    async def _visit(self, _: Request) -> Identity | Response:
        return self.visitor or RedirectResponse("/login")

    # What people do.

    async def ask(self, matter: Matter = OPENING, who: Principal = ANN) -> str:
        view = await self.desk.ask(matter, who, ONE_DBA, reason="fix the order", wait=900)
        await self.tell()
        return view.id

    async def tell(self) -> None:
        self.now += 1
        await self.courier.tell_due("team")

    async def click(self, request: str, user: str = "UBOB", action: str = "hoopx_approve") -> int:
        return await self.slack_calls(click(action, request, user, self.slack.trigger()))

    async def submit(self, user: str = "UBOB", comment: str = "go on") -> httpx2.Response:
        body, headers = signed(submission(self.slack.dialogues[-1], user, comment), self.now)
        return await self.post("/notify/team/slack", body, headers)

    async def slack_calls(self, payload: dict[str, Any]) -> int:
        self.now += 1  # two calls in one second are one call to whoever looks for replays
        body, headers = signed(payload, self.now)
        return (await self.post("/notify/team/slack", body, headers)).status_code

    async def post(
        self, path: str, body: bytes, headers: dict[str, str], web: Starlette | None = None
    ) -> httpx2.Response:
        async with self._browser(web) as browser:
            return await browser.post(path, content=body, headers=headers)

    async def get(self, path: str) -> httpx2.Response:
        async with self._browser(None) as browser:
            return await browser.get(path)

    def _browser(self, web: Starlette | None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(web or self.web), base_url=BROKER)

    async def invited(self, request: str, user: str = "UBOB") -> str:
        """The path that whoever clicks gets alone, to link their account."""
        await self.click(request, user)
        url: str = self.slack.whispers[-1]["blocks"][-1]["elements"][0]["url"]
        assert re.fullmatch(rf"{BROKER}/notify/team/link/[0-9a-f]{{48}}", url)
        return url.removeprefix(BROKER)

    async def link(self, request: str, who: Principal = BOB, user: str = "UBOB", **more: Any) -> httpx2.Response:
        self.visitor = signed_in(who, self.now, **more)
        return await self.post(await self.invited(request, user), b"", {"origin": BROKER})

    async def state(self, request: str) -> str:
        return (await self.desk.get(RequestId(request))).state

    def whispered(self) -> str:
        return shown(self.slack.whispers[-1])


async def _no_form(_: bytes) -> str:
    return ""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("slack")) as found:
        yield found


Play = Callable[[Callable[[Office], Awaitable[None]]], None]


@pytest.fixture
def play(there: Receiver, tmp_path: Path) -> Play:
    there.clear()
    slack = SlackDouble("C0DBA")
    there.otherwise = slack.answer
    options = SlackOptions(
        token=Secret(TOKEN),
        channel="C0DBA",
        mode="buttons",
        signing_secret=Secret(SIGNING_SECRET),
        api=f"{there.url}/api/",
        ca=there.ca,
    )

    def run(scene: Callable[[Office], Awaitable[None]]) -> None:
        async def on_stage() -> None:
            store = await Store.open(tmp_path / "state.db")
            office = Office(store, await Standing.load(store, lambda: NOON), options, slack)
            try:
                await scene(office)
            finally:
                await office.notifier.close()
                await store.close()

        asyncio.run(on_stage())

    return run


def test_a_request_is_approved_in_slack(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        [message] = o.slack.channels["C0DBA"].values()
        assert labels(message) == ["Approve…", "Deny…", "Open the request"]
        assert (await o.link(request)).status_code == 200
        assert await o.click(request) == 200
        assert (await o.submit()).json() == {"response_action": "clear"}
        view = await o.desk.get(RequestId(request))
        assert [(each.approver, each.verdict, each.comment) for each in view.ballots] == [("bob", "approve", "go on")]
        await o.tell()
        [message] = o.slack.channels["C0DBA"].values()
        assert "State: approved" in shown(message)
        assert labels(message) == ["Open the request"]
        assert o.troubles == []

    play(scene)


def test_whoever_links_is_asked_and_signs_in_first(play: Play) -> None:
    """A link that somebody else sent must not make their account mine."""

    async def scene(o: Office) -> None:
        request = await o.ask()
        path = await o.invited(request, "UEVE")
        assert (await o.get(path)).status_code == 307  # to sign in
        o.visitor = signed_in(BOB, o.now)
        page = await o.get(path)
        assert "@ueve (UEVE in T1)" in page.text
        assert "Go on only if you clicked" in page.text
        assert page.headers["referrer-policy"] == "same-origin"  # by `no-referrer` its own form would say no origin
        for origin in ({}, {"origin": "https://evil.example.com"}, {"origin": "null"}):
            assert (await o.post(path, b"", origin)).status_code == 403
        assert (await o.post(path, b"", {"origin": BROKER})).status_code == 200
        assert (await o.post(path, b"", {"origin": BROKER})).status_code == 404  # once
        assert (await o.get("/notify/other/link/" + path[-48:])).status_code == 404

    play(scene)


def test_an_invitation_is_over_in_ten_minutes_and_with_the_next_one(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        o.visitor = signed_in(BOB, o.now)
        first = await o.invited(request)
        second = await o.invited(request)
        assert (await o.post(first, b"", {"origin": BROKER})).status_code == 404
        o.now += 601
        assert (await o.post(second, b"", {"origin": BROKER})).status_code == 404

    play(scene)


def test_nobody_approves_what_is_theirs_in_slack_either(play: Play) -> None:
    async def scene(o: Office) -> None:
        both = replace(ANN, groups=("dev", "dba"))
        request = await o.ask(who=both)
        await o.link(request, both, "UANN")
        await o.click(request, "UANN")
        answer = (await o.submit("UANN")).json()
        assert answer["response_action"] == "update"
        assert await o.state(request) == "waiting"

    play(scene)


def test_a_statement_is_not_approved_in_slack_however_the_click_is_made(play: Play) -> None:
    async def scene(o: Office) -> None:
        session = await o.ask()
        statement = await o.ask(DELETION)
        assert labels(list(o.slack.channels["C0DBA"].values())[1]) == ["Open the request"]
        await o.link(session)
        await o.click(statement)
        assert "approved by whoever has read it" in o.whispered()
        # A dialogue that was opened for something else, its request changed on the way.
        await o.click(session)
        o.slack.dialogues[-1]["private_metadata"] = statement
        assert (await o.submit()).json()["response_action"] == "update"
        assert await o.state(statement) == "waiting"

    play(scene)


def test_groups_that_were_heard_of_too_long_ago_do_not_count(play: Play) -> None:
    async def scene(o: Office) -> None:
        await o.link(await o.ask())
        o.now += o.entry.fresh + 1
        request = await o.ask()
        await o.click(request)
        assert "too long ago" in o.whispered()
        # A token of today's, wherever it was used, says it anew.
        o.standing.memberships.learn(signed_in(BOB, o.now))
        await o.click(request)
        assert (await o.submit()).json() == {"response_action": "clear"}
        assert await o.state(request) == "approved"

    play(scene)


def test_a_group_that_was_lost_since_does_not_count(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        o.standing.memberships.learn(signed_in(replace(BOB, groups=("sales",)), o.now + 1))
        await o.click(request)
        assert "there is no request" in o.whispered()
        assert o.slack.dialogues == []

    play(scene)


def test_who_was_revoked_is_refused(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        await o.standing.revoke(Revocation("user", "", "bob", o.now, "root", "left"))
        await o.click(request)
        assert "not let in any more" in o.whispered()
        assert o.slack.dialogues == []

    play(scene)


def test_an_agent_links_nothing(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        agent = Principal("bot", "agent", ("dba",), on_behalf_of="bob")
        assert (await o.link(request, agent)).status_code == 403
        await o.click(request)
        assert "linked to nobody" in o.whispered()

    play(scene)


def test_a_call_that_one_broker_heard_counts_at_no_other(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        await o.click(request)
        body, headers = signed(submission(o.slack.dialogues[-1], "UBOB", "yes"), o.now)
        first = await o.post("/notify/team/slack", body, headers)
        again = await o.post("/notify/team/slack", body, headers, o.another_broker())
        assert (first.status_code, again.status_code) == (200, 409)

    play(scene)


def test_calls_to_nowhere_and_calls_without_end_are_refused(play: Play) -> None:
    async def scene(o: Office) -> None:
        for path in ("/notify/other/slack", "/notify/team/teams"):
            assert (await o.post(path, b"", {})).status_code == 404
        assert (await o.post("/notify/team/slack", b"x" * 300_000, {})).status_code == 413

    play(scene)


def test_a_request_that_is_none_leads_to_the_list(play: Play) -> None:
    async def scene(o: Office) -> None:
        await o.link(await o.ask())
        await o.click("../../login?next=https://evil.example.com")
        assert o.slack.whispers[-1]["blocks"][-1]["elements"][0]["url"] == f"{BROKER}/requests"

    play(scene)
