"""Laws of the embedded issuer: whatever is sent to it, nobody is sent elsewhere and nothing is given."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded.authorization import read_authorization, read_back
from hoopx_broker.identity.embedded.endpoints import CODE_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT, REFRESH_GRANT
from hoopx_broker.identity.embedded.exchange import EXCHANGE
from hoopx_broker.identity.embedded.refusals import OAuthError
from tests.laws.depth import examples
from tests.unit.issuer_stage import ADDRESS, CHALLENGE, URL, Issuer, issuer_at

# Pieces that addresses are made of, and what tricks are made of.
_SOUND = [
    "http:",
    "https:",
    "//",
    "127.0.0.1",
    "[::1]",
    "localhost",
    "evil.example",
    ":49152",
    ":0",
    ":99999",
    "/",
    "/a",
]
_ODD = ["@", "\\", "?", "#", "%2f", "%00", "\n", "\t", " ", ".", ":", "1", "x", "é", "\u2025", "\u3002"]
_PIECES = st.sampled_from([*_SOUND, *_ODD])
addresses = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=9).map("".join))
_NAMES = """
client_id redirect_uri response_type response_mode scope state nonce prompt max_age code_challenge code_challenge_method
dpop_jkt request grant_type code code_verifier device_code refresh_token client_secret client_assertion
client_assertion_type subject_token subject_token_type audience resource actor_token token
"""
names = st.sampled_from(_NAMES.split())
values = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["hoopx-cli", ADDRESS, "code", "query", "openid", "S256", CHALLENGE, "none", "0", "hoopx"]),
    st.sampled_from([CODE_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT, REFRESH_GRANT, EXCHANGE]),
)
forms = st.dictionaries(names, values, max_size=12)


@given(addresses)
@example("http://127.0.0.1:1@evil.example/")
@example("http://127.0.0.1:49152\\@evil.example/")
@example("http://[::1]:49152/answer\n")
@example(ADDRESS)
def test_an_address_that_is_taken_leads_to_this_machine_however_it_is_read(address: str) -> None:
    try:
        back = read_back({"client_id": "hoopx-cli", "redirect_uri": address}, "hoopx-cli", URL)
    except OAuthError:
        return
    for led_to in (back.redirect_uri, back.with_code("c"), back.with_error("e", "d")):
        parts = urlsplit(led_to)
        assert (parts.scheme, parts.username, parts.password, parts.fragment) == ("http", None, None, "")
        assert ipaddress.ip_address(str(parts.hostname)).is_loopback
        assert parts.port
        assert led_to.isascii()
        assert led_to.isprintable()


@given(st.text(max_size=200), st.text(max_size=40))
def test_what_goes_back_is_what_came_and_nothing_can_be_added_to_it(state: str, code: str) -> None:
    back = read_back({"client_id": "c", "redirect_uri": ADDRESS, "state": state}, "c", URL)
    said = parse_qs(urlsplit(back.with_code(code)).query, keep_blank_values=True, strict_parsing=True)
    assert said == {"code": [code], "state": [state], "iss": [URL]}


@given(forms)
def test_a_request_without_a_sound_challenge_is_never_taken(form: dict[str, str]) -> None:
    back = read_back({"client_id": "c", "redirect_uri": ADDRESS}, "c", URL)
    try:
        asked = read_authorization({"client_id": "c"} | form, back)
    except OAuthError:
        return
    assert form["code_challenge_method"] == "S256"
    assert len(asked.challenge) == 43
    assert form["response_type"] == "code"


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["token", "revoke", "device_authorization"]), forms), max_size=6))
def test_whatever_is_posted_is_refused_or_answered_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, dict[str, str]]]
) -> None:
    monkeypatch.setattr("hoopx_broker.identity.embedded.people._COST", 2)

    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        for path, form in calls:
            for headers in ({}, {"dpop": issuer.proof(key)}):
                answer = await issuer.call(path, form, headers)
                assert answer.status_code in (200, 400, 401, 429)
                assert ("error" in answer.json()) == (answer.status_code != 200)
                assert "access_token" not in answer.json()
        async with issuer.visitor() as browser:
            for _, form in calls:
                page = await browser.get("/oidc/authorize", params=form)
                assert page.status_code in (200, 303, 400)
                assert page.headers.get("location", ADDRESS).startswith("http://127.0.0.1:49152/answer")

    async def play() -> None:
        async with issuer_at(tmp_path / "state.db") as issuer:
            await scene(issuer)

    asyncio.run(play())
