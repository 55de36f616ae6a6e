"""The embedded issuer's endpoints: RFC 8628, tokens, refresh tokens, keys."""

from __future__ import annotations

import re
import sqlite3
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import jwt
import pytest
from msgspec.structs import replace

from hoopx_broker.identity.embedded import people
from hoopx_broker.identity.embedded.codes import ALPHABET, LIFE, MAX_OPEN_PEER, DeviceCodes
from hoopx_broker.identity.embedded.logins import IDLE_LIFE, LOGIN_LIFE
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.possession import Possession
from hoopx_broker.identity.embedded.signing import KEEP_RETIRED, TURN_AFTER
from hoopx_broker.identity.embedded.tokens import ACCESS_LIFE
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.settings import EmbeddedIssuer
from tests.unit.identity_stage import EC_KEY
from tests.unit.issuer_stage import ALL, CHALLENGE, START, URL, VERIFIER, Issuer, Play, error, player, said, users


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db")


def test_a_device_gets_a_token_once_its_person_has_said_yes(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        assert error(await issuer.poll(device["device_code"])) == "authorization_pending"
        await issuer.decide(device["user_code"])
        issuer.now += device["interval"]
        tokens = (await issuer.poll(device["device_code"])).json()
        person = await issuer.who(tokens["access_token"])
        assert (person.user, person.kind, person.groups, person.issuer) == ("ann", "human", ("developers",), URL)
        with pytest.raises(Unauthenticated):
            await issuer.who(tokens["id_token"])

    play(scene)


def test_what_the_tokens_say(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        tokens = await issuer.log_in()
        access, identity = said(tokens["access_token"]), said(tokens["id_token"])
        assert access | {"jti": "", "sid": ""} == {
            "iss": URL,
            "sub": "ann",
            "preferred_username": "ann",
            "groups": ["developers"],
            "email": "ann@example.com",
            "email_verified": True,
            "aud": "hoopx",
            "client_id": "hoopx-cli",
            "scope": ALL,
            "iat": int(START),
            "exp": int(START) + ACCESS_LIFE,
            "auth_time": int(START),
            "jti": "",
            "sid": "",
            "hoopx_kind": "human",
        }
        assert identity["sid"] == access["sid"] != ""
        assert "hoopx_kind" not in identity
        assert (identity["aud"], identity["azp"]) == ("hoopx-cli", "hoopx-cli")
        assert jwt.get_unverified_header(tokens["access_token"])["typ"] == "at+jwt"
        assert "jti" not in identity

    play(scene)


@pytest.mark.parametrize(
    ("scope", "given"),
    [
        ("openid", {"id_token"}),
        ("openid offline_access", {"id_token", "refresh_token"}),
        ("", set()),
        ("admin root", set()),
    ],
)
def test_a_client_gets_what_it_asked_for_and_no_more(play: Play, scope: str, given: set[str]) -> None:
    async def scene(issuer: Issuer) -> None:
        tokens = await issuer.log_in(scope=scope)
        assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"} | given
        assert "admin" not in tokens["scope"]

    play(scene)


# --- the device code --------------------------------------------------------------------------------------------


def test_a_device_code_is_good_for_one_token(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        await issuer.decide(device["user_code"])
        assert (await issuer.poll(device["device_code"])).status_code == 200
        issuer.now += 60
        assert error(await issuer.poll(device["device_code"])) == "invalid_grant"

    play(scene)


def test_polling_too_fast_is_slowed_down_more_each_time(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        code, interval = device["device_code"], device["interval"]
        assert error(await issuer.poll(code)) == "authorization_pending"
        issuer.now += interval - 0.01
        assert error(await issuer.poll(code)) == "slow_down"
        issuer.now += interval  # too fast now: the pace is five seconds slower
        assert error(await issuer.poll(code)) == "slow_down"
        issuer.now += interval + 10
        assert error(await issuer.poll(code)) == "authorization_pending"

    play(scene)


def test_an_approved_code_is_not_given_to_who_polls_too_fast_nor_lost_by_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        await issuer.poll(device["device_code"])
        await issuer.decide(device["user_code"])
        assert error(await issuer.poll(device["device_code"])) == "slow_down"
        issuer.now += 60
        assert (await issuer.poll(device["device_code"])).status_code == 200

    play(scene)


@pytest.mark.parametrize("is_approved", [False, True])
def test_a_code_ends(play: Play, is_approved: bool) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        if is_approved:
            await issuer.decide(device["user_code"])
        issuer.now += LIFE
        assert error(await issuer.poll(device["device_code"])) == "expired_token"
        assert error(await issuer.poll(device["device_code"])) == "invalid_grant"

    play(scene)


def test_a_code_that_ended_cannot_be_approved_any_more(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        issuer.now += LIFE
        answer = await issuer.decide(device["user_code"])
        assert answer.status_code == 400
        assert error(await issuer.poll(device["device_code"])) == "expired_token"

    play(scene)


def test_a_person_who_refuses_ends_the_code(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask()
        assert "Refused" in (await issuer.decide(device["user_code"], answer="refuse")).text
        assert error(await issuer.poll(device["device_code"])) == "access_denied"
        assert error(await issuer.poll(device["device_code"])) == "invalid_grant"

    play(scene)


def test_the_code_of_another_client_is_worth_nothing() -> None:
    codes = DeviceCodes(lambda: START, lambda size: b"\x07" * size)
    started = codes.start("one-client", ALL, "192.0.2.7", None)
    assert codes.approve(started.user_code, Person("ann"))
    nothing = Possession(None, Spent(lambda: START))
    with pytest.raises(Exception, match="invalid_grant"):
        codes.take(started.device_code.reveal(), "another-client", None, nothing)
    assert codes.take(started.device_code.reveal(), "one-client", None, nothing).person == Person("ann")


@pytest.mark.parametrize("code", ["", "x", "0" * 500, "\u00e9"])
def test_a_made_up_device_code_is_no_code(play: Play, code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await issuer.poll(code)) in ("invalid_grant", "invalid_request")

    play(scene)


def test_user_codes_are_easy_to_read_and_even() -> None:
    codes = DeviceCodes(lambda: START, Random(7).randbytes)
    drawn = [codes.start("c", "", str(n), None).user_code for n in range(200)]
    assert all(re.fullmatch(f"[{ALPHABET}]{{8}}", code) for code in drawn)
    assert len(set(drawn)) == len(drawn)
    assert len(ALPHABET) == 20
    counts = {letter: "".join(drawn).count(letter) for letter in ALPHABET}
    assert max(counts.values()) - min(counts.values()) <= 0.3 * max(counts.values())


def test_one_address_cannot_take_all_codes(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        for _ in range(MAX_OPEN_PEER):
            await issuer.ask("192.0.2.66")
        crowded = await issuer.post("device_authorization", "192.0.2.66", client_id="hoopx-cli", scope=ALL)
        assert (crowded.status_code, error(crowded)) == (429, "temporarily_unavailable")
        await issuer.ask("192.0.2.7")
        issuer.now += LIFE + 61
        await issuer.ask("192.0.2.66")

    play(scene)


# --- PKCE -------------------------------------------------------------------------------------------------------


def test_a_code_asked_for_with_a_challenge_wants_its_verifier(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask(code_challenge=CHALLENGE, code_challenge_method="S256")
        await issuer.decide(device["user_code"])
        assert (await issuer.poll(device["device_code"], code_verifier=VERIFIER)).status_code == 200

    play(scene)


@pytest.mark.parametrize("more", [{}, {"code_verifier": "w" * 43}, {"code_verifier": CHALLENGE}, {"code_verifier": ""}])
def test_a_stolen_device_code_without_its_verifier_is_spent_in_vain(play: Play, more: dict[str, str]) -> None:
    async def scene(issuer: Issuer) -> None:
        device = await issuer.ask(code_challenge=CHALLENGE, code_challenge_method="S256")
        await issuer.decide(device["user_code"])
        assert error(await issuer.poll(device["device_code"], **more)) == "invalid_grant"
        issuer.now += 60
        assert error(await issuer.poll(device["device_code"], code_verifier=VERIFIER)) == "invalid_grant"

    play(scene)


@pytest.mark.parametrize(
    "more",
    [
        {"code_challenge": CHALLENGE},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge": "", "code_challenge_method": "S256"},
    ],
)
def test_only_a_challenge_of_s256_is_taken(play: Play, more: dict[str, str]) -> None:
    async def scene(issuer: Issuer) -> None:
        form = {"client_id": "hoopx-cli", "scope": ALL} | more
        assert error(await issuer.post("device_authorization", **form)) == "invalid_request"

    play(scene)


# --- requests that are none -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["device_authorization", "token", "revoke"])
@pytest.mark.parametrize("client", ["", "stranger", "HOOPX-CLI", "hoopx-cli\x00"])
def test_an_unknown_client_gets_nothing(play: Play, path: str, client: str) -> None:
    async def scene(issuer: Issuer) -> None:
        form = {"client_id": client, "grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
        assert error(await issuer.post(path, **form)) == "invalid_client"

    play(scene)


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:openid:params:grant-type:ciba", ""])
def test_no_other_grant_is_taken(play: Play, grant: str) -> None:
    async def scene(issuer: Issuer) -> None:
        form = {"client_id": "hoopx-cli", "grant_type": grant, "username": "ann", "password": "ann's password"}
        assert error(await issuer.post("token", **form)) in ("unsupported_grant_type", "invalid_request")

    play(scene)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"client_id=hoopx-cli&client_id=hoopx-cli", "application/x-www-form-urlencoded"),
        (b'{"client_id": "hoopx-cli"}', "application/json"),
        (b"client_id=hoopx-cli", "text/plain"),
        (b"client_id=hoopx-cli&a=" + b"a" * 20_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(30)), "application/x-www-form-urlencoded"),
        (b"client_id=hoopx-cli&a=%ff", "application/x-www-form-urlencoded"),
        (b"client_id=\xff", "application/x-www-form-urlencoded"),
        (b"", ""),
    ],
)
def test_a_form_that_is_none_is_refused(play: Play, body: bytes, kind: str) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as client:
            answer = await client.post("/oidc/token", content=body, headers={"content-type": kind} if kind else {})
            assert error(answer) == "invalid_request"

    play(scene)


def test_secrets_are_taken_from_forms_only_never_from_addresses(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as client:
            assert (await client.get("/oidc/token?client_id=hoopx-cli")).status_code == 405
            assert (await client.get("/oidc/revoke?client_id=hoopx-cli")).status_code == 405

    play(scene)


# --- refresh tokens ---------------------------------------------------------------------------------------------


def test_a_refresh_token_brings_new_tokens_and_is_spent(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        first = await issuer.log_in()
        issuer.now += 3600
        second = (await issuer.refresh(first["refresh_token"])).json()
        assert second["refresh_token"] != first["refresh_token"]
        claims = said(second["access_token"])
        assert (claims["exp"], claims["auth_time"]) == (int(issuer.now) + ACCESS_LIFE, int(START))
        assert (await issuer.who(second["access_token"])).user == "ann"

    play(scene)


def test_a_spent_refresh_token_that_comes_back_ends_the_login_of_both(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        stolen = (await issuer.log_in())["refresh_token"]
        elsewhere = (await issuer.log_in())["refresh_token"]
        owned = (await issuer.refresh(stolen)).json()["refresh_token"]
        for token in (stolen, owned, stolen):
            assert error(await issuer.refresh(token)) == "invalid_grant"
        assert (await issuer.refresh(elsewhere)).status_code == 200

    play(scene)


def test_a_login_ends_idle_after_a_day_and_in_any_case_after_a_week(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        idle = (await issuer.log_in())["refresh_token"]
        busy = (await issuer.log_in())["refresh_token"]
        while issuer.now + IDLE_LIFE - 1 < START + LOGIN_LIFE:
            issuer.now += IDLE_LIFE - 1
            busy = (await issuer.refresh(busy)).json()["refresh_token"]
        issuer.now = START + LOGIN_LIFE
        assert error(await issuer.refresh(busy)) == "invalid_grant"
        issuer.now = START + IDLE_LIFE
        assert error(await issuer.refresh(idle)) == "invalid_grant"

    play(scene)


@pytest.mark.parametrize("token", ["", "x", "' OR 1=1 --", "\u00e9" * 100])
def test_a_made_up_refresh_token_is_refused(play: Play, token: str) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await issuer.refresh(token)) in ("invalid_grant", "invalid_request")

    play(scene)


def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        tokens = await issuer.log_in()
        assert error(await issuer.refresh(tokens["access_token"])) == "invalid_grant"
        with pytest.raises(Unauthenticated):
            await issuer.who(tokens["refresh_token"])

    play(scene)


def test_revoking_ends_the_login_and_says_nothing_of_strangers_tokens(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        first = (await issuer.log_in())["refresh_token"]
        second = (await issuer.refresh(first)).json()["refresh_token"]
        for token in (first, "made-up", second):
            assert (await issuer.post("revoke", client_id="hoopx-cli", token=token)).status_code == 200
        assert error(await issuer.refresh(second)) == "invalid_grant"

    play(scene)


def test_revoking_an_access_token_ends_a_login_that_has_no_other(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        ended, stays = (await issuer.log_in(scope="openid"))["access_token"], await issuer.log_in()
        foreign = said(ended) | {"client_id": "hoopx-cli"}
        made_up = jwt.encode(foreign, EC_KEY, "ES256", headers={"kid": "x", "typ": "at+jwt"})
        for token in (made_up, stays["id_token"], ended[:-8] + "AAAAAAAA", "a.b.c"):
            assert (await issuer.post("revoke", client_id="hoopx-cli", token=token)).status_code == 200
            await issuer.who(ended)
        assert (await issuer.post("revoke", client_id="hoopx-cli", token=ended)).status_code == 200
        with pytest.raises(Unauthenticated):
            await issuer.who(ended)
        await issuer.who(stays["access_token"])
        assert (await issuer.refresh(stays["refresh_token"])).status_code == 200

    play(scene)


def test_refresh_tokens_are_stored_as_hashes_only(play: Play, tmp_path: Path) -> None:
    tokens: list[str] = []

    async def scene(issuer: Issuer) -> None:
        tokens.append((await issuer.log_in())["refresh_token"])
        tokens.append((await issuer.refresh(tokens[0])).json()["refresh_token"])

    play(scene)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert sha256(tokens[1].encode()).hexdigest().encode() in stored
    assert all(token.encode() not in stored for token in tokens)
    assert b"ann's password" not in stored


def test_logins_and_keys_survive_a_restart(play: Play) -> None:
    kept: list[dict[str, Any]] = []

    async def before(issuer: Issuer) -> None:
        kept.append(await issuer.log_in())

    async def after(issuer: Issuer) -> None:
        assert (await issuer.who(kept[0]["access_token"])).user == "ann"
        assert (await issuer.refresh(kept[0]["refresh_token"])).status_code == 200

    play(before)
    play(after)


def test_a_user_taken_out_of_the_configuration_renews_nothing(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        kept = (await issuer.log_in())["refresh_token"]
        await issuer.start(issuer.store, EmbeddedIssuer({"bob": users()["bob"]}))
        assert error(await issuer.refresh(kept)) == "invalid_grant"

    play(scene)


def test_groups_are_those_of_the_configuration_at_each_renewal(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        kept = (await issuer.log_in())["refresh_token"]
        promoted = replace(users()["ann"], groups=("dba",))
        await issuer.start(issuer.store, EmbeddedIssuer({"ann": promoted}))
        renewed = (await issuer.refresh(kept)).json()
        assert (await issuer.who(renewed["access_token"])).groups == ("dba",)

    play(scene)


# --- keys -------------------------------------------------------------------------------------------------------


def kids(answer: httpx2.Response) -> list[str]:
    return sorted(key["kid"] for key in answer.json()["keys"])


async def published(issuer: Issuer) -> httpx2.Response:
    async with issuer.visitor() as client:
        return await client.get("/oidc/jwks")


def test_two_keys_are_published_and_none_of_them_private(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        answer = await published(issuer)
        assert len(kids(answer)) == 2
        for key in answer.json()["keys"]:
            assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}

    play(scene)


def test_keys_turn_each_month_and_tokens_outlive_the_turn(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        known = kids(await published(issuer))
        issuer.now += TURN_AFTER - 10
        old = (await issuer.log_in())["access_token"]
        issuer.now += 10
        new = (await issuer.log_in())["access_token"]
        assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
        assert jwt.get_unverified_header(new)["kid"] in known
        assert (await issuer.who(old)).user == (await issuer.who(new)).user == "ann"
        assert len(kids(await published(issuer))) == 3

    play(scene)


def test_a_retired_key_is_forgotten_at_the_next_turn_or_start(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        issuer.now += TURN_AFTER
        await issuer.log_in()
        issuer.now += TURN_AFTER + KEEP_RETIRED
        await issuer.log_in()
        assert len(kids(await published(issuer))) == 3

    play(scene)


def test_the_description_names_its_endpoints_and_hides_nothing_behind_them(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        async with issuer.visitor() as client:
            told = (await client.get("/oidc/.well-known/openid-configuration")).json()
        assert told["issuer"] == URL
        assert all(told[name].startswith(f"{URL}/") for name in told if name.endswith(("_endpoint", "_uri")))
        assert told["code_challenge_methods_supported"] == ["S256"]

    play(scene)


def test_signing_keys_lie_in_a_file_for_its_owner_alone(play: Play, tmp_path: Path) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.log_in()

    play(scene)
    for path in tmp_path.glob("state.db*"):
        assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "state.db") as connection:
        states = connection.execute("SELECT state FROM identity_keys ORDER BY state").fetchall()
    connection.close()
    assert states == [("current",), ("next",)]
