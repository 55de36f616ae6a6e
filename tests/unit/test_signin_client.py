"""Programs that sign in by credentials of their own: what they prove, to whom, and what never leaves them."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import structs

from hoopx_broker.api.messages import About, SignIn
from hoopx_broker.terms.errors import BadInput, ExitCode, Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.client_credentials import ASSERTION_TYPE, Agent, Client, Place, of_environment, place_at
from hoopx_cli.client_key import ClientKey, read_client_key
from hoopx_cli.settings import write_private
from tests.unit.signin_stage import TLS, Script, said, scripted, token

BROKER = "https://broker.example.com:8443"
RSA_KEY = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": RSA_KEY,
}
_WRITERS: dict[str, Any] = {"ES256": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm}


def pem(key: Any) -> bytes:
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return data


def jwk(algorithm: str, **more: object) -> bytes:
    written: dict[str, Any] = json.loads(_WRITERS[algorithm].to_jwk(KEYS[algorithm]))
    return json.dumps(written | more).encode()


@pytest.fixture
def script() -> Iterator[Script]:
    """Here the clock is the world's: pyjwt checks assertions by it."""
    with scripted() as playing:
        playing.now = time.time()
        playing.takes_proofs()
        playing.token_answers = [(200, {"access_token": token(exp=playing.now + 600), "token_type": "DPoP"})]
        yield playing


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.pem"
    write_private(path, pem(KEYS["ES256"]))
    return path


def agent(script: Script, proof: ClientKey | Secret, id_: str = "reviewer-bot") -> Agent:
    return Agent(Client(id_, proof), lambda: Place(script.url, "hoopx"), lambda _: TLS, script.clock)


# --- proving who one is by a key ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["pem", "jwk", "jwk set"])
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_the_assertion_is_one_that_an_issuer_believes(
    script: Script, tmp_path: Path, algorithm: str, form: str
) -> None:
    whole = {"pem": pem(KEYS[algorithm]), "jwk": jwk(algorithm, kid="k1")}
    whole["jwk set"] = b'{"keys": [' + whole["jwk"] + b"]}"
    write_private(tmp_path / "key", whole[form])
    agent(script, read_client_key(tmp_path / "key")).credential()
    [asked] = script.forms("/token")
    assert asked["grant_type"] == "client_credentials"
    assert asked["client_assertion_type"] == ASSERTION_TYPE
    assertion = asked["client_assertion"]
    claims = jwt.decode(assertion, KEYS[algorithm].public_key(), algorithms=[algorithm], audience=script.url)
    assert claims["iss"] == claims["sub"] == "reviewer-bot"
    assert claims["exp"] - claims["iat"] <= 60
    assert len(claims["jti"]) >= 16
    assert jwt.get_unverified_header(assertion).get("kid") == (None if form == "pem" else "k1")


def test_an_assertion_is_for_one_issuer_and_no_other(script: Script, key_file: Path) -> None:
    agent(script, read_client_key(key_file)).credential()
    assert said(script.forms("/token")[0]["client_assertion"])["aud"] == script.url


def test_an_issuer_that_wants_a_nonce_gets_a_new_assertion_with_it(script: Script, key_file: Path) -> None:
    """The first one is spent: an issuer that remembers its `jti` would refuse it."""
    script.nonce = "n-1"
    agent(script, read_client_key(key_file)).credential()
    one, two = (said(form["client_assertion"])["jti"] for form in script.forms("/token"))
    assert one != two


def test_a_token_that_is_bound_is_used_with_its_key_and_another_as_a_bearers(script: Script, key_file: Path) -> None:
    asked = agent(script, read_client_key(key_file))
    assert asked.credential().scheme == "Bearer"
    script.token_answers = [(200, {"access_token": bound(script, "any")})]
    fresh = agent(script, read_client_key(key_file)).credential()
    assert fresh.scheme == "DPoP"
    assert said(fresh.headers("GET", f"{BROKER}/v1/whoami")["DPoP"])["htu"] == f"{BROKER}/v1/whoami"


def bound(script: Script, thumbprint: str) -> str:
    return jwt.encode({"aud": "hoopx", "exp": script.now + 600, "cnf": {"jkt": thumbprint}}, "k" * 32)


