"""Signing in for the pages: the way there and back, the visit, and those who would like to have somebody else's."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from msgspec.structs import replace

from hoopx_broker.daemon.pages.paper import TRIP, VISIT, Paper
from hoopx_broker.identity.embedded import people
from hoopx_broker.identity.embedded.authorization import PAGES
from hoopx_broker.identity.standing import Revocation
from hoopx_broker.identity.visiting import visits
from hoopx_broker.identity.visiting.trips import LIFE, MAX_OPEN_PEER
from hoopx_broker.identity.visiting.visits import MAX_EACH
from tests.unit.issuer_stage import ADDRESS, HOST, URL, VERIFIER, fields
from tests.unit.pages_stage import PASSWORD, Browser, PagesStage, Play, player


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path)


@pytest.fixture
def on_each(each_state: str, play: Play) -> Play:
    """For scenes that tell whether both kinds of state understand what they are asked."""
    return play


def test_a_person_signs_in_and_is_where_they_wanted_to_be(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = stage.browser()
        asked = await browser.get(f"/requests/{view.id}")
        assert asked.status_code == 401
        assert "Continue with this broker" in asked.text
        assert "delete from" not in asked.text
        page = await browser.sign_in("dora", f"/requests/{view.id}")
        assert page.status_code == 200
        assert "delete from" in page.text
        assert "dora" in page.text

    play(scene)


def test_the_cookies_are_for_this_host_alone_and_not_for_scripts(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        led = await browser.post("/login/embedded", fields(await browser.get("/requests")))
        back = await browser.at_issuer(leads_to(led), "dora")
        arrived = await browser.get(back)
        for answer, name in ((led, TRIP), (arrived, VISIT)):
            [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{name}=")]
            assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(cookie.lower().replace(" ", "").split(";"))
            assert "domain" not in cookie.lower()
        assert arrived.status_code == 303
        assert arrived.headers["location"] == "/requests"
        assert arrived.headers["cache-control"] == "no-store"
        assert arrived.headers["referrer-policy"] == "no-referrer"

    play(scene)


def test_what_is_told_to_the_issuer_is_a_challenge_a_state_and_a_nonce(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        url = await browser.leave(await browser.get("/requests"))
        asked = {name: one for name, [one] in parse_qs(urlsplit(url).query).items()}
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{HOST}/login/embedded/callback"
        assert "offline_access" not in asked["scope"]
        assert len({asked["state"], asked["nonce"], asked["code_challenge"], browser.client.cookies[TRIP]}) == 4

    play(scene)


def test_the_state_holds_no_cookie_no_state_and_no_verifier(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        url = await browser.leave(await browser.get("/requests"))
        [state] = parse_qs(urlsplit(url).query)["state"]
        held = str(await stage.rows("SELECT * FROM page_trips"))
        assert state not in held
        assert browser.client.cookies[TRIP] not in held
        await browser.come_back(await browser.at_issuer(url, "dora"))
        held = str(await stage.rows("SELECT * FROM page_visits"))
        assert "dora" in held
        assert browser.client.cookies[VISIT] not in held
        assert "eyJ" not in held  # how tokens begin
        assert await stage.rows("SELECT * FROM page_trips") == []

    play(scene)


def test_an_answer_serves_once_and_only_the_browser_that_began(play: Play) -> None:
    """Replayed, in a browser that keeps no cookies, and sent to somebody else so that they act as the sender."""

    async def scene(stage: PagesStage) -> None:
        eve, victim, bare = stage.browser(), stage.browser(), stage.browser()
        back = await eve.at_issuer(await eve.leave(await eve.get("/requests")), "eve")
        await victim.leave(await victim.get("/requests"))
        lost = await victim.get(back)
        assert lost.status_code == 400
        assert VISIT not in victim.client.cookies
        bare.client.cookies.clear()
        told = await bare.get(back)
        assert told.status_code == 400
        assert "keeps no cookies" in told.text
        assert (await eve.get(back)).status_code == 303
        assert (await eve.get(back)).status_code == 400
        state = back.replace("state=", "state=x")
        assert (await eve.get(state)).status_code == 400

    play(scene)


def test_a_code_of_a_program_is_no_code_for_the_pages_and_the_other_way_round(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        url = await browser.leave(await browser.get("/requests"))
        asked = {name: one for name, [one] in parse_qs(urlsplit(url).query).items()}
        for redirect in (ADDRESS, f"{HOST}/requests", f"{HOST}/login/embedded/callback/", "https://evil.example/"):
            query = urlencode(asked | {"redirect_uri": redirect})
            assert (await browser.get(f"/oidc/authorize?{query}")).status_code == 400
        as_program = urlencode(asked | {"client_id": "hoopx-cli"})
        assert (await browser.get(f"/oidc/authorize?{as_program}")).status_code == 400
        back = await browser.at_issuer(url, "dora")
        [code] = parse_qs(urlsplit(back).query)["code"]
        for client in (PAGES, "hoopx-cli"):
            form = {"grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": VERIFIER}
            refused = await browser.post("/oidc/token", form | {"redirect_uri": f"{HOST}/login/embedded/callback"})
            assert refused.json()["error"] in ("invalid_client", "invalid_grant")
        assert (await browser.get(back)).status_code == 303

    play(scene)


def test_two_tabs_sign_in_side_by_side(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = stage.browser()
        first = await browser.leave(await browser.get("/requests"))
        second = await browser.leave(await browser.get(f"/requests/{view.id}"))
        assert "All requests" in (await browser.come_back(await browser.at_issuer(second, "dora"))).text
        page = await browser.get(f"/requests/{view.id}")
        assert "Wait for you" in (await browser.come_back(await browser.at_issuer(first, "dora"))).text
        earlier = await browser.answer(page, "approve", "seen it")
        assert earlier.status_code == 409
        assert "of an earlier login" in earlier.text
        assert "seen it" in earlier.text
        assert (await browser.answer(earlier, "approve", "seen it")).status_code == 303

    play(scene)


def test_a_cookie_that_was_there_before_is_worth_nothing_afterwards(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = await stage.of("eve")
        planted = browser.client.cookies[VISIT]
        await browser.come_back(await browser.at_issuer(await again(browser), "dora"))
        assert browser.client.cookies[VISIT] != planted
        assert await stage.visits.find(planted) is None

    play(scene)


@pytest.mark.parametrize(
    "at",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "",
        "/a\nb",
        "/%0d",
    ],
)
def test_nobody_is_led_elsewhere(play: Play, at: str) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        refused = await browser.post("/login/embedded", fields(await browser.get("/requests")) | {"at": at})
        assert refused.status_code == 400

    play(scene)


def test_what_was_written_is_not_lost_when_the_visit_ends_before_it_is_sent(on_each: Play) -> None:
    """It comes back to its form, and nothing was sent until somebody presses again."""

    async def scene(stage: PagesStage) -> None:
        view = await stage.ask(wait=7200)
        browser = await stage.of("dora")
        page = await browser.get(f"/requests/{view.id}")
        stage.now += 1000
        asked = await browser.answer(page, "deny", 'I wrote "much"\r\nin two lines')
        assert asked.status_code == 401
        assert "What you wrote is kept" in asked.text
        back = await browser.come_back(await browser.at_issuer(await browser.leave(asked), "dora"))
        assert str(back.url).endswith(f"/requests/{view.id}")
        assert "I wrote &#34;much&#34;\nin two lines</textarea>" in back.text
        assert await stage.state(view) == "waiting"
        assert (await browser.answer(back, "deny", "enough")).status_code == 303
        assert "much" not in str(await stage.rows("SELECT * FROM page_visits"))

    on_each(scene)


def test_a_visit_lives_no_longer_than_its_token(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = await stage.of("dora")
        stage.now += 899
        assert (await browser.get("/requests")).status_code == 200
        stage.now += 1
        assert (await browser.get("/requests")).status_code == 401

    play(scene)


def test_a_visit_lives_no_longer_than_a_working_day(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = await stage.of("dora")
        visit = await stage.visits.find(browser.client.cookies[VISIT])
        assert visit is not None
        longer = replace(visit.identity, expires_at=stage.now + 90_000)
        cookie, begun = await stage.visits.begin(longer, visit.draft, "")
        assert begun.expires_at == stage.now + visits.LIFE
        stage.now += visits.LIFE
        assert await stage.visits.find(cookie) is None

    play(scene)


def test_who_logs_out_is_out_and_the_cookie_is_worth_nothing(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = await stage.of("dora")
        cookie = browser.client.cookies[VISIT]
        page = await browser.get("/requests")
        forged = await browser.post("/logout", {"form": "x" * 43})
        assert forged.status_code == 409
        assert (await browser.get("/requests")).status_code == 200
        out = await browser.post("/logout", fields(page))
        assert "You are logged out" in out.text
        assert VISIT not in browser.client.cookies
        assert await stage.visits.find(cookie) is None

    play(scene)


@pytest.mark.parametrize("how", ["user", "login"])
def test_who_is_revoked_or_logged_out_elsewhere_is_out_at_once(play: Play, how: str) -> None:
    """Also where the sign-out happens between reading a request and answering it; a restored user signs in anew."""

    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = await stage.of("dora")
        page = await browser.get(f"/requests/{view.id}")
        visit = await stage.visits.find(browser.client.cookies[VISIT])
        assert visit is not None
        if how == "user":
            await stage.revoke("dora")
        else:
            ended = Revocation("login", URL, visit.identity.login.sid, stage.now, "its provider", "logged out there")
            await stage.standing.logout([ended], "jti", stage.now + 60)
        assert (await browser.answer(page, "approve")).status_code == 401
        assert await stage.state(view) == "waiting"
        if how == "user":
            await stage.standing.restore("dora")
            assert (await browser.get("/requests")).status_code == 401
            stage.now += 2
        assert (await browser.sign_in("dora")).status_code == 200

    play(scene)


def test_groups_count_as_they_are_by_now(play: Play) -> None:
    """A newer token of the same person without a group takes it away here, too."""

    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = await stage.of("dora")
        page = await browser.get(f"/requests/{view.id}")
        visit = await stage.visits.find(browser.client.cookies[VISIT])
        assert visit is not None
        left = replace(visit.identity, issued_at=stage.now + 1, who=replace(visit.identity.who, groups=("developers",)))
        stage.standing.memberships.learn(left)
        assert (await browser.answer(page, "approve")).status_code == 403
        assert await stage.state(view) == "waiting"

    play(scene)


def test_brokers_of_one_state_share_trips_and_visits(on_each: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        here, there = stage.app, stage.broker()
        browser = stage.browser(here)
        back = await browser.at_issuer(await browser.leave(await browser.get("/requests")), "dora")
        elsewhere = stage.browser(there)
        elsewhere.client.cookies.update(browser.client.cookies)
        assert (await elsewhere.get(back)).status_code == 303
        browser.client.cookies.update(elsewhere.client.cookies)
        assert (await browser.get("/requests")).status_code == 200

    on_each(scene)


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://broker.example.com:8443"},
    {"origin": "https://broker.example.com"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"origin": HOST, "sec_fetch_site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda said: " ".join(said.values()))
def test_forms_of_other_sites_do_nothing(play: Play, headers: dict[str, str]) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = await stage.of("dora")
        form = fields(await browser.get(f"/requests/{view.id}")) | {"answer": "approve", "comment": ""}
        for path in (f"/requests/{view.id}", "/logout", "/login/embedded"):
            assert (await browser.post(path, form | {"at": "/requests"}, **headers)).status_code == 403
        assert await stage.state(view) == "waiting"
        assert (await browser.get("/requests")).status_code == 200
        own = {"origin": HOST, "sec_fetch_site": "same-origin"}
        assert (await browser.post(f"/requests/{view.id}", form, **own)).status_code == 303

    play(scene)


def test_the_form_of_another_visit_answers_nothing(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        dora, dave = await stage.of("dora"), await stage.of("dave")
        form = fields(await dave.get(f"/requests/{view.id}")) | {"answer": "approve", "comment": "by dave"}
        assert (await dora.post(f"/requests/{view.id}", form)).status_code == 409
        assert await stage.state(view) == "waiting"

    play(scene)


def test_every_page_is_guarded_by_its_headers(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        browser = await stage.of("dora")
        pages = [
            await stage.browser().get("/requests"),
            await stage.browser().get("/login/embedded/callback"),
            await browser.get("/requests"),
            await browser.get(f"/requests/{view.id}"),
            await browser.get("/requests/r_nothing"),
            await browser.post("/login/nowhere", {"at": "/requests"}),
            await browser.post("/login/embedded", {"at": "/requests"}),
        ]
        for page in pages:
            policy = page.headers["content-security-policy"]
            for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
                assert part in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["referrer-policy"] == "same-origin"
            assert page.headers["strict-transport-security"].startswith("max-age=")
            assert "<script" not in page.text
            assert not re.search(r"\son[a-z]+=|style=", page.text)

    play(scene)


@pytest.mark.parametrize("host", ["localhost:8443", "127.0.0.1:8443", "[::1]:8443", "hoopx.localhost"])
def test_hsts_is_not_said_of_this_machine(host: str) -> None:
    assert "strict-transport-security" not in Paper(f"https://{host}").onward("/requests").headers


def test_trips_are_over_after_a_while_and_bounded_for_each_address(on_each: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        back = await browser.at_issuer(await browser.leave(await browser.get("/requests")), "dora")
        stage.now += LIFE
        assert (await browser.get(back)).status_code == 400
        for _ in range(MAX_OPEN_PEER + 5):
            await browser.post("/login/embedded", {"at": "/requests"})
        assert await stage.rows("SELECT count(*) FROM page_trips") == [(MAX_OPEN_PEER,)]

    on_each(scene)


def test_one_person_has_so_many_browsers_and_no_more(on_each: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        first = await stage.of("dora")
        visit = await stage.visits.find(first.client.cookies[VISIT])
        assert visit is not None
        for _ in range(MAX_EACH):
            stage.now += 1
            await stage.visits.begin(visit.identity, visit.draft, "")
        assert await stage.rows("SELECT count(*) FROM page_visits") == [(MAX_EACH,)]
        assert await stage.visits.find(first.client.cookies[VISIT]) is None

    on_each(scene)


def test_a_wrong_password_begins_no_visit(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        browser = stage.browser()
        page = await browser.client.get(await browser.leave(await browser.get("/requests")))
        form = fields(page) | {"user": "dora", "password": PASSWORD + "!"}
        assert (await browser.post("/oidc/login", form)).status_code == 400
        assert VISIT not in browser.client.cookies

    play(scene)


def leads_to(page: httpx2.Response) -> str:
    found = re.search(r'url=([^"]+)"', page.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


async def again(browser: Browser) -> str:
    """Sign in once more in a browser that is signed in already."""
    return leads_to(await browser.post("/login/embedded", {"at": "/requests"}))
