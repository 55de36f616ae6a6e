"""The pages of the device flow: what a person sees, and what an attacker in another tab, page or machine cannot do."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import people, visits
from hoopx_broker.identity.embedded.browsing import COOKIE, visit_of
from hoopx_broker.identity.embedded.codes import LIFE
from hoopx_broker.identity.embedded.issuer import FAILURE_WINDOW, MAX_FAILURES, MAX_FAILURES_FROM, MAX_GUESSES
from hoopx_broker.identity.embedded.people import MAX_PASSWORD, People, Person
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.embedded.sign_in import SignIn
from hoopx_broker.identity.embedded.throttle import MAX_NAMES, Throttle
from tests.unit.issuer_stage import HOME, HOST, START, Issuer, Play, fields, player, users


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db")


async def to_login(browser: httpx2.AsyncClient, code: str) -> httpx2.Response:
    return await browser.post("/oidc/device", data={"user_code": code})


async def to_question(browser: httpx2.AsyncClient, code: str) -> httpx2.Response:
    form = fields(await to_login(browser, code)) | {"user": "ann", "password": "ann's password"}
    return await browser.post("/oidc/login", data=form)


async def is_waiting(issuer: Issuer, device_code: str) -> bool:
    issuer.now += 60
    return bool((await issuer.poll(device_code)).json().get("error") == "authorization_pending")


# --- what a person sees -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["{0}", " {0} ", "{1}", "{2}", "{2}{3}", "{2} {3}"])
def test_a_code_is_taken_as_people_type_it(play: Play, typed: str) -> None:
    async def scene(issuer: Issuer) -> None:
        code = (await issuer.ask())["user_code"]
        plain = code.replace("-", "")
        text = typed.format(code, code.lower(), plain[:4].lower(), plain[4:])
        text = plain if typed == "{2}" else text
        async with issuer.visitor() as browser:
            assert "User name" in (await to_login(browser, text)).text

    play(scene)


def test_a_code_in_the_link_is_only_filled_in(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            page = await browser.get(device["verification_uri_complete"])
        assert f'value="{device["user_code"]}"' in page.text
        assert "set-cookie" not in page.headers
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_the_person_confirms_who_asks_from_where_since_when_and_under_which_code(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask("198.51.100.9")
        issuer.now += 130
        async with issuer.visitor(HOME) as browser:
            page = (await to_question(browser, device["user_code"])).text
        for told in ("hoopx-cli", device["user_code"], "198.51.100.9", "2 minutes ago", "ann"):
            assert told in page
        assert f"not at the address of this browser ({HOME})" in page

    play(scene)


def test_nothing_is_said_of_addresses_where_there_is_only_one(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask(HOME)
        async with issuer.visitor(HOME) as browser:
            assert "not at the address" not in (await to_question(browser, device["user_code"])).text

    play(scene)


def test_a_password_alone_logs_no_device_in(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            await to_question(browser, device["user_code"])
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_password_with_signs_of_markup_works_and_is_never_shown(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        page = await issuer.decide(device["user_code"], "bob", "bob's <b>pässword")
        assert "<b>bob</b>" in page.text
        assert "pässword" not in page.text

    play(scene)


# --- every page -------------------------------------------------------------------------------------------------


class Markup(HTMLParser):
    """Fails on anything a page without scripts and foreign parts has no use for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "img", "link", "object", "base", "embed", "svg")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("style", "src")
            assert name != "href" or value == "/oidc/device"
            assert name != "action" or str(value).startswith("/oidc/")
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def all_pages(issuer: Issuer) -> list[httpx2.Response]:
    device = await issuer.ask()
    async with issuer.visitor() as browser:
        pages = [await browser.get("/oidc/device?user_code=%3Cscript%3E%22%27")]
        pages.append(await to_login(browser, "<script>"))
        pages.append(await to_login(browser, device["user_code"]))
        evil = '"><script>alert(1)</script>'
        pages.append(await browser.post("/oidc/login", data=fields(pages[-1]) | {"user": evil, "password": "x"}))
        pages.append(await to_question(browser, device["user_code"]))
        pages.append(await browser.post("/oidc/device/confirm", data=fields(pages[-1]) | {"answer": "allow"}))
        pages.append(await browser.post("/oidc/device/confirm", data={"answer": "allow", "token": "x"}))
    pages.append(await issuer.decide((await issuer.ask())["user_code"], answer="refuse"))
    async with issuer.visitor() as browser:
        pages.append(await browser.get("/oidc/authorize", params=issuer.asking(redirect_uri="javascript:alert(1)")))
        pages.append(await browser.get("/oidc/authorize", params=issuer.asking()))
        known = fields(pages[-1]) | {"user": "ann", "password": "ann's password"}
        pages.append(await browser.post("/oidc/login", data=known))
    return pages


