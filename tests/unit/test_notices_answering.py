"""People answer in Slack as who the broker knows them to be: real desk, outbox and pages, and a double of Slack."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from hoopx_broker.approvals.desk import Desk
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.daemon import notify
from hoopx_broker.daemon.clerk import LinkedClerk, linked_as
from hoopx_broker.daemon.linking import Answerable, Linking
from hoopx_broker.daemon.pages.paper import VISIT, Paper
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.identity.visiting.trips import Draft, Trips
from hoopx_broker.identity.visiting.visits import Visits
from hoopx_broker.identity.visiting.ways import Ways
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier, Trouble
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Notify
from hoopx_plugins.slack import SlackNotifier, SlackOptions
from tests.peers.receiver import Receiver, receiver
from tests.peers.slack_double import SIGNING_SECRET, TOKEN, SlackDouble, click, labels, shown, signed, submission
from tests.peers.state import state_in
from tests.unit.issuer_stage import HOME, HOST, fields
from tests.unit.notices_stage import EVENTS, NOON
from tests.unit.pages_stage import ANN, DELETION, ONE_DBA, OPENING, Browser, PagesStage

DORA = Principal("dora", "human", ("dba",))
DAY = 86_400.0
EVIL = "https://evil.example.com"


class Held:
    """A clock that moves only when told."""

    now = NOON

    def clock(self) -> float:
        return self.now


class Office:
    """A broker that tells Slack, and whose pages people visit, on the clock of `time`."""

    def __init__(
        self,
        store: Store,
        standing: Standing,
        time: Held | PagesStage,
        options: SlackOptions,
        slack: SlackDouble,
        signing_in: SigningIn | None = None,
        more: Sequence[BaseRoute] = (),
    ) -> None:
        self.store, self.standing, self.time, self.slack = store, standing, time, slack
        numbers = iter(range(1, 99))
        self.entry = Notify("team", "slack", options, EVENTS)
        self.desk = Desk(
            store,
            time.clock,
            lambda: RequestId(f"r_{next(numbers)}"),
            link=lambda request: f"{HOST}/requests/{request}",
            hear=Ear((self.entry,), {}),
        )
        self.notifier = SlackNotifier("team", options, time.clock)
        self.troubles: list[Trouble] = []
        self.courier = Courier(
            store,
            {"team": self.notifier},
            Composer(self.desk.get, _no_form).notice,
            me="one",
            clock=time.clock,
            random=lambda: 1.0,
            on_trouble=self.troubles.append,
        )
        self.visits = Visits(store, standing, time.clock, os.urandom)
        self.signing_in = signing_in or _without_issuers(store, standing, time, self.visits)
        self.more = more
        self.web = self.another_broker()

    def another_broker(self) -> Starlette:
        accounts = Accounts(self.store, "team", self.time.clock, os.urandom)
        clerk = LinkedClerk(self.entry, accounts, self.desk, self.standing, self.time.clock, HOST)
        linking = Linking({"team": Answerable(self.notifier, clerk, accounts)}, self.signing_in)
        return Starlette(routes=[*self.more, *self.signing_in.routes(), *linking.routes()])

    def browser(self, web: Starlette | None = None) -> Browser:
        transport = httpx2.ASGITransport(app=web or self.web, client=(HOME, 40000))
        return Browser(httpx2.AsyncClient(transport=transport, base_url=HOST, trust_env=False))

    async def visiting(self, who: Principal) -> Browser:
        """The browser of somebody who signed in just now."""
        login = Login("https://login.example.com", f"sub-{who.user}", self.now)
        cookie, _ = await self.visits.begin(Identity(who, login, self.now, self.now + DAY), Draft("/"), "")
        browser = self.browser()
        browser.client.cookies.set(VISIT, cookie)
        return browser

    @property
    def now(self) -> float:
        return self.time.now

    def later(self, seconds: float) -> None:
        self.time.now += seconds

    # What people do.

    async def ask(self, matter: Matter = OPENING, who: Principal = ANN) -> str:
        view = await self.desk.ask(matter, who, ONE_DBA, reason="fix the order", wait=900)
        await self.tell()
        return view.id

    async def tell(self) -> None:
        self.later(1)
        await self.courier.tell_due("team")

    async def click(self, request: str, user: str = "UDORA", action: str = "hoopx_approve") -> int:
        self.later(1)  # two calls in one second may be one call to whoever looks for replays
        body, headers = signed(click(action, request, user, self.slack.trigger()), self.now)
        return (await self.calls(body, headers)).status_code

    async def submit(self, user: str = "UDORA", comment: str = "go on") -> Any:
        self.later(1)
        body, headers = signed(submission(self.slack.dialogues[-1], user, comment), self.now)
        return (await self.calls(body, headers)).json()

    async def calls(
        self, body: bytes, headers: dict[str, str], web: Starlette | None = None, path: str = "/notify/team/slack"
    ) -> httpx2.Response:
        return await self.browser(web).client.post(path, content=body, headers=headers)

    async def invited(self, request: str, user: str = "UDORA") -> str:
        """The path that whoever clicks gets alone, to link their account."""
        await self.click(request, user)
        url: str = self.slack.whispers[-1]["blocks"][-1]["elements"][0]["url"]
        assert re.fullmatch(rf"{HOST}/notify/team/link/[0-9a-f]{{48}}", url)
        return url.removeprefix(HOST)

    async def link(self, request: str, who: Principal = DORA, user: str = "UDORA") -> httpx2.Response:
        """By the link that they were given, with the button of its page."""
        path, browser = await self.invited(request, user), await self.visiting(who)
        return await browser.post(path, fields(await browser.get(path)))

    async def identity(self) -> Identity:
        row = await self.store.run(lambda c: c.execute("SELECT identity FROM linked_accounts").fetchone())
        return msgspec.json.decode(row[0], type=Identity)

    async def state(self, request: str) -> str:
        return (await self.desk.get(RequestId(request))).state

    def whispered(self) -> str:
        return shown(self.slack.whispers[-1])


def _without_issuers(store: Store, standing: Standing, time: Held | PagesStage, visits: Visits) -> SigningIn:
    registers = Registers(Bindings(store), standing, Spent(time.clock))
    ways = Ways.lay([], None, HOST, registers, time.clock, lambda _: None)
    trips = Trips(store, time.clock, os.urandom)
    return SigningIn(ways, trips, visits, Loyalty(Sessions(), standing), Paper(HOST), HOST)


async def _no_form(_: bytes) -> str:
    return ""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("slack")) as found:
        yield found


Play = Callable[[Callable[[Office], Awaitable[None]]], None]


@pytest.fixture
def slack(there: Receiver) -> SlackDouble:
    there.clear()
    double = SlackDouble("C0DBA")
    there.otherwise = double.answer
    return double


@pytest.fixture
def options(there: Receiver) -> SlackOptions:
    return SlackOptions(
        token=Secret(TOKEN),
        channel="C0DBA",
        mode="buttons",
        signing_secret=Secret(SIGNING_SECRET),
        api=f"{there.url}/api/",
        ca=there.ca,
    )


@pytest.fixture
def play(slack: SlackDouble, options: SlackOptions, tmp_path: Path) -> Play:
    def run(scene: Callable[[Office], Awaitable[None]]) -> None:
        async def on_stage() -> None:
            store, held = await Store.open(state_in(tmp_path)), Held()
            office = Office(store, await Standing.load(store, held.clock), held, options, slack)
            try:
                await scene(office)
            finally:
                await office.notifier.close()
                await store.close()

        asyncio.run(on_stage())

    return run


@pytest.fixture
def play_each(each_state: str, play: Play) -> Play:
    """On each kind of state."""
    return play


def test_a_request_is_approved_in_slack(play_each: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        [message] = o.slack.channels["C0DBA"].values()
        assert labels(message) == ["Approve…", "Deny…", "Open the request"]
        assert "is you from now on" in (await o.link(request)).text
        assert await o.click(request) == 200
        assert await o.submit() == {"response_action": "clear"}
        view = await o.desk.get(RequestId(request))
        assert [(each.approver, each.verdict, each.comment) for each in view.ballots] == [("dora", "approve", "go on")]
        await o.tell()
        [message] = o.slack.channels["C0DBA"].values()
        assert "State: approved" in shown(message)
        assert labels(message) == ["Open the request"]
        assert o.troubles == []

    play_each(scene)


def test_a_message_says_that_nobody_answered_in_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody looks at the desk any more."""
    monkeypatch.setattr(notify, "LOOK_SECONDS", 0.01)

    async def scene(o: Office) -> None:
        await o.ask()
        o.later(901)
        looking = asyncio.create_task(notify.keep_time(o.desk))
        async with asyncio.timeout(10):
            while not await o.courier.tell_due("team"):
                await asyncio.wait([looking], timeout=0.01)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        [message] = o.slack.channels["C0DBA"].values()
        assert "nobody answered, or used it, in time" in shown(message)
        assert labels(message) == ["Open the request"]

    play(scene)


