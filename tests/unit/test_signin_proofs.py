"""Every login has a key of its own, and the provider is shown that the laptop holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.proofs import read_proof
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli import system_keyring
from hoopx_cli.keyring import Login, Logins
from hoopx_cli.renewal import fresh
from hoopx_cli.signin import renew
from tests.unit.signin_stage import START, TLS, Script, said, scripted, token

BROKER = "https://broker.example.com:443"


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as playing:
        playing.takes_proofs()
        yield playing


@pytest.fixture
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logins:
    monkeypatch.setattr(system_keyring, "chosen", lambda: None)
    return Logins(tmp_path / "home", lambda _: None)


def thumbprint(script: Script, raw: str | None) -> str:
    """Of the key of a proof that holds for a call to the token endpoint, as the broker's own reader finds."""
    assert raw is not None
    url = script.metadata["token_endpoint"]
    return read_proof(raw, "POST", lambda target: target == url, None, script.now).thumbprint


def of(login: Login) -> str:
    assert login.key is not None
    return ProofKey.load(login.key).thumbprint


def test_the_token_endpoint_sees_a_proof_of_the_key_that_is_kept(script: Script) -> None:
    login, _ = script.sign_in()
    assert [thumbprint(script, raw) for raw in script.proofs] == [of(login)]


def test_each_poll_has_a_proof_of_its_own(script: Script) -> None:
    script.token_answers = [(400, {"error": "authorization_pending"})] * 2 + script.token_answers
    script.sign_in()
    assert len({said(raw)["jti"] for raw in script.proofs if raw is not None}) == 3


def test_two_logins_have_two_keys(script: Script) -> None:
    assert of(script.sign_in()[0]) != of(script.sign_in()[0])


def test_a_renewal_proves_the_same_key_and_keeps_it(script: Script) -> None:
    login = replace(script.sign_in()[0], user="ann")
    renewed = renew(login, TLS, script.clock)
    assert {thumbprint(script, raw) for raw in script.proofs} == {of(login)} == {of(renewed)}
    assert renewed.user == "ann"


@pytest.mark.parametrize("known", [None, [], ["RS256"]])
def test_a_provider_that_knows_no_such_proofs_gets_none_and_the_key_is_kept_for_the_broker(
    script: Script, known: list[str] | None
) -> None:
    script.metadata["dpop_signing_alg_values_supported"] = known
    login, _ = script.sign_in()
    assert script.proofs == [None]
    assert login.key is not None


# --- nonces ---------------------------------------------------------------------------------------------------


def test_a_nonce_that_is_asked_for_is_given_at_once(script: Script) -> None:
    script.nonce = "n-1"
    script.sign_in()
    assert [said(raw).get("nonce") for raw in script.proofs if raw is not None] == [None, "n-1"]
    assert script.naps == [5]


def test_the_nonce_of_one_answer_goes_into_the_next_proof(script: Script) -> None:
    script.nonce = "n-1"
    script.token_answers = [(400, {"error": "authorization_pending"})] * 2 + script.token_answers
    script.sign_in()
    assert [said(raw).get("nonce") for raw in script.proofs if raw is not None] == [None, "n-1", "n-1", "n-1"]


def test_a_nonce_is_given_at_a_renewal_too(script: Script) -> None:
    login, _ = script.sign_in()
    script.proofs.clear()
    script.nonce = "n-2"
    assert renew(login, TLS, script.clock).bearer.reveal() == token()
    assert len(script.proofs) == 2


def test_a_provider_that_never_has_enough_of_nonces_is_asked_twice_and_no_more(script: Script) -> None:
    login, _ = script.sign_in()
    script.proofs.clear()
    script.nonce, script.nonces = "n-0", ["n-1", "n-2", "n-3", "n-4", "n-5"]
    with pytest.raises(Unreachable, match="proof of your key"):
        renew(login, TLS, script.clock)
    assert len(script.proofs) == 2


def test_the_login_survives_a_provider_that_does_not_take_its_proof(script: Script, logins: Logins) -> None:
    """Clocks that differ are no reason to send somebody to the login page."""
    login = replace(script.sign_in()[0], user="ann")
    logins.put(BROKER, replace(login, expires_at=START))
    script.token_answers = [(400, {"error": "invalid_dpop_proof"})]
    with pytest.raises(Unreachable, match="compare the clocks"):
        fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert logins.get(BROKER) is not None


@pytest.mark.parametrize("nonce", ["n" * 513, "n" * 5000])
def test_a_nonce_of_absurd_length_is_not_taken_up(script: Script, nonce: str) -> None:
    login, _ = script.sign_in()
    script.proofs.clear()
    script.nonce = nonce
    with pytest.raises(Unreachable):
        renew(login, TLS, script.clock)
    assert len(script.proofs) == 1


# --- logins of earlier versions -------------------------------------------------------------------------------


def earlier(script: Script, expires_at: float) -> Login:
    return Login(script.url, "hoopx-cli", "hoopx", Secret("old"), expires_at, Secret("r-1"))


def test_a_login_without_a_key_gets_one_at_its_next_use_and_keeps_it(script: Script, logins: Logins) -> None:
    logins.put(BROKER, earlier(script, START + 600))
    first = fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    second = fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert first.bearer.reveal() == "old"
    assert of(first) == of(second)
    assert script.heard == []


def test_a_login_without_a_key_is_renewed_with_a_new_one(script: Script, logins: Logins) -> None:
    logins.put(BROKER, earlier(script, START))
    login = fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert thumbprint(script, script.proofs[-1]) == of(login)


@pytest.mark.parametrize("key", ["", "zz", "0" * 64, "f" * 64])
def test_a_key_that_cannot_be_read_means_to_log_in_again(script: Script, logins: Logins, key: str) -> None:
    logins.put(BROKER, replace(earlier(script, START), key=Secret(key)))
    with pytest.raises(Unauthenticated) as told:
        fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert "hoopx login" in told.value.hint


def test_no_key_is_ever_shown(script: Script) -> None:
    login, _ = script.sign_in()
    assert login.key is not None
    assert login.key.reveal() not in f"{login!r} {login}"
