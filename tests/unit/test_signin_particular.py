"""What single providers want beyond the common: learnt from them, held here without them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from hoopx_cli.signin import sign_in, sign_out
from tests.unit.signin_stage import TLS, Script, scripted, token


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