def test_whoever_links_signs_in_first_and_is_asked(slack: SlackDouble, options: SlackOptions, tmp_path: Path) -> None:
    """At the pages as they are. A link that somebody else sent must not make their account mine."""

    async def scene() -> None:
        store = await Store.open(tmp_path / "state.db")
        pages = PagesStage(store)
        await pages.open()
        o = Office(store, pages.standing, pages, options, slack, pages.pages.signing_in, routes(pages.embedded))
        path = await o.invited(await o.ask(), "UEVE")
        browser = o.browser()
        assert (await browser.get(path)).status_code == 401
        page = await browser.sign_in("dora", at=path)
        assert "@ueve (UEVE in T1)" in page.text
        assert "Go on only if you clicked" in page.text
        form = fields(page)
        for headers in ({"origin": EVIL}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}):
            assert (await browser.post(path, form, **headers)).status_code == 403
        assert (await browser.post(path, {"form": ""}, origin=HOST)).status_code == 409
        assert (await browser.post(path, form | {"form": "x" * 43})).status_code == 409
        assert (await browser.post(path, form, origin=HOST, sec_fetch_site="same-origin")).status_code == 200
        assert (await o.identity()).who.user == "dora"
        assert (await browser.post(path, form)).status_code == 404  # once
        assert (await browser.get(path.replace("/team/", "/other/"))).status_code == 404
        await o.notifier.close()
        await store.close()

    asyncio.run(scene())


