"""Logging in at an upstream of OpenID Connect: the way out and back, and what must not get through."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded.endpoints import DEVICE_GRANT
from hoopx_broker.identity.embedded.exchange import ACCESS_TOKEN, EXCHANGE
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, LocalAgent, LocalUser, Upstream
from tests.unit.identity_stage import EC_KEY
from tests.unit.issuer_stage import START, URL, Issuer, fields, said, told
from tests.unit.upstream_stage import CLIENT, Person, ProviderDouble, leads_to, play, upstream

Act = Callable[[Person, ProviderDouble], Awaitable[None]]


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[Act], None]:
    """A scene of one person at a broker that has one upstream and nobody else."""

    def run(act: Act) -> None:
        async def scene(issuer: Issuer, double: ProviderDouble) -> None:
            async with issuer.visitor() as browser:
                await act(Person(issuer, browser), double)

        play(tmp_path / "state.db", scene)

    return run


def test_a_person_comes_through_and_is_known_with_their_groups(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        page = await person.through(double)
        assert "Is this you?" in page.text
        assert "ann@example.com" in page.text
        assert "Example Corp" in page.text
        tokens = await person.allow()
        who = await person.issuer.who(tokens["access_token"])
        assert (who.user, who.kind, who.groups) == ("ann@example.com", "human", ("dba",))
        assert who.issuer == URL
        assert said(tokens["access_token"])["email"] == "ann@example.com"

    alone(act)


def test_without_local_users_nobody_is_asked_for_a_password(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        page = (await person.begin()).page
        assert "Continue with Example Corp" in page.text
        assert "password" not in page.text.lower()

    alone(act)


def test_the_request_asks_for_a_code_bound_to_this_trip(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.description = {"scopes_supported": ["openid", "email"]}
        asked = double.sent(await (await person.begin()).leave())
        again = double.sent(await (await person.begin()).leave())
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{URL}/upstream/example-corp/callback"
        assert asked["scope"] == "openid profile email"  # no `offline_access` where it is not known
        for name in ("state", "nonce", "code_challenge"):
            assert asked[name] != again[name]
            assert len(asked[name]) >= 43

    alone(act)


def test_the_broker_proves_itself_by_its_secret(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        scheme, _, given = double.authorizations[-1].partition(" ")
        assert scheme == "Basic"
        assert base64.b64decode(given).decode() == f"{CLIENT}:pass+%26+word%3A+7"
        assert "client_secret" not in double.asked[-1]

    alone(act)


def test_a_provider_may_want_the_secret_in_the_form(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.description = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        await person.through(double)
        assert double.asked[-1]["client_secret"] == "pass & word: 7"
        assert double.authorizations[-1] == ""

    alone(act)


def test_a_public_client_has_no_secret(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        async with issuer.visitor() as browser:
            page = await Person(issuer, browser).through(double)
            assert "Is this you?" in page.text
            assert double.asked[-1]["client_id"] == CLIENT
            assert double.authorizations[-1] == ""

    play(tmp_path / "state.db", scene, upstreams=lambda double: (upstream(double, secret=None),))


def test_what_the_id_token_lacks_is_asked_of_userinfo(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.people["ann"] = {}
        double.userinfo = {"sub": "id-of-ann", "email": "ann@example.com", "email_verified": True, "groups": ["ops"]}
        await person.through(double)
        who = await person.issuer.who((await person.allow())["access_token"])
        assert (who.user, who.groups) == ("ann@example.com", ("ops",))

    alone(act)


def test_a_program_on_the_person_s_machine_is_answered_as_a_device_is(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        person.page = await person.browser.get("/oidc/authorize", params=person.issuer.asking())
        asked = double.sent(await person.leave())
        await person.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
        page = await person.go_on()
        assert "A program on this computer" in page.text
        assert "<b>ann@example.com</b> of Example Corp" in page.text
        back = await person.browser.post("/oidc/authorize/confirm", data=fields(page) | {"answer": "allow"})
        answer = await person.issuer.redeem(told(back)["code"])
        assert (await person.issuer.who(answer.json()["access_token"])).user == "ann@example.com"
        renewed = await person.issuer.refresh(answer.json()["refresh_token"])
        assert renewed.status_code == 200

    alone(act)


def test_a_person_who_refuses_at_the_end_is_not_logged_in(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        page = await person.through(double)
        await person.browser.post("/oidc/device/confirm", data=fields(page) | {"answer": "refuse"})
        assert (await person.issuer.poll(person.device["device_code"])).json()["error"] == "access_denied"

    alone(act)


# What must not get through


async def _refused(person: Person, double: ProviderDouble, why: str, **answer: str) -> None:
    page = await person.through(double, **answer)
    assert page.status_code >= 400
    assert "Is this you?" not in page.text
    assert why in person.issuer.notes[-1]
    assert why not in page.text  # the person hears that it is not accepted, the log hears why
    waiting = await person.issuer.poll(person.device["device_code"])
    assert waiting.json()["error"] == "authorization_pending"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nonce": "of another trip"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another-client"}, "audience"),
        ({"aud": [CLIENT, "another-client"]}, "audience"),
        ({"aud": [CLIENT, "another-client"], "azp": "another-client"}, "audience"),
        ({"azp": "another-client"}, "audience"),
        ({"aud": None}, "audience"),
        ({"iss": "https://other.example.com"}, "issuer"),
        ({"exp": START}, "past its end"),
        ({"exp": None}, "no end"),
        ({"iat": START + 61}, "future"),
        ({"nbf": START + 61}, "future"),
        ({"email": None}, "`email` is not a name"),
        ({"email": "ann@example.com\u202e"}, "`email` holds characters"),
        ({"email_verified": False}, "not verified"),
        ({"groups": {"dba": True}}, "bearable list"),
        ({"sub": None}, "`sub`"),
        ({"sub": 7}, "`sub`"),
        ({"events": {}}, "event"),
        ({"act": {"sub": "bot"}}, "acts for somebody else"),
    ],
)
def test_an_id_token_that_does_not_fit_is_refused(
    alone: Callable[[Act], None], changes: dict[str, Any], why: str
) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.said = changes
        await _refused(person, double, why)

    alone(act)


@pytest.mark.parametrize(
    ("signing", "why"),
    [
        ({"key": EC_KEY, "alg": "ES256", "kid": "stranger"}, "is not one of"),
        ({"key": EC_KEY, "alg": "ES256", "kid": "r1"}, "is not one of"),
        ({"key": "a shared secret of thirty-two bytes", "alg": "HS256", "kid": "r1"}, "algorithm"),
        ({"key": "", "alg": "none", "kid": "r1"}, "token of bearable size|algorithm"),
        ({"typ": "at+jwt"}, "token of type"),
        ({"typ": "logout+jwt"}, "token of type"),
    ],
)
def test_an_id_token_of_another_key_or_kind_is_refused(
    alone: Callable[[Act], None], signing: dict[str, Any], why: str
) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.signing |= signing
        page = await person.through(double)
        assert "Is this you?" not in page.text
        assert any(each in person.issuer.notes[-1] for each in why.split("|"))

    alone(act)


def test_an_answer_without_an_id_token_is_no_login(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.token = {"id_token": None}
        await _refused(person, double, "no ID token")

    alone(act)


def test_userinfo_of_somebody_else_is_not_believed(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.people["ann"] = {}
        double.userinfo = {"sub": "id-of-root", "email": "root@example.com", "email_verified": True, "groups": ["dba"]}
        await _refused(person, double, "somebody else")

    alone(act)


def test_a_verified_address_vouches_for_no_other(alone: Callable[[Act], None]) -> None:
    """The ID token's `email_verified` is beside no address: it says nothing about that of userinfo."""

    async def act(person: Person, double: ProviderDouble) -> None:
        double.people["ann"] = {}
        double.userinfo = {"sub": "id-of-ann", "email": "root@example.com", "email_verified": False, "groups": []}
        await _refused(person, double, "not verified")

    alone(act)