def test_the_token_is_asked_for_once_and_again_before_it_ends(script: Script, key_file: Path) -> None:
    asked = agent(script, read_client_key(key_file))
    first = asked.credential()
    assert asked.credential() is first
    script.now += 541
    script.token_answers = [(200, {"access_token": token(exp=script.now + 600)})]
    again = asked.credential()
    assert again is not first
    assert again.key is first.key
    assert len(script.forms("/token")) == 2


# --- proving who one is by a secret -------------------------------------------------------------------------------


def test_a_secret_goes_into_a_header_as_the_standard_writes_it(script: Script) -> None:
    agent(script, Secret("s:e/c%r t"), "report bot:1").credential()
    assert script.authorizations[0] is not None
    scheme, _, pair = script.authorizations[0].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"report%20bot%3A1:s%3Ae%2Fc%25r%20t")
    assert "client_secret" not in script.forms("/token")[0]


def test_an_issuer_that_takes_secrets_only_in_the_form_gets_it_there(script: Script) -> None:
    script.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    agent(script, Secret("s3cret")).credential()
    assert script.forms("/token")[0]["client_secret"] == "s3cret"
    assert script.authorizations == [None]


# --- issuers that refuse or say odd things ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_issuer_that_refuses_is_told_of_without_the_secret(script: Script, status: int) -> None:
    script.token_answers = [(status, {"error": "invalid_client", "error_description": "who\x1b is that"})]
    with pytest.raises(Unauthenticated, match="does not take `reviewer-bot`") as told:
        agent(script, Secret("s3cret")).credential()
    assert told.value.exit_code is ExitCode.LOG_IN_FIRST
    assert "HOOPX_CLIENT_ID" in told.value.hint
    assert "s3cret" not in f"{told.value.message}{told.value.hint}"
    assert told.value.message.isprintable()


@pytest.mark.parametrize(
    "answer", [(200, {}), (200, {"access_token": "opaque"}), (200, b"rubbish"), (500, {}), (200, {"access_token": 5})]
)
def test_an_issuer_that_gives_nothing_usable_is_told_of(script: Script, answer: tuple[int, Any]) -> None:
    script.token_answers = [answer]
    with pytest.raises(Unreachable, match="no token that the broker could check"):
        agent(script, Secret("s3cret")).credential()


# --- the key file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_that_others_can_read_is_not_used(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(BadInput, match="others can read") as told:
        read_client_key(key_file)
    assert "chmod 600" in told.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rubbish",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"kty": "oct", "k": "AAAA", "d": "x"}',
        b'{"kty": "EC", "crv": "P-384", "d": "AAAA"}',
        b'{"kty": "EC", "crv": "P-256", "d": "AA"}',
        b'{"kty": "EC", "crv": "P-256"}',
        b'{"kty": "EC", "crv": "P-256", "d": 5}',
        b'{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}',
        pem(ec.generate_private_key(ec.SECP384R1())),
        RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")),
        b'{"keys": [' + jwk("ES256") + b"," + jwk("EdDSA") + b"]}",
    ],
)
def test_what_is_no_usable_key_is_refused_with_what_would_be(tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "key", content)
    with pytest.raises(BadInput, match="holds no private key") as told:
        read_client_key(tmp_path / "key")
    assert "Ed25519" in told.value.hint


