"""What single providers want beyond the common: learnt from them, held here without them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.signin import DEFAULT_INTERVAL, DEFAULT_LIFE, sign_in, sign_out
from hoopx_cli.unverified import end_of
from tests.unit.signin_stage import START, TLS, Script, scripted, token


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as playing:
        yield playing


def test_an_audience_that_is_an_address_is_asked_for_as_a_resource_too(script: Script) -> None:
    script.token_answers = [(200, {"access_token": token("https://broker.example.com")})]
    ask = replace(script.asks(), audience="https://broker.example.com")
    sign_in(ask, TLS, lambda _: None, script.clock, script.sleep)
    [asked] = script.forms("/device")
    assert (asked["audience"], asked["resource"]) == ("https://broker.example.com", "https://broker.example.com")


def test_an_audience_that_is_a_name_is_no_resource(script: Script) -> None:
    script.sign_in()
    [asked] = script.forms("/device")
    assert asked["audience"] == "hoopx"
    assert "resource" not in asked


def test_a_provider_that_does_not_take_a_public_clients_word_gets_its_own_access_token(script: Script) -> None:
    login, _ = script.sign_in()
    script.revoke_status = 401
    assert not sign_out(login, TLS)
    assert script.revocations[:2] == [None, f"Bearer {login.bearer.reveal()}"]
    assert script.forms("/revoke")[0] == script.forms("/revoke")[1]


def test_the_access_token_goes_to_no_provider_that_does_not_ask_for_it(script: Script) -> None:
    login, _ = script.sign_in()
    assert sign_out(login, TLS)
    assert set(script.revocations) == {None}


# --- numbers that are none --------------------------------------------------------------------------------------

GIANT = 10**400


def short(value: object) -> str:
    return str(value)[:8]


@pytest.mark.parametrize("end", [GIANT, -GIANT, 1e308, True], ids=short)
def test_a_token_whose_end_no_calendar_has_is_not_kept(script: Script, end: object) -> None:
    script.token_answers = [(200, {"access_token": written(end)})]
    with pytest.raises(Unauthenticated, match="gave no token"):
        script.sign_in()


@pytest.mark.parametrize("name", ["interval", "expires_in"])
@pytest.mark.parametrize("said", [GIANT, -GIANT, "1" + "0" * 400, "NaN", "Infinity"], ids=short)
def test_a_pace_or_life_that_is_no_number_of_seconds_counts_as_unsaid(script: Script, name: str, said: object) -> None:
    script.device[name] = said
    _, prompt = script.sign_in()
    assert prompt.expires_at == START + DEFAULT_LIFE
    assert script.naps == [DEFAULT_INTERVAL]


@pytest.mark.parametrize("end", [GIANT, -GIANT], ids=short)
def test_a_job_whose_token_ends_at_no_time_has_one_that_ended(end: int) -> None:
    assert end_of(Secret(written(end))) == 0.0


def written(end: object) -> str:
    """As `token`, by a writer that has no doubts."""
    body = base64.urlsafe_b64encode(json.dumps({"aud": "hoopx", "exp": end}).encode()).rstrip(b"=").decode()
    return f"e30.{body}.AAAA"