def test_every_page_is_plain_closed_markup_with_nothing_foreign_in_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        for page in await all_pages(issuer):
            markup = Markup(page.text)
            assert markup.open == []
            assert "<script" not in page.text
            assert 'lang="en"' in page.text
            assert "viewport" in page.text

    play(scene)


def test_every_page_forbids_scripts_frames_and_keeping(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        for page in await all_pages(issuer):
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "form-action 'self'" in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["content-type"] == "text/html; charset=utf-8"

    play(scene)


def test_every_input_has_a_label(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        for page in await all_pages(issuer):
            visible = re.findall(r'<input (?!type="hidden")[^>]*id="(\w+)"', page.text)
            assert visible == re.findall(r'<label for="(\w+)"', page.text)

    play(scene)


def test_the_cookie_is_for_this_host_and_browser_alone(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            cookie = (await to_login(browser, (await issuer.ask())["user_code"])).headers["set-cookie"]
        assert cookie.startswith("__Host-")
        for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            assert word in cookie
        assert "Domain" not in cookie

    play(scene)


# --- other sites, other browsers, other times -------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://broker.example.com:8443",
        "https://broker.example.com",
        HOST + ".evil.example",
    ],
)
def test_a_form_from_another_site_is_refused_at_every_step(play: Play, origin: str) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            question = await to_question(browser, device["user_code"])
            answer = fields(question) | {"answer": "allow", "user_code": device["user_code"]}
            for path in ("/oidc/device", "/oidc/login", "/oidc/device/confirm"):
                refused = await browser.post(path, data=answer, headers={"origin": origin})
                assert refused.status_code == 403
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_form_of_our_own_origin_is_taken(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            form = {"user_code": (await issuer.ask())["user_code"]}
            assert (await browser.post("/oidc/device", data=form, headers={"origin": HOST})).status_code == 200

    play(scene)


@pytest.mark.parametrize("token", ["", "x", "\u00e9", "A" * 32])
def test_a_confirmation_without_the_pages_own_token_is_refused(play: Play, token: str) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            await to_question(browser, device["user_code"])
            answer = await browser.post("/oidc/device/confirm", data={"token": token, "answer": "allow"})
            assert answer.status_code == 400
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_confirmation_from_another_browser_is_refused(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser, issuer.visitor() as thief:
            question = fields(await to_question(browser, device["user_code"]))
            answer = await thief.post("/oidc/device/confirm", data=question | {"answer": "allow"})
            assert answer.status_code == 400
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_confirmation_without_a_login_is_refused(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            form = fields(await to_login(browser, device["user_code"])) | {"answer": "allow"}
            assert (await browser.post("/oidc/device/confirm", data=form)).status_code == 400
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_cookie_planted_before_the_login_is_worth_nothing_after_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as victim, issuer.visitor() as thief:
            before = fields(await to_login(victim, device["user_code"]))
            planted = victim.cookies[COOKIE]
            question = fields(
                await victim.post("/oidc/login", data=before | {"user": "ann", "password": "ann's password"})
            )
            thief.cookies.set(COOKIE, planted)
            for form in (before, question):
                answer = await thief.post("/oidc/device/confirm", data=form | {"answer": "allow"})
                assert answer.status_code == 400
        assert await is_waiting(issuer, device["device_code"])

    play(scene)


def test_a_page_is_answered_once(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        first, second = await issuer.ask(), await issuer.ask()
        async with issuer.visitor() as browser:
            form = fields(await to_question(browser, first["user_code"])) | {"answer": "allow"}
            cookie = browser.cookies[COOKIE]
            assert (await browser.post("/oidc/device/confirm", data=form)).status_code == 200
            browser.cookies.set(COOKIE, cookie)
            again = form | {"user_code": second["user_code"]}
            assert (await browser.post("/oidc/device/confirm", data=again)).status_code == 400
        assert await is_waiting(issuer, second["device_code"])

    play(scene)


def test_of_two_people_with_one_code_the_first_answer_counts(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as one, issuer.visitor() as two:
            ones = fields(await to_question(one, device["user_code"])) | {"answer": "refuse"}
            twos = fields(await to_question(two, device["user_code"])) | {"answer": "allow"}
            await one.post("/oidc/device/confirm", data=ones)
            assert "answered already" in (await two.post("/oidc/device/confirm", data=twos)).text
        assert (await issuer.poll(device["device_code"])).json()["error"] == "access_denied"

    play(scene)


def test_a_page_left_open_is_too_old(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            form = fields(await to_question(browser, device["user_code"])) | {"answer": "allow"}
            issuer.now += LIFE
            assert "too old" in (await browser.post("/oidc/device/confirm", data=form)).text

    play(scene)


@pytest.mark.parametrize("answer", ["", "ALLOW", "yes", "refuse"])
def test_only_allow_allows(play: Play, answer: str) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        await issuer.decide(device["user_code"], answer=answer)
        issuer.now += 60
        told = (await issuer.poll(device["device_code"])).json()["error"]
        assert told in ("access_denied", "authorization_pending")

    play(scene)


# --- guessing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["", "-", "BCDF-GHJ", "\u00c9\u00c9\u00c9\u00c9-\u00c9\u00c9\u00c9\u00c9", "B" * 5000, "\x00" * 8]
)
def test_a_made_up_code_finds_nothing(play: Play, code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.ask()
        async with issuer.visitor() as browser:
            assert (await to_login(browser, code)).status_code == 400

    play(scene)


def test_codes_cannot_be_guessed_for_long(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor("198.51.100.66") as guesser, issuer.visitor(HOME) as neighbour:
            for _ in range(MAX_GUESSES):
                assert (await to_login(guesser, "BBBB-BBBB")).status_code == 400
            assert (await to_login(guesser, device["user_code"])).status_code == 429
            assert (await to_login(neighbour, device["user_code"])).status_code == 200

    play(scene)


def test_passwords_cannot_be_guessed_for_long_not_even_side_by_side_or_from_many_machines(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()

        async def guess(number: int) -> int:
            async with issuer.visitor(f"198.51.100.{number}") as browser:
                form = fields(await to_login(browser, device["user_code"])) | {"user": "ann", "password": f"{number}"}
                return (await browser.post("/oidc/login", data=form)).status_code

        answers = await asyncio.gather(*(guess(number) for number in range(MAX_FAILURES + 10)))
        assert answers.count(429) == 10
        async with issuer.visitor() as browser:
            assert "Too many failures" in (await to_question(browser, device["user_code"])).text
        issuer.now += FAILURE_WINDOW
        async with issuer.visitor() as browser:
            assert "Is this you" in (await to_question(browser, device["user_code"])).text

    play(scene)


def test_one_machine_cannot_try_one_password_on_many_names(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor("198.51.100.66") as sprayer:
            form = fields(await to_login(sprayer, device["user_code"]))
            tried = [form | {"user": f"user-{n}", "password": "summer"} for n in range(MAX_FAILURES_FROM + 1)]
            answers = [(await sprayer.post("/oidc/login", data=each)).status_code for each in tried]
        assert answers == [400] * MAX_FAILURES_FROM + [429]
        async with issuer.visitor(HOME) as browser:
            assert "Is this you" in (await to_question(browser, device["user_code"])).text

    play(scene)


def test_a_wrong_name_and_a_wrong_password_look_the_same(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        seen = []
        for user in ("ann", "nobody"):
            async with issuer.visitor() as browser:
                form = fields(await to_login(browser, device["user_code"])) | {"user": user, "password": "wrong"}
                page = await browser.post("/oidc/login", data=form)
                seen.append((page.status_code, page.text.replace(form["token"], "").replace(user, "")))
        assert seen[0] == seen[1]

    play(scene)


def test_who_nobody_knows_is_hashed_like_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []

    def count(password: str, salt: bytes) -> bytes:
        hashed.append(salt)
        return salt

    monkeypatch.setattr(people, "_hash", count)

    async def scene() -> None:
        known = await People.gather(users(), lambda size: bytes([len(hashed)]) * size)
        hashed.clear()
        await known.check("ann", "x")
        await known.check("nobody", "x")

    asyncio.run(scene())
    assert len(hashed) == 2


def test_passwords_are_checked_by_a_costly_hash_and_only_whole() -> None:
    async def scene() -> None:
        known = await People.gather(users(), lambda size: b"s" * size)
        assert await known.check("ann", "ann's password") is not None
        for wrong in (
            "",
            "ann's passwor",
            "ann's password ",
            "Ann's password",
            "ann's password\x00",
            "a" * (MAX_PASSWORD + 1),
        ):
            assert await known.check("ann", wrong) is None
        assert await known.check("nobody", "ann's password") is None
        assert "password" not in repr(vars(known)["_known"])

    asyncio.run(scene())
    assert people._COST >= 2**14


def test_the_memory_of_failures_is_bounded() -> None:
    throttle = Throttle(1, 60, lambda: START)
    for number in range(MAX_NAMES + 500):
        throttle.failed(str(number))
    assert len(vars(throttle)["_failures"]) == MAX_NAMES


class Elsewhere:
    """An errand of another flow than the device's."""

    def question(self, token: str, person: Person, browser_at: str) -> HTMLResponse:
        who = f"{person.name} of {', '.join(person.groups)} at {browser_at}"
        return HTMLResponse(f'<input name="token" value="{token}"> {who}')


def held_visits() -> visits.Visits:
    counter = iter(range(10**6))
    return visits.Visits(lambda: START, lambda size: next(counter).to_bytes(size, "big"))


def test_the_memory_of_visits_is_bounded() -> None:
    held = held_visits()
    for number in range(visits.MAX_OPEN + 100):
        held.begin(Elsewhere(), f"192.0.2.{number}")
    assert len(vars(held)["_open"]) == visits.MAX_OPEN


def test_one_address_cannot_push_the_visits_of_others_out() -> None:
    held = held_visits()
    cookie, visit = held.begin(Elsewhere(), HOME)
    for _ in range(visits.MAX_OPEN + 100):
        last, latest = held.begin(Elsewhere(), "198.51.100.66")
    assert held.find(cookie, visit.token) == visit
    assert held.find(last, latest.token) == latest
    assert len(vars(held)["_open"]) == visits.MAX_OPEN_PEER + 1


# --- the seam between proving who one is and what one came for ---------------------------------------------------


def signing_in(issuer: Issuer) -> Starlette:
    """The issuer's pages, and a second way to prove who one is: an address that says so."""
    room = SignIn(issuer.embedded)

    async def come(request: Request) -> Response:
        return room.begin(request, Elsewhere())

    async def prove(request: Request) -> Response:
        visit = visit_of(request, dict(request.query_params), issuer.embedded.visits)
        return room.signed_in(request, visit, Person("eve@example.com", ("guests",)))

    return Starlette(routes=[*routes(issuer.embedded), Route("/come", come), Route("/prove", prove)])


def test_who_proves_it_in_another_way_goes_on_to_what_they_came_for(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        issuer.app = signing_in(issuer)
        async with issuer.visitor() as browser:
            token = fields(await browser.get("/come"))["token"]
            before = browser.cookies[COOKIE]
            page = await browser.get("/prove", params={"token": token})
            assert f"eve@example.com of guests at {HOME}" in page.text
            assert browser.cookies[COOKIE] != before

    play(scene)


def test_what_one_flow_asked_cannot_be_answered_in_another(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        issuer.app = signing_in(issuer)
        async with issuer.visitor() as browser:
            form = fields(await browser.get("/come")) | {"user": "ann", "password": "ann's password"}
            answer = fields(await browser.post("/oidc/login", data=form)) | {"answer": "allow"}
            refused = await browser.post(
                "/oidc/device/confirm", data=answer | {"user_code": device["user_code"].replace("-", "")}
            )
            assert refused.status_code == 400
        assert await is_waiting(issuer, device["device_code"])

    play(scene)