@pytest.mark.parametrize("make", ["nothing", "folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: str) -> None:
    path = tmp_path / "key"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path, 0o600)
    with pytest.raises(BadInput):
        read_client_key(path)


def test_a_key_is_never_shown(key_file: Path) -> None:
    key = read_client_key(key_file)
    assert repr(Client("bot", key)) == "Client(id='bot', proof=<client key>, issuer='', audience='')"
    assert "s3cret" not in repr(Client("bot", Secret("s3cret")))


# --- the environment ----------------------------------------------------------------------------------------------


def test_without_any_of_the_variables_there_is_no_program() -> None:
    assert of_environment({}) is None
    assert of_environment({"HOOPX_CLIENT_ID": "", "HOOPX_CLIENT_SECRET": ""}) is None


@pytest.mark.parametrize(
    "given",
    [
        {"HOOPX_CLIENT_ID": "bot"},
        {"HOOPX_CLIENT_SECRET": "s3cret"},
        {"HOOPX_CLIENT_KEY": "/nonexistent"},
        {"HOOPX_CLIENT_ID": "bot", "HOOPX_CLIENT_KEY": "/nonexistent", "HOOPX_CLIENT_SECRET": "s3cret"},
        {"HOOPX_CLIENT_ID": "bot", "HOOPX_CLIENT_KEY": "/nonexistent"},
    ],
)
def test_half_a_credential_is_none_and_two_are_not_guessed_between(given: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        of_environment(given)


def test_a_whole_one_is_read(key_file: Path) -> None:
    by_key = of_environment({"HOOPX_CLIENT_ID": "bot", "HOOPX_CLIENT_KEY": str(key_file)})
    by_secret = of_environment(
        {"HOOPX_CLIENT_ID": "bot", "HOOPX_CLIENT_SECRET": "s", "HOOPX_ISSUER": "https://i.example"}
    )
    assert by_key is not None
    assert isinstance(by_key.proof, ClientKey)
    assert by_secret is not None
    assert (isinstance(by_secret.proof, Secret), by_secret.issuer) == (True, "https://i.example")


# --- where to ask -------------------------------------------------------------------------------------------------


def about(*issuers: str) -> About:
    return About("1", "key", tuple(SignIn(url, "hoopx-cli", "hoopx-a", ()) for url in issuers))


def test_the_issuer_inside_the_broker_is_asked(key_file: Path) -> None:
    known = about("https://login.example.com", f"{BROKER}/oidc")
    for proof in (read_client_key(key_file), Secret("s")):
        assert place_at(Client("bot", proof), BROKER, known) == Place(f"{BROKER}/oidc", "hoopx-a")


def test_the_issuer_that_the_environment_names_is_asked_instead() -> None:
    named = Client("bot", Secret("s"), issuer="https://i.example", audience="a")
    assert place_at(named, BROKER, about(f"{BROKER}/oidc")) == Place("https://i.example", "a")


def test_a_broker_cannot_send_a_secret_to_another_place(key_file: Path) -> None:
    """It may be no broker at all. An assertion for that place is worth nothing elsewhere, a secret is."""
    evil = about("https://evil.example/oidc")
    with pytest.raises(BadInput, match="does not go on its word") as told:
        place_at(Client("bot", Secret("s")), BROKER, evil)
    assert "HOOPX_ISSUER" in told.value.hint
    assert place_at(Client("bot", read_client_key(key_file)), BROKER, evil).issuer == "https://evil.example/oidc"


def test_a_broker_that_takes_no_programs_is_told_of(key_file: Path) -> None:
    with pytest.raises(BadInput) as told:
        place_at(Client("bot", read_client_key(key_file)), BROKER, about("https://login.example.com"))
    assert "HOOPX_ISSUER" in told.value.hint


def test_a_broker_gets_no_token_for_somebody_elses_service_at_an_issuer_elsewhere() -> None:
    elsewhere = "https://login.example.com"

    def saying(issuer: str, audience: str) -> About:
        return structs.replace(about(issuer), sign_in=(SignIn(issuer, "hoopx-cli", audience, ()),))

    bot = Client("bot", Secret("s"), issuer=elsewhere)
    for audience in ("https://payroll.example.com", "api://payroll", "https://evil.example/" + BROKER):
        with pytest.raises(BadInput, match="need not be its own name") as caught:
            place_at(bot, BROKER, saying(elsewhere, audience))
        assert "HOOPX_AUDIENCE" in str(caught.value.hint)
        assert (
            place_at(structs.replace(bot, audience=audience), BROKER, saying(elsewhere, audience)).audience == audience
        )
    for audience in (BROKER, "hoopx", "hoopx:prod"):
        assert place_at(bot, BROKER, saying(elsewhere, audience)).audience == audience
    inside = f"{BROKER}/oidc"
    assert place_at(Client("bot", Secret("s")), BROKER, saying(inside, "api://shop")).audience == "api://shop"