@pytest.mark.parametrize("error", ["access_denied", "call 555-1234 <b>now</b>"])
def test_a_provider_that_says_no_is_heard_but_not_quoted(alone: Callable[[Act], None], error: str) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        page = await person.through(double, error=error, code="", error_description="call 555-1234")
        assert page.status_code == 403
        assert "Example Corp did not let you in" in page.text
        assert "555" not in page.text

    alone(act)


def test_a_code_that_the_provider_does_not_take_back_is_no_login(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.refused = {"error": "invalid_grant"}
        await _refused(person, double, "invalid_grant")

    alone(act)


def test_a_wrong_secret_is_told_to_the_log_without_it(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.refused = {"error": "invalid_client"}
        await _refused(person, double, "invalid_client")
        assert not any("pass" in note for note in person.issuer.notes)

    alone(act)


def test_a_provider_that_is_down_is_said_to_be(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.down = True
        await person.begin()
        with pytest.raises(AssertionError, match="cannot be reached now"):
            await person.leave()

    alone(act)


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://other.example.com"},
        {"authorization_endpoint": "http://idp.example.com/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "ftp://idp.example.com/token"},
        {"userinfo_endpoint": "https://user:word@idp.example.com/me"},
        {"authorization_endpoint": None},
    ],
)
def test_a_description_that_leads_astray_is_not_followed(
    alone: Callable[[Act], None], description: dict[str, Any]
) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.description = description
        await person.begin()
        with pytest.raises(AssertionError, match="cannot be reached now"):
            await person.leave()

    alone(act)


# Two browsers


def test_a_browser_that_did_not_begin_the_trip_gets_nowhere(alone: Callable[[Act], None]) -> None:
    """The attacker begins, and sends the provider's address to somebody else, who logs in there."""

    async def act(attacker: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await attacker.begin()).leave())
        async with attacker.issuer.visitor() as other:
            victim = Person(attacker.issuer, other)
            await victim.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
            assert "another browser" in (await victim.go_on()).text
        # Nothing of it reaches the browser that began.
        assert "another browser" in (await attacker.go_on()).text
        waiting = await attacker.issuer.poll(attacker.device["device_code"])
        assert waiting.json()["error"] == "authorization_pending"
        assert double.asked == []  # the code was not even redeemed

    alone(act)


def test_a_stranger_s_answer_logs_nobody_in_as_the_stranger(alone: Callable[[Act], None]) -> None:
    """Login CSRF: the victim, on a visit of their own, is made to open the attacker's answer."""

    async def act(attacker: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await attacker.begin()).leave())
        async with attacker.issuer.visitor() as other:
            victim = Person(attacker.issuer, other)
            double.sent(await (await victim.begin()).leave())
            await victim.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
            page = await victim.go_on()
            assert "Is this you?" not in page.text

    alone(act)


