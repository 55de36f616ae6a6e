"""The laptop's side of signing in, against providers of every make and temper."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest

from hoopx_broker.terms.errors import ExitCode, Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli import system_keyring
from hoopx_cli.keyring import Login, Logins
from hoopx_cli.renewal import fresh
from hoopx_cli.signin import MAX_INTERVAL, issuer_trust, renew, sign_out
from tests.unit.signin_stage import START, TLS, Script, scripted, token

BROKER = "https://broker.example.com:443"


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as playing:
        yield playing


@pytest.fixture
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logins:
    monkeypatch.setattr(system_keyring, "chosen", lambda: None)
    return Logins(tmp_path / "home", lambda _: None)


def pending(error: str, status: int = 400) -> tuple[int, dict[str, str]]:
    return status, {"error": error}


def test_an_access_token_that_names_the_broker_is_taken(script: Script) -> None:
    login, prompt = script.sign_in()
    assert login.bearer.reveal() == token()
    assert login.expires_at == START + 600
    assert login.refresh is not None
    assert prompt.code == "BCDF-GHJK"
    assert prompt.url == f"{script.url}/activate"
    assert script.forms("/device") == [
        {"client_id": "hoopx-cli", "scope": "openid offline_access", "audience": "hoopx"}
    ]


@pytest.mark.parametrize("access", ["opaque", token("other"), token(["other"]), "a.b.c", 5, None, token("hoopx", "x")])
def test_without_one_the_id_token_of_this_client_is_taken(script: Script, access: object) -> None:
    script.token_answers = [(200, {"access_token": access, "id_token": token("hoopx-cli")})]
    assert script.sign_in()[0].bearer.reveal() == token("hoopx-cli")


@pytest.mark.parametrize(
    "answer",
    [{}, {"access_token": "opaque"}, {"id_token": token("hoopx")}, {"id_token": token("other")}, [], b"rubbish"],
)
def test_a_provider_that_gives_nothing_usable_is_told_of(script: Script, answer: Any) -> None:
    script.token_answers = [(200, answer)]
    with pytest.raises(Unauthenticated, match="gave no token"):
        script.sign_in()


def test_a_token_that_has_already_ended_is_not_kept(script: Script) -> None:
    script.token_answers = [(200, {"access_token": token(exp=START)})]
    with pytest.raises(Unauthenticated, match="still holds"):
        script.sign_in()


def test_the_code_of_the_link_is_offered_under_either_name(script: Script) -> None:
    script.device |= {"verification_uri_complete": f"{script.url}/activate?c=1"}
    assert script.sign_in()[1].complete_url == f"{script.url}/activate?c=1"
    del script.device["verification_uri"], script.device["verification_uri_complete"]
    script.device |= {"verification_url": f"{script.url}/old", "verification_url_complete": f"{script.url}/old?c=1"}
    assert script.sign_in()[1].complete_url == f"{script.url}/old?c=1"


# --- pace -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "pace"),
    [(None, 5), (2, 2), ("3", 3), (0, 5), (-1, 5), ("soon", 5), (True, 1), (1e300, 5), (9999, MAX_INTERVAL), ([], 5)],
)
def test_the_provider_sets_the_pace_within_reason(script: Script, said: object, pace: float) -> None:
    script.device["interval"] = said
    script.sign_in()
    assert script.naps == [pace]


def test_a_provider_that_names_no_interval_is_polled_every_five_seconds(script: Script) -> None:
    script.token_answers = [pending("authorization_pending")] * 3 + script.token_answers
    script.sign_in()
    assert script.naps == [5, 5, 5, 5]


def test_slow_down_adds_five_seconds_for_good(script: Script) -> None:
    script.token_answers = [pending("slow_down"), pending("authorization_pending"), *script.token_answers]
    script.sign_in()
    assert script.naps == [5, 10, 10]


@pytest.mark.parametrize("hiccup", [(500, b""), (503, b"<html>"), (429, {}), (502, {"error": "server_error"})])
def test_a_provider_that_stumbles_is_asked_again_more_slowly(script: Script, hiccup: tuple[int, Any]) -> None:
    script.token_answers = [hiccup, hiccup, *script.token_answers]
    script.sign_in()
    assert script.naps == [5, 10, 20]


def test_a_provider_that_slows_for_ever_ends_with_the_code(script: Script) -> None:
    script.device["expires_in"] = 300
    script.token_answers = [pending("slow_down")]
    with pytest.raises(Unauthenticated, match="in time") as ended:
        script.sign_in()
    assert ended.value.exit_code is ExitCode.LOG_IN_FIRST
    assert max(script.naps) <= MAX_INTERVAL
    assert script.now - START < 300 + MAX_INTERVAL


@pytest.mark.parametrize("life", [None, "x", 1e18, -5, 10**9])
def test_a_code_does_not_live_for_ever(script: Script, life: object) -> None:
    script.device |= {"expires_in": life, "interval": 60}
    script.token_answers = [pending("authorization_pending")]
    with pytest.raises(Unauthenticated, match="in time"):
        script.sign_in()
    assert script.now - START <= 3660


@pytest.mark.parametrize(("error", "told"), [("access_denied", "declined"), ("expired_token", "in time")])
def test_the_end_of_the_flow_is_told(script: Script, error: str, told: str) -> None:
    script.token_answers = [pending(error)]
    with pytest.raises(Unauthenticated, match=told):
        script.sign_in()


@pytest.mark.parametrize("answer", [pending("invalid_grant"), pending("invalid_client", 401), (400, b""), (302, b"")])
def test_any_other_refusal_ends_the_flow_at_once(script: Script, answer: tuple[int, Any]) -> None:
    script.token_answers = [answer]
    with pytest.raises(Unreachable, match="refuses the login"):
        script.sign_in()
    assert len(script.forms("/token")) == 1


@pytest.mark.parametrize("status", [200, 400, 403, 428])
def test_a_provider_may_say_pending_with_whatever_status(script: Script, status: int) -> None:
    script.token_answers = [pending("authorization_pending", status), *script.token_answers]
    assert script.sign_in()[0].bearer.reveal() == token()


def test_a_device_answer_that_is_an_error_with_status_200_is_one(script: Script) -> None:
    script.device = {"error": "device_flow_disabled", "error_description": "not for this client"}
    with pytest.raises(Unauthenticated, match="not for this client"):
        script.sign_in()


@pytest.mark.parametrize("code", ["wdjb mjht", "123-456-789", "ÄÖÜ-ß", "0O1lI", "a", "日本-東京"])
def test_a_code_of_any_alphabet_is_shown_as_the_provider_spells_it(script: Script, code: str) -> None:
    script.device["user_code"] = code
    assert script.sign_in()[1].code == code


@pytest.mark.parametrize("query", ["code=BCDF-GHJK", "otc=BCDF", "user_code=BCDF-GHJK&hint=a%20b", ""])
def test_the_complete_address_is_taken_whole_whatever_its_parameters_are_called(script: Script, query: str) -> None:
    script.device["verification_uri_complete"] = f"{script.url}/go?{query}"
    assert script.sign_in()[1].complete_url == f"{script.url}/go?{query}"


def test_nothing_here_depends_on_what_the_subject_looks_like(script: Script) -> None:
    """Pairwise subjects are opaque: who somebody is, the broker says."""
    opaque = jwt.encode({"aud": "hoopx", "exp": START + 600, "sub": "kR7-\u00e9_/" * 20}, "k" * 32)
    script.token_answers = [(200, {"access_token": opaque})]
    assert script.sign_in()[0].user == ""


def test_what_a_provider_writes_as_null_it_does_not_have(script: Script) -> None:
    script.metadata |= {"revocation_endpoint": None, "code_challenge_methods_supported": None}
    assert script.sign_in()[0].bearer.reveal() == token()


# --- PKCE -----------------------------------------------------------------------------------------------------


def test_a_provider_that_takes_pkce_gets_the_proof_that_matches(script: Script) -> None:
    script.metadata["code_challenge_methods_supported"] = ["plain", "S256"]
    script.sign_in()
    [asked], [spent] = script.forms("/device"), script.forms("/token")
    assert asked["code_challenge_method"] == "S256"
    made = base64.urlsafe_b64encode(sha256(spent["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert made == asked["code_challenge"]
    assert spent["code_verifier"] not in asked.values()


def test_a_provider_that_does_not_say_so_gets_none(script: Script) -> None:
    script.metadata["code_challenge_methods_supported"] = ["plain"]
    script.sign_in()
    assert "code_challenge" not in script.forms("/device")[0]
    assert "code_verifier" not in script.forms("/token")[0]


# --- providers that lie ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": ""},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"device_authorization_endpoint": ""},
        {"device_authorization_endpoint": "http://evil.example/\x1b[2J"},
        {"revocation_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_asked(script: Script, changes: dict[str, Any]) -> None:
    script.metadata |= changes
    with pytest.raises(Unreachable):
        script.sign_in()
    assert script.forms("/token") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://evil.example/"},
        {"verification_uri": "https://evil.example/\x1b]0;owned\x07"},
        {"verification_uri": "https://evil.example/\u202e"},
        {"verification_uri": 5},
        {"verification_uri": None},
        {"verification_uri_complete": "https://evil.example/ a"},
        {"user_code": None},
        {"user_code": ""},
        {"device_code": ["x"]},
    ],
)
def test_a_prompt_that_could_act_on_a_terminal_is_never_shown(script: Script, changes: dict[str, Any]) -> None:
    script.device |= changes
    with pytest.raises(Unreachable):
        script.sign_in()


def test_a_code_of_escape_signs_is_shown_harmless(script: Script) -> None:
    script.device["user_code"] = "\x1b[2J\u202eBCDF"
    shown = script.sign_in()[1].code
    assert shown.isprintable()
    assert "\x1b" not in shown


def test_a_giant_answer_is_not_read_to_its_end(script: Script) -> None:
    script.token_answers = [(200, b'{"access_token": "' + b"a" * 1_000_000 + b'"}')]
    with pytest.raises(Unauthenticated, match="gave no token"):
        script.sign_in()


def test_a_redirect_takes_no_secret_elsewhere(script: Script) -> None:
    login, _ = script.sign_in()
    script.token_answers = [(307, b"")]
    with pytest.raises(Unreachable):
        renew(login, TLS, script.clock)
    assert script.forms("/elsewhere") == []


def test_the_words_of_a_provider_are_shown_harmless(script: Script) -> None:
    script.device_status, script.device = 400, {"error": "x", "error_description": "\x1b[31mcall 555\n" * 100}
    with pytest.raises(Unauthenticated) as told:
        script.sign_in()
    assert told.value.message.isprintable()
    assert len(told.value.message) < 400


def test_a_provider_that_is_not_there_is_named(script: Script) -> None:
    with scripted() as gone:
        asks = gone.asks()
    script.asks = lambda: asks  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="cannot be reached"):
        script.sign_in()


# --- staying signed in ----------------------------------------------------------------------------------------


def kept(script: Script, expires_at: float, refresh: str | None = "r-1") -> Login:
    return Login(
        script.url, "hoopx-cli", "hoopx", Secret("old"), expires_at, Secret(refresh) if refresh is not None else None
    )


def test_a_renewal_takes_the_rotated_refresh_token(script: Script) -> None:
    script.token_answers = [(200, {"access_token": token(), "refresh_token": "r-2"})]
    fresh = renew(kept(script, START), TLS, script.clock)
    assert fresh.refresh is not None
    assert fresh.refresh.reveal() == "r-2"
    assert script.forms("/token") == [{"grant_type": "refresh_token", "client_id": "hoopx-cli", "refresh_token": "r-1"}]


def test_a_provider_that_does_not_rotate_leaves_the_one_there_was(script: Script) -> None:
    script.token_answers = [(200, {"access_token": token()})]
    fresh = renew(kept(script, START), TLS, script.clock)
    assert fresh.refresh is not None
    assert fresh.refresh.reveal() == "r-1"


def test_who_is_not_logged_in_is_told_how(logins: Logins) -> None:
    with pytest.raises(Unauthenticated) as told:
        fresh(BROKER, None, logins, lambda _: TLS)
    assert "hoopx login" in told.value.hint
    assert told.value.exit_code is ExitCode.LOG_IN_FIRST


def test_a_bearer_that_holds_is_used_without_a_call(script: Script, logins: Logins) -> None:
    logins.put(BROKER, kept(script, START + 61))
    assert fresh(BROKER, None, logins, lambda _: TLS, script.clock).bearer.reveal() == "old"
    assert script.heard == []


def test_a_bearer_near_its_end_is_renewed_and_kept(script: Script, logins: Logins) -> None:
    logins.put(BROKER, kept(script, START + 60))
    assert fresh(BROKER, None, logins, lambda _: TLS, script.clock).bearer.reveal() == token()
    assert fresh(BROKER, None, logins, lambda _: TLS, script.clock).bearer.reveal() == token()
    assert len(script.forms("/token")) == 1


@pytest.mark.parametrize("refresh", ["r-1", None])
def test_a_login_that_the_provider_ended_is_forgotten(script: Script, logins: Logins, refresh: str | None) -> None:
    script.token_answers = [pending("invalid_grant")]
    logins.put(BROKER, kept(script, START, refresh))
    with pytest.raises(Unauthenticated, match="your login has ended"):
        fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert logins.get(BROKER) is None


def test_a_provider_that_is_down_ends_no_bearer_early_and_no_login_at_all(script: Script, logins: Logins) -> None:
    script.token_answers = [(503, b"")]
    logins.put(BROKER, kept(script, START + 30))
    assert fresh(BROKER, None, logins, lambda _: TLS, script.clock).bearer.reveal() == "old"
    script.now += 31
    with pytest.raises(Unreachable):
        fresh(BROKER, None, logins, lambda _: TLS, script.clock)
    assert logins.get(BROKER) is not None


def test_signing_out_sends_the_refresh_token_to_be_revoked(script: Script) -> None:
    assert sign_out(kept(script, START), TLS)
    assert script.forms("/revoke") == [{"client_id": "hoopx-cli", "token": "r-1", "token_type_hint": "refresh_token"}]


@pytest.mark.parametrize("trouble", ["no endpoint", "refused", "no refresh token", "gone"])
def test_signing_out_says_when_the_provider_could_not_be_asked(script: Script, trouble: str) -> None:
    script.metadata["revocation_endpoint"] = "" if trouble == "no endpoint" else script.metadata["revocation_endpoint"]
    script.revoke_status = 503 if trouble == "refused" else 200
    script.metadata["issuer"] = "https://gone.example" if trouble == "gone" else script.url
    assert not sign_out(kept(script, START, None if trouble == "no refresh token" else "r-1"), TLS)


def test_signing_out_revokes_the_access_token_too(script: Script) -> None:
    login, _ = script.sign_in()
    assert sign_out(login, TLS)
    assert script.forms("/revoke") == [
        {"client_id": "hoopx-cli", "token": "r-1", "token_type_hint": "refresh_token"},
        {"client_id": "hoopx-cli", "token": token(), "token_type_hint": "access_token"},
    ]


def test_an_id_token_is_not_sent_to_be_revoked(script: Script) -> None:
    script.token_answers = [(200, {"id_token": token("hoopx-cli"), "refresh_token": "r-1"})]
    assert sign_out(script.sign_in()[0], TLS)
    assert [form["token"] for form in script.forms("/revoke")] == ["r-1"]


# --- whose certificate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issuer", "is_pinned"),
    [
        ("https://127.0.0.1:8443/oidc", True),
        ("https://localhost:8443/oidc", True),
        ("https://127.0.0.1:8444/oidc", False),
        ("http://127.0.0.1:8443/oidc", False),
        ("https://login.example.com/oidc", False),
        ("https://127.0.0.1.evil.example:8443/oidc", False),
        ("https://127.0.0.1:x/oidc", False),
    ],
)
def test_the_brokers_certificate_vouches_only_for_an_issuer_at_its_own_address(issuer: str, is_pinned: bool) -> None:
    pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert (issuer_trust("https://127.0.0.1:8443", pinned)(issuer) is pinned) == is_pinned
