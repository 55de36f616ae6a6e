"""Whatever a provider says, a login ends in a login or in one of our own errors, and never acts on a terminal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.secret import Secret
from hoopx_cli.browser_signin import sign_in_by_browser
from hoopx_cli.client_credentials import Agent, Client, Place
from hoopx_cli.signin import renew, sign_out
from tests.unit.signin_stage import TLS, Script, scripted, token

LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\x1b[2J\u202e")
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
names_of_metadata = st.sampled_from(
    [
        "issuer",
        "token_endpoint",
        "authorization_endpoint",
        "device_authorization_endpoint",
        "revocation_endpoint",
        "code_challenge_methods_supported",
        "dpop_signing_alg_values_supported",
        "token_endpoint_auth_methods_supported",
        "authorization_response_iss_parameter_supported",
    ]
)
names_of_device = st.sampled_from(
    [
        "device_code",
        "user_code",
        "verification_uri",
        "verification_url",
        "verification_uri_complete",
        "interval",
        "expires_in",
        "error",
    ]
)
names_of_token = st.sampled_from(
    ["access_token", "id_token", "refresh_token", "token_type", "expires_in", "error", "error_description"]
)
ODD_ENDS: list[Any] = [None, True, "x", -1, 1e308, 10**30, [], {}]
ODD_AUDIENCES: list[Any] = [None, 5, [], [[]], {}, ["hoopx", 5], True]
NO_TOKENS = ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "\x00.\x00.\x00", "é.é.é", "." * 5000]
odd_tokens = st.sampled_from(
    [*(token(exp=end) for end in ODD_ENDS), *(token(aud=audience) for audience in ODD_AUDIENCES), *NO_TOKENS]
)
answers = st.tuples(
    st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503]),
    st.dictionaries(names_of_token, anything | odd_tokens, max_size=4) | anything | st.binary(max_size=50),
)


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as playing:
        yield playing


def encoded(value: Any) -> bytes:
    """As Python writes JSON: with escapes of half characters, NaN and numbers of any size, which others would not."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def is_sound(error: HoopxError) -> None:
    assert error.message.isprintable()
    assert error.hint.isprintable()
    assert "s3cret" not in error.message + error.hint


def set_up(script: Script, metadata: dict[str, Any], device: dict[str, Any], said: list[tuple[int, Any]]) -> None:
    fresh = Script(script.url)
    script.metadata = fresh.metadata | metadata
    script.device = fresh.device | device | {"expires_in": 300}
    script.token_answers = [(status, encoded(body)) for status, body in said] + [(400, {"error": "expired_token"})]
    script.now = fresh.now


returns = st.dictionaries(st.sampled_from(["code", "error", "error_description", "iss"]), st.text(max_size=20))
oddly = st.dictionaries(names_of_metadata, anything, max_size=2)


@LAW
@given(oddly, st.dictionaries(names_of_device, anything, max_size=3), st.lists(answers, max_size=3))
def test_a_login_by_a_code_ends_in_a_login_or_an_error(
    script: Script, metadata: dict[str, Any], device: dict[str, Any], said: list[tuple[int, Any]]
) -> None:
    set_up(script, metadata, device, said)
    try:
        login, prompt = script.sign_in()
    except HoopxError as error:
        is_sound(error)
        return
    assert login.expires_at > 0
    assert prompt.code.isprintable()
    assert prompt.url.isprintable()


@LAW
@given(oddly, answers)
def test_a_renewal_and_a_farewell_end_so_too(script: Script, metadata: dict[str, Any], said: tuple[int, Any]) -> None:
    set_up(script, {}, {}, [(200, {"access_token": token(), "refresh_token": "r-1"})])
    login, _ = script.sign_in()
    set_up(script, metadata, {}, [said])
    try:
        assert renew(login, TLS, script.clock).bearer.reveal()
    except HoopxError as error:
        is_sound(error)
    try:
        assert sign_out(login, TLS) in (True, False)
    except HoopxError as error:
        is_sound(error)


@LAW
@given(
    oddly,
    answers,
    st.dictionaries(st.sampled_from(["code", "error", "error_description", "iss"]), st.text(max_size=20)),
)
def test_a_login_by_a_browser_ends_so_too(
    script: Script, metadata: dict[str, Any], said: tuple[int, Any], back: dict[str, str]
) -> None:
    set_up(script, metadata, {}, [said])

    def come_back(url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        query = urlencode({"state": asked["state"], **back}, errors="replace")
        with suppress(httpx2.TransportError):  # a browser that comes too late finds nobody
            assert httpx2.get(f"{asked['redirect_uri']}?{query}", trust_env=False).status_code in (200, 404)

    def show(url: str) -> None:
        assert url.isprintable()
        visits.append(threading.Thread(target=come_back, args=(url,)))
        visits[0].start()

    visits: list[threading.Thread] = []
    try:
        assert sign_in_by_browser(script.asks(), TLS, show, script.clock, patience=0.3).bearer.reveal()
    except HoopxError as error:
        is_sound(error)
    finally:
        for visit in visits:
            visit.join(20)


@LAW
@given(oddly, answers)
def test_a_program_gets_a_token_or_an_error(script: Script, metadata: dict[str, Any], said: tuple[int, Any]) -> None:
    set_up(script, metadata, {}, [said])
    client = Client("bot", Secret("s3cret"))
    try:
        agent = Agent(client, lambda: Place(script.url, "hoopx"), lambda _: TLS, script.clock)
        assert agent.credential().token.reveal()
    except HoopxError as error:
        is_sound(error)