def test_a_stolen_code_is_of_no_use_on_another_trip(alone: Callable[[Act], None]) -> None:
    """Code injection: the victim's code with the attacker's own state."""

    async def act(attacker: Person, double: ProviderDouble) -> None:
        async with attacker.issuer.visitor() as other:
            victim = Person(attacker.issuer, other)
            theirs = double.sent(await (await victim.begin()).leave())
        mine = double.sent(await (await attacker.begin()).leave())
        await attacker.arrive(code=double.code("ann", theirs), state=mine["state"], iss=double.url)
        page = await attacker.go_on()
        assert "not accepted" in page.text
        assert "invalid_grant" in attacker.issuer.notes[-1]

    alone(act)


def test_a_stolen_code_is_refused_by_its_nonce_where_the_provider_knows_no_pkce(alone: Callable[[Act], None]) -> None:
    async def act(attacker: Person, double: ProviderDouble) -> None:
        async with attacker.issuer.visitor() as other:
            theirs = double.sent(await (await Person(attacker.issuer, other).begin()).leave())
        mine = double.sent(await (await attacker.begin()).leave())
        double.challenges[theirs["state"]] = double.challenges[mine["state"]]
        await attacker.arrive(code=double.code("ann", theirs), state=mine["state"], iss=double.url)
        await attacker.go_on()
        assert "nonce" in attacker.issuer.notes[-1]

    alone(act)


def test_an_answer_serves_once(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.begin()
        asked = double.sent(await person.leave())
        answer = {"code": double.code("ann", asked), "state": asked["state"], "iss": double.url}
        await person.arrive(**answer)
        await person.go_on()
        assert "another browser" in (await person.go_on()).text
        assert "another browser" in (await person.arrive(**answer)).text
        assert len(double.asked) == 1

    alone(act)


def test_an_answer_that_comes_too_late_is_refused(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await person.begin()).leave())
        person.issuer.now += 600
        answer = await person.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
        assert answer.status_code == 400

    alone(act)


