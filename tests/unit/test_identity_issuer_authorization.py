"""The authorization endpoint: a program on the person's machine gets a code, and nobody else gets anything by it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded import authorization_codes, people
from hoopx_broker.identity.embedded.browsing import COOKIE
from tests.unit.issuer_stage import (
    ADDRESS,
    ALL,
    CHALLENGE,
    HOST,
    START,
    URL,
    VERIFIER,
    Issuer,
    Play,
    error,
    fields,
    player,
    said,
    told,
)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db")


# --- the way as it should be ------------------------------------------------------------------------------------


def test_a_program_gets_a_code_for_its_person_and_tokens_for_the_code(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        answer = await issuer.allow(nonce="n-1")
        assert answer.headers["location"].startswith(f"{ADDRESS}?")
        back = told(answer)
        assert back | {"code": ""} == {"code": "", "state": "s t&a=te", "iss": URL}
        tokens = (await issuer.redeem(back["code"])).json()
        assert set(tokens) == {"access_token", "id_token", "refresh_token", "token_type", "expires_in", "scope"}
        identity = said(tokens["id_token"])
        assert (identity["sub"], identity["nonce"], identity["auth_time"]) == ("ann", "n-1", int(START))
        assert (await issuer.who(tokens["access_token"])).groups == ("developers",)
        again = (await issuer.renew(tokens["refresh_token"])).json()
        assert "nonce" not in said(again["id_token"])

    play(scene)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1",
        "http://127.0.0.1:65535/",
        "http://[::1]:49152/answer",
        "http://127.0.0.1:8080/a/b-c_d.e~f",
    ],
)
def test_a_program_may_listen_at_any_port_of_this_machine(play: Play, address: str) -> None:
    async def scene(issuer: Issuer) -> None:
        code = await issuer.code(redirect_uri=address)
        assert (await issuer.redeem(code, redirect_uri=address)).status_code == 200

    play(scene)


@pytest.mark.parametrize("prompt", ["login", "consent", "select_account", "login consent"])
def test_who_asks_that_people_log_in_again_gets_it_for_they_always_do(play: Play, prompt: str) -> None:
    async def scene(issuer: Issuer) -> None:
        issuer.now += 5
        code = await issuer.code(prompt=prompt, max_age="0")
        identity = said((await issuer.redeem(code)).json()["id_token"])
        assert identity["auth_time"] == int(issuer.now)

    play(scene)


def test_a_request_may_come_as_a_form(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            page = await browser.post("/oidc/authorize", data=issuer.asking(), headers={"origin": "null"})
        assert "User name" in page.text

    play(scene)


def test_a_person_who_refuses_sends_the_program_back_with_that(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        back = told(await issuer.allow("refuse"))
        assert (back["error"], back["state"], back["iss"]) == ("access_denied", "s t&a=te", URL)
        assert "code" not in back

    play(scene)


def test_the_person_is_asked_by_whom_for_what_and_at_which_broker(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            form = fields(await browser.get("/oidc/authorize", params=issuer.asking()))
            page = await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
        for shown in ("hoopx-cli", "127.0.0.1:49152", "broker.example.com:8443", "ann", "hoopx login"):
            assert shown in page.text
        policy = page.headers["content-security-policy"]
        assert "form-action 'self' http://127.0.0.1:49152;" in policy

    play(scene)


# --- addresses that an answer must not go to --------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/answer",
        "http://evil.example:49152/answer",
        "http://localhost:49152/answer",
        "http://127.0.0.1.evil.example:49152/",
        "http://127.0.0.1:49152@evil.example/",
        "http://ann@127.0.0.1:49152/",
        "http://127.0.0.1:49152\\@evil.example/",
        "http://127.0.0.1:49152/answer?next=https://evil.example",
        "http://127.0.0.1:49152/answer#fragment",
        "http://127.0.0.1:49152/a b",
        "http://127.0.0.1:49152/answer\n",
        "http://127.0.0.1:49152/answer\r\nset-cookie: a=b",
        "http://127.0.0.1:49152/%2e%2e",
        "http://127.0.0.1/answer",
        "http://127.0.0.1:0/answer",
        "http://127.0.0.1:65536/answer",
        "http://127.0.0.1:049152/answer",
        "http://127.1:49152/answer",
        "http://2130706433:49152/answer",
        "http://0x7f.0.0.1:49152/answer",
        "http://127.0.0.2:49152/answer",
        "http://[::ffff:127.0.0.1]:49152/answer",
        "http://[::1%25eth0]:49152/answer",
        "https://127.0.0.1:49152/answer",
        "HTTP://127.0.0.1:49152/answer",
        "//127.0.0.1:49152/answer",
        "hoopx://answer",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://１２７.0.0.1:49152/",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_this_machine(play: Play, address: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            for wrong in ({}, {"response_type": "token"}, {"prompt": "none"}):
                params = issuer.asking(**wrong) | {"redirect_uri": address}
                page = await browser.get("/oidc/authorize", params=params)
                assert page.status_code == 400
                assert "location" not in page.headers
                assert "set-cookie" not in page.headers

    play(scene)


@pytest.mark.parametrize("client", ["", "stranger", "HOOPX-CLI", "hoopx-cli ", "reviewer-bot"])
def test_a_client_that_nobody_knows_is_told_so_on_a_page(play: Play, client: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            page = await browser.get("/oidc/authorize", params=issuer.asking() | {"client_id": client})
        assert (page.status_code, "not known here" in page.text) == (400, True)

    play(scene)


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "state", "code_challenge", "response_type"])
def test_a_parameter_given_twice_means_nothing(play: Play, name: str) -> None:
    async def scene(issuer: Issuer) -> None:
        query = urlencode([*issuer.asking().items(), (name, "http://127.0.0.1:6666/other")])
        async with issuer.visitor() as browser:
            assert (await browser.get(f"/oidc/authorize?{query}")).status_code == 400

    play(scene)


# --- requests that are none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": ""}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "surprise"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"nonce": "n" * 1025}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        # PKCE cannot be left out, nor weakened.
        ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
    ],
)
def test_a_program_that_asks_wrongly_is_told_at_its_address(play: Play, changes: dict[str, str], code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            answer = await browser.get("/oidc/authorize", params=issuer.asking(**changes))
        back = told(answer)
        assert answer.headers["location"].startswith(f"{ADDRESS}?")
        assert (back["error"], back["state"], back["iss"]) == (code, "s t&a=te", URL)
        assert "code" not in back

    play(scene)


def test_a_state_comes_back_as_it_was_and_a_giant_one_not_at_all(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        odd = "a=b&code=evil#x\r\nLocation: https://evil.example/ é"
        answer = await issuer.allow(state=odd)
        assert told(answer)["state"] == odd
        assert "\n" not in answer.headers["location"]
        async with issuer.visitor() as browser:
            back = told(await browser.get("/oidc/authorize", params=issuer.asking(state="s" * 1025)))
        assert (back["error"], "state" in back) == ("invalid_request", False)

    play(scene)


# --- the code ---------------------------------------------------------------------------------------------------


def test_a_code_used_twice_ends_all_that_came_from_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        code, elsewhere = await issuer.code(), await issuer.redeem(await issuer.code())
        tokens = (await issuer.redeem(code)).json()
        await issuer.who(tokens["access_token"])
        assert error(await issuer.redeem(code)) == "invalid_grant"
        assert error(await issuer.renew(tokens["refresh_token"])) == "invalid_grant"
        with pytest.raises(Exception, match="not accepted"):
            await issuer.who(tokens["access_token"])
        await issuer.who(elsewhere.json()["access_token"])
        assert (await issuer.renew(elsewhere.json()["refresh_token"])).status_code == 200

    play(scene)


def test_a_code_is_good_for_a_minute(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        late, soon = await issuer.code(), await issuer.code()
        issuer.now += authorization_codes.LIFE - 1
        assert (await issuer.redeem(soon)).status_code == 200
        issuer.now += 1
        assert error(await issuer.redeem(late)) == "invalid_grant"

    play(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": ""},
        {"code_verifier": "w" * 43},
        {"code_verifier": CHALLENGE},
        {"redirect_uri": "http://127.0.0.1:49153/answer"},
        {"redirect_uri": "http://127.0.0.1:49152/answer/"},
        {"redirect_uri": "http://[::1]:49152/answer"},
        {"redirect_uri": "é"},
    ],
)
def test_a_stolen_code_without_what_its_program_knows_is_spent_in_vain(play: Play, changes: dict[str, str]) -> None:
    async def scene(issuer: Issuer) -> None:
        code = await issuer.code()
        assert error(await issuer.redeem(code, None, **changes)) == "invalid_grant"
        assert error(await issuer.redeem(code)) == "invalid_grant"

    play(scene)


def test_a_code_of_another_login_cannot_be_slipped_in(play: Play) -> None:
    """Injection: the thief gives the victim's program a code of their own, or theirs the victim's."""

    async def scene(issuer: Issuer) -> None:
        thiefs = "t" * 43
        stolen = await issuer.code(code_challenge="E" * 43)
        assert error(await issuer.redeem(stolen, code_verifier=thiefs)) == "invalid_grant"
        assert error(await issuer.redeem(stolen)) == "invalid_grant"

    play(scene)


@pytest.mark.parametrize("code", ["x", "A" * 43, "' OR 1=1 --", "é" * 30])
def test_a_made_up_code_is_no_code(play: Play, code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.code()
        assert error(await issuer.redeem(code)) == "invalid_grant"

    play(scene)


def test_a_code_without_its_address_is_no_request(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await issuer.redeem(await issuer.code(), redirect_uri="")) == "invalid_request"

    play(scene)


def test_codes_of_one_flow_are_not_those_of_another(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        await issuer.decide(device["user_code"])
        assert error(await issuer.redeem(device["device_code"])) == "invalid_grant"
        assert error(await issuer.redeem(device["user_code"])) == "invalid_grant"
        assert error(await issuer.poll(await issuer.code())) == "invalid_grant"

    play(scene)


def test_a_code_bound_to_a_key_wants_a_proof_by_that_key(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        mine, thiefs = ProofKey.create(), ProofKey.create()
        for key in (thiefs, None):
            assert error(await issuer.redeem(await issuer.code(dpop_jkt=mine.thumbprint), key)) == "invalid_grant"
        tokens = (await issuer.redeem(await issuer.code(dpop_jkt=mine.thumbprint), mine)).json()
        assert (tokens["token_type"], said(tokens["access_token"])["cnf"]) == ("DPoP", {"jkt": mine.thumbprint})

    play(scene)


# --- the pages, in front of other sites -------------------------------------------------------------------------


def test_opening_the_address_alone_gives_nobody_a_code(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            page = await browser.get("/oidc/authorize", params=issuer.asking())
            assert page.status_code == 200
            answer = await browser.post("/oidc/authorize/confirm", data=fields(page) | {"answer": "allow"})
            assert answer.status_code == 400

    play(scene)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:49152", HOST + ".evil.example"])
def test_another_site_cannot_say_yes_for_somebody(play: Play, origin: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            form = fields(await browser.get("/oidc/authorize", params=issuer.asking()))
            page = await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
            answer = fields(page) | {"answer": "allow"}
            refused = await browser.post("/oidc/authorize/confirm", data=answer, headers={"origin": origin})
            assert refused.status_code == 403

    play(scene)


@pytest.mark.parametrize("token", ["", "x", "A" * 32])
def test_a_yes_without_the_pages_own_token_is_none(play: Play, token: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            form = fields(await browser.get("/oidc/authorize", params=issuer.asking()))
            await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
            answer = await browser.post("/oidc/authorize/confirm", data={"token": token, "answer": "allow"})
            assert answer.status_code == 400

    play(scene)


def test_a_yes_counts_once(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as browser:
            form = fields(await browser.get("/oidc/authorize", params=issuer.asking()))
            page = await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
            yes, cookie = fields(page) | {"answer": "allow"}, browser.cookies[COOKIE]
            assert (await browser.post("/oidc/authorize/confirm", data=yes)).status_code == 303
            browser.cookies.set(COOKIE, cookie)
            assert (await browser.post("/oidc/authorize/confirm", data=yes)).status_code == 400

    play(scene)


def test_the_yes_to_a_device_is_none_to_a_program_nor_the_other_way_round(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        async with issuer.visitor() as browser:
            form = fields(await browser.post("/oidc/device", data={"user_code": device["user_code"]}))
            page = await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
            yes = fields(page) | {"answer": "allow"}
            assert (await browser.post("/oidc/authorize/confirm", data=yes)).status_code == 400
            form = fields(await browser.get("/oidc/authorize", params=issuer.asking()))
            page = await browser.post("/oidc/login", data=form | {"user": "ann", "password": "ann's password"})
            yes = fields(page) | {"answer": "allow", "user_code": device["user_code"]}
            assert (await browser.post("/oidc/device/confirm", data=yes)).status_code == 400
        assert error(await issuer.poll(device["device_code"])) == "authorization_pending"

    play(scene)


# --- what the issuer says of itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/oidc/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/oidc"]
)
def test_the_description_says_what_there_is(play: Play, path: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as client:
            tells = (await client.get(path)).json()
        assert tells["issuer"] == URL
        assert tells["authorization_endpoint"] == f"{URL}/authorize"
        assert tells["response_types_supported"] == ["code"]
        assert tells["response_modes_supported"] == ["query"]
        assert tells["authorization_response_iss_parameter_supported"] is True
        assert tells["code_challenge_methods_supported"] == ["S256"]
        assert {"ES256", "EdDSA", "RS256"} <= set(tells["dpop_signing_alg_values_supported"])
        assert not {"none", "HS256"} & set(tells["dpop_signing_alg_values_supported"])
        assert not {"none", "HS256"} & set(tells["token_endpoint_auth_signing_alg_values_supported"])
        methods = {"none", "private_key_jwt", "client_secret_basic", "client_secret_post"}
        assert set(tells["token_endpoint_auth_methods_supported"]) == methods

    play(scene)


def test_what_was_asked_for_is_read_as_people_write_addresses(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        query = "&".join(f"{name}={quote(value)}" for name, value in issuer.asking(scope=ALL).items())
        async with issuer.visitor() as browser:
            assert (await browser.get(f"/oidc/authorize?{query}")).status_code == 200
            assert (await browser.get("/oidc/authorize?client_id=%ff")).status_code == 400
            assert (await browser.get("/oidc/authorize")).status_code == 400

    play(scene)