def test_an_invitation_is_over_in_ten_minutes_and_with_the_next_one(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        first = await o.invited(request)
        second = await o.invited(request)
        browser = await o.visiting(DORA)
        assert (await browser.get(first)).status_code == 404
        form = fields(await browser.get(second))
        o.later(601)
        assert (await browser.get(second)).status_code == 404
        assert (await browser.post(second, form)).status_code == 404

    play(scene)


def test_nobody_approves_what_is_theirs_in_slack_either(play: Play) -> None:
    async def scene(o: Office) -> None:
        others = await o.ask()
        request = await o.ask(who=DORA)
        await o.link(others)
        await o.click(request)
        assert o.slack.dialogues == []
        # A dialogue that was opened for something else, its request changed on the way.
        await o.click(others)
        o.slack.dialogues[-1]["private_metadata"] = request
        assert (await o.submit())["response_action"] == "update"
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
        await o.click(session)
        o.slack.dialogues[-1]["private_metadata"] = statement
        assert (await o.submit())["response_action"] == "update"
        assert await o.state(statement) == "waiting"

    play(scene)


def test_groups_that_were_heard_of_too_long_ago_do_not_count(play: Play) -> None:
    async def scene(o: Office) -> None:
        await o.link(await o.ask())
        o.later(o.entry.fresh + 1)
        request = await o.ask()
        await o.click(request)
        assert "too long ago" in o.whispered()
        # A token of today's, wherever it was used, says it anew.
        o.standing.memberships.learn(replace(await o.identity(), issued_at=o.now))
        await o.click(request)
        assert await o.submit() == {"response_action": "clear"}
        assert await o.state(request) == "approved"

    play(scene)


def test_a_group_that_was_lost_since_does_not_count(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        before = await o.identity()
        o.standing.memberships.learn(replace(before, issued_at=o.now + 1, who=replace(before.who, groups=("sales",))))
        await o.click(request)
        assert "there is no request" in o.whispered()
        assert o.slack.dialogues == []

    play(scene)


def test_who_was_revoked_is_refused(play: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        await o.standing.revoke(Revocation("user", "", "dora", o.now, "sam", "left"))
        await o.click(request)
        assert "not let in any more" in o.whispered()
        assert o.slack.dialogues == []

    play(scene)


@pytest.mark.parametrize("who", [Principal("bot", "agent", ("dba",)), Principal("ci", "job", ("dba",)), None])
def test_only_people_link_accounts(who: Principal | None) -> None:
    found = who or Principal("bot", "human", ("dba",), on_behalf_of="dora")
    with pytest.raises(Denied, match="only people"):
        linked_as(Identity(found, Login("https://login.example.com", "x", 1), 1, 2))


def test_a_call_that_one_broker_heard_counts_at_no_other(play_each: Play) -> None:
    async def scene(o: Office) -> None:
        request = await o.ask()
        await o.link(request)
        await o.click(request)
        body, headers = signed(submission(o.slack.dialogues[-1], "UDORA", "yes"), o.now)
        first = await o.calls(body, headers)
        again = await o.calls(body, headers, o.another_broker())
        assert (first.status_code, again.status_code) == (200, 409)

    play_each(scene)


def test_calls_to_nowhere_and_calls_without_end_are_refused(play: Play) -> None:
    async def scene(o: Office) -> None:
        for path in ("/notify/other/slack", "/notify/team/teams"):
            assert (await o.calls(b"", {}, path=path)).status_code == 404
        assert (await o.calls(b"x" * 300_000, {})).status_code == 413

    play(scene)


def test_a_request_that_is_none_leads_to_the_list(play: Play) -> None:
    async def scene(o: Office) -> None:
        await o.link(await o.ask())
        await o.click(f"../../login?next={EVIL}")
        assert o.slack.whispers[-1]["blocks"][-1]["elements"][0]["url"] == f"{HOST}/requests"

    play(scene)