def test_an_answer_waits_no_longer_than_a_minute(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await person.begin()).leave())
        await person.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
        person.issuer.now += 60
        assert "another browser" in (await person.go_on()).text

    alone(act)


def test_answers_to_one_trip_push_out_no_others(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await person.begin()).leave())
        await person.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
        async with person.issuer.visitor("192.0.2.66") as other:
            attacker = Person(person.issuer, other)
            theirs = double.sent(await (await attacker.begin()).leave())
            for _ in range(200):
                await attacker.arrive(code="c", state=theirs["state"])
        assert "Is this you?" in (await person.go_on()).text

    alone(act)


@pytest.mark.parametrize("state", ["", "made-up", "x" * 20_000])
def test_an_answer_that_nobody_asked_for_is_refused(alone: Callable[[Act], None], state: str) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await (await person.begin()).leave()
        assert (await person.arrive(code="c", state=state)).status_code == 400

    alone(act)


def test_the_way_out_needs_the_form_of_this_very_visit(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.begin()
        page = await person.browser.post("/oidc/upstream/example-corp", data={"token": "made-up"})
        assert page.status_code == 400
        foreign = {"origin": "https://evil.example.com"}
        page = await person.browser.post("/oidc/upstream/example-corp", data={"token": "x"}, headers=foreign)
        assert page.status_code == 403

    alone(act)


def test_cookies_of_the_way_are_strict_and_no_secret_stands_in_an_address(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        asked = double.sent(await (await person.begin()).leave())
        back = await person.arrive(code=double.code("ann", asked), state=asked["state"], iss=double.url)
        [cookie] = back.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-hoopx-arrival=")
        for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age=60"):
            assert part in cookie
        assert leads_to(back) == "/oidc/continue"
        assert back.headers["referrer-policy"] == "same-origin"

    alone(act)


# Two upstreams


def _two(first: ProviderDouble, second: ProviderDouble) -> tuple[Upstream, ...]:
    return (
        upstream(first, domains=("example.com",)),
        upstream(second, "Evil Corp", domains=("evil.example",)),
    )


def _with_two(state: Path, act: Callable[[Person, ProviderDouble, ProviderDouble], Awaitable[None]]) -> None:
    with ProviderDouble().running() as evil:

        async def scene(issuer: Issuer, honest: ProviderDouble) -> None:
            async with issuer.visitor() as browser:
                await act(Person(issuer, browser), honest, evil)

        play(state, scene, upstreams=lambda honest: _two(honest, evil))


def test_a_code_of_one_upstream_is_not_taken_to_another(tmp_path: Path) -> None:
    """Mix-up (RFC 9207): the person chose the evil one, which sent them on to the honest one with its own state."""

    async def act(person: Person, honest: ProviderDouble, evil: ProviderDouble) -> None:
        asked = evil.sent(await (await person.begin()).leave("evil-corp"))
        honest.nonces[asked["state"]], honest.challenges[asked["state"]] = asked["nonce"], asked["code_challenge"]
        code = honest.code("ann", asked)
        # The honest provider sends its answer to its own address: there is no such trip.
        answer = await person.arrive("example-corp", code=code, state=asked["state"], iss=honest.url)
        assert answer.status_code == 400
        # Brought to the other address it says who sent it.
        await person.arrive("evil-corp", code=code, state=asked["state"], iss=honest.url)
        assert "not accepted" in (await person.go_on()).text
        assert evil.asked == []
        assert "of another issuer" in person.issuer.notes[-1]

    _with_two(tmp_path / "state.db", act)


def test_an_answer_that_hides_its_sender_is_refused_where_senders_are_said(tmp_path: Path) -> None:
    async def act(person: Person, honest: ProviderDouble, evil: ProviderDouble) -> None:
        asked = evil.sent(await (await person.begin()).leave("evil-corp"))
        await person.arrive("evil-corp", code="c", state=asked["state"])
        assert "not accepted" in (await person.go_on()).text
        assert evil.asked == []

    _with_two(tmp_path / "state.db", act)


def test_an_upstream_speaks_for_its_own_domains_alone(tmp_path: Path) -> None:
    async def act(person: Person, honest: ProviderDouble, evil: ProviderDouble) -> None:
        asked = evil.sent(await (await person.begin()).leave("evil-corp"))
        await person.arrive("evil-corp", code=evil.code("ann", asked), state=asked["state"], iss=evil.url)
        assert "not accepted" in (await person.go_on()).text
        assert "may not speak for" in person.issuer.notes[-1]

    _with_two(tmp_path / "state.db", act)


@pytest.mark.parametrize("name", ["ann", "ANN", "ａｎｎ", "hoopx-cli"])
def test_nobody_from_outside_takes_a_local_name(tmp_path: Path, name: str) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": name}
        async with issuer.visitor() as browser:
            page = await Person(issuer, browser).through(double)
            assert "not accepted" in page.text
            assert "local user's or an agent's" in issuer.notes[-1]

    local = {"ann": LocalUser("ann", Secret("a password"))}
    play(tmp_path / "s.db", scene, local, lambda double: (upstream(double, claims=Claims("nick", None)),))


def test_the_person_that_an_upstream_names_is_known_of_its_guests(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": "ann", "employee": 4711}
        async with issuer.visitor() as browser:
            person = Person(issuer, browser)
            await person.through(double)
            tokens = await person.allow()
        assert (await issuer.who(tokens["access_token"])).person == "4711"
        assert "4711" not in repr(said(tokens["id_token"])), "it is no business of other applications"
        assert (
            await issuer.who((await issuer.refresh(tokens["refresh_token"])).json()["access_token"])
        ).person == "4711"

    claims = Claims("nick", None, "employee")
    play(tmp_path / "s.db", scene, None, lambda double: (upstream(double, claims=claims),))


def test_a_guest_of_whom_an_upstream_names_no_person_is_refused(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": "ann"}
        async with issuer.visitor() as browser:
            page = await Person(issuer, browser).through(double)
            assert "not accepted" in page.text
            assert "`employee` is not a name" in issuer.notes[-1]

    claims = Claims("nick", None, "employee")
    play(tmp_path / "s.db", scene, None, lambda double: (upstream(double, claims=claims),))


def test_a_prefix_keeps_names_apart(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": "ann"}
        async with issuer.visitor() as browser:
            person = Person(issuer, browser)
            await person.through(double)
            assert (await issuer.who((await person.allow())["access_token"])).user == "corp/ann"

    local = {"ann": LocalUser("ann", Secret("a password"))}
    there: dict[str, Any] = {"claims": Claims("nick", None), "prefix": "corp/"}
    play(tmp_path / "s.db", scene, local, lambda double: (upstream(double, **there),))


def test_local_users_stand_beside_the_upstream(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        async with issuer.visitor() as browser:
            page = (await Person(issuer, browser).begin()).page
            assert 'name="password"' in page.text
            assert "Continue with Example Corp" in page.text
        assert "access_token" in await issuer.log_in("ann", "a password")

    play(tmp_path / "s.db", scene, {"ann": LocalUser("ann", Secret("a password"), ("dba",))})


# Renewal


def test_groups_are_read_anew_at_each_renewal(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        tokens = await person.allow()
        double.people["ann"]["groups"] = ["interns"]
        answer = (await person.issuer.refresh(tokens["refresh_token"])).json()
        assert (await person.issuer.who(answer["access_token"])).groups == ("interns",)
        answer = (await person.issuer.refresh(answer["refresh_token"])).json()
        assert [form["refresh_token"] for form in double.asked[1:]] == ["first.ann", "again.ann"]

    alone(act)


def test_whoever_is_disabled_there_is_out_here(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        tokens = await person.allow()
        double.refused = {"error": "invalid_grant"}
        answer = await person.issuer.refresh(tokens["refresh_token"])
        assert answer.json()["error"] == "invalid_grant"
        with pytest.raises(Unauthenticated):  # also the token that they have already
            await person.issuer.who(tokens["access_token"])
        double.refused = None
        assert (await person.issuer.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert len(person.issuer.embedded.ways.guests) == 0

    alone(act)


def test_an_agent_that_acts_for_somebody_from_outside_ends_with_them(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        key = ProofKey.create()
        async with issuer.visitor() as browser:
            person = Person(issuer, browser)
            await person.through(double)
            await browser.post("/oidc/device/confirm", data=fields(person.page) | {"answer": "allow"})
        theirs = (await issuer.token(DEVICE_GRANT, key, device_code=person.device["device_code"])).json()
        subject = {"subject_token": theirs["access_token"], "subject_token_type": ACCESS_TOKEN}
        lent = Secret((await issuer.token(EXCHANGE, key, client_id="claude", **subject)).json()["access_token"])
        who = (await issuer.identify(lent)).who
        assert (who.user, who.on_behalf_of, who.their_groups) == ("claude", "ann@example.com", ("dba",))
        double.refused = {"error": "invalid_grant"}
        assert (await issuer.renew(theirs["refresh_token"], key)).json()["error"] == "invalid_grant"
        with pytest.raises(Unauthenticated):
            await issuer.identify(lent)

    play(tmp_path / "state.db", scene, agents={"claude": LocalAgent("claude", ("agents",))})


def test_nobody_from_outside_takes_the_name_of_an_agent(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": "Claude"}
        async with issuer.visitor() as browser:
            assert "not accepted" in (await Person(issuer, browser).through(double)).text

    there = {"claude": LocalAgent("claude", ("agents",))}
    play(tmp_path / "s.db", scene, None, lambda double: (upstream(double, claims=Claims("nick", None)),), there)


def test_while_a_provider_is_silent_nothing_is_spent(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        tokens = await person.allow()
        double.down = True
        answer = await person.issuer.refresh(tokens["refresh_token"])
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        double.down = False
        assert (await person.issuer.refresh(tokens["refresh_token"])).status_code == 200

    alone(act)


@pytest.mark.parametrize("change", [{"sub": "id-of-root"}, {"email": "root@example.com"}, {"iss": "https://x.example"}])
def test_a_renewal_brings_nobody_else(alone: Callable[[Act], None], change: dict[str, str]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        tokens = await person.allow()
        double.refreshed = change
        assert (await person.issuer.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"

    alone(act)


def test_a_login_from_outside_ends_after_a_working_day(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        double.token = {"refresh_token": None}  # so that nobody can be asked, as with SAML
        await person.through(double)
        tokens = await person.allow()
        person.issuer.now += 12 * 3600 - 60
        answer = (await person.issuer.refresh(tokens["refresh_token"])).json()
        assert answer["expires_in"] == 60
        person.issuer.now += 60
        assert (await person.issuer.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"

    alone(act)


def test_logging_out_forgets_what_the_provider_gave(alone: Callable[[Act], None]) -> None:
    async def act(person: Person, double: ProviderDouble) -> None:
        await person.through(double)
        tokens = await person.allow()
        assert len(person.issuer.embedded.ways.guests) == 1
        await person.issuer.post("revoke", client_id="hoopx-cli", token=tokens["refresh_token"])
        assert len(person.issuer.embedded.ways.guests) == 0

    alone(act)


def test_after_a_restart_a_guest_is_nobody_even_where_a_local_user_has_the_name(tmp_path: Path) -> None:
    """Nothing of a provider is stored, so nobody can be asked; and names of guests never become local users'."""
    kept: list[str] = []

    async def before(issuer: Issuer, double: ProviderDouble) -> None:
        double.people["ann"] = {"nick": "ann", "groups": ["guests"]}
        async with issuer.visitor() as browser:
            person = Person(issuer, browser)
            await person.through(double)
            kept.append((await person.allow())["refresh_token"])

    async def after(issuer: Issuer, double: ProviderDouble) -> None:
        assert (await issuer.refresh(kept[0])).json()["error"] == "invalid_grant"

    state = tmp_path / "state.db"
    play(state, before, upstreams=lambda double: (upstream(double, claims=Claims("nick", "groups")),))
    play(state, after, {"ann": LocalUser("ann", Secret("a password"), ("dba",))})


def test_what_the_provider_gave_is_never_stored(tmp_path: Path) -> None:
    async def scene(issuer: Issuer, double: ProviderDouble) -> None:
        async with issuer.visitor() as browser:
            person = Person(issuer, browser)
            await person.through(double)
            await person.allow()
        assert "first.ann" not in repr(issuer.embedded)

    play(tmp_path / "state.db", scene)
    for path in tmp_path.iterdir():
        assert b"first.ann" not in path.read_bytes()
