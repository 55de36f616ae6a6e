"""Whose token is accepted, and every way to be refused."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm
from msgspec import UNSET

from hoopx_broker.identity.verify import Gate, trust
from hoopx_broker.terms.errors import BadInput, ExitCode, Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, OidcIssuer
from tests.unit.identity_stage import (
    EC_KEY,
    ED_KEY,
    NOW,
    RSA_KEY,
    URL,
    Door,
    Private,
    claims,
    human,
    jwk,
    jwks,
    pem,
    segment,
    signed,
    workload,
)


def refused(door: Door, token: str) -> str:
    """The note of the refusal, after a look at what the sender of the token sees."""
    with pytest.raises(Unauthenticated) as refusal:
        door.who(token)
    assert refusal.value.message == "this token is not accepted"
    assert refusal.value.exit_code is ExitCode.LOG_IN_FIRST
    assert refusal.value.__cause__ is None
    assert len(door.notes) == 1
    return door.notes[0]


def test_an_honest_token_names_its_bearer() -> None:
    assert Door().who(signed(claims())) == Principal(
        user="ann@example.com", kind="human", groups=("dba", "developers"), issuer=URL, subject="u-1"
    )


def test_the_end_of_the_token_is_told() -> None:
    assert asyncio.run(Door().gate.who(Secret(signed(claims()))))[1] == NOW + 600


@pytest.mark.parametrize(
    ("key", "alg", "kid"),
    [
        *((RSA_KEY, alg, "r1") for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (EC_KEY, "ES256", "e1"),
        (ED_KEY, "EdDSA", "o1"),
    ],
)
def test_every_asymmetric_algorithm_is_taken(key: Private, alg: str, kid: str) -> None:
    assert Door().who(signed(claims(), key, alg, kid)).user == "ann@example.com"


def test_longer_curves_are_taken() -> None:
    keys = {
        alg: ec.generate_private_key(curve) for alg, curve in (("ES384", ec.SECP384R1()), ("ES512", ec.SECP521R1()))
    }
    door = Door(human(jwks=jwks(*(jwk(key, alg) for alg, key in keys.items()))))
    assert [door.who(signed(claims(), key, alg, alg)).subject for alg, key in keys.items()] == ["u-1", "u-1"]


def test_a_token_without_kid_is_taken_where_only_one_key_can_be_meant() -> None:
    assert Door().who(signed(claims(), kid=None)).subject == "u-1"


def test_a_token_without_kid_is_refused_where_two_keys_could_be_meant() -> None:
    other = rsa.generate_private_key(65537, 2048)
    assert "is not one of" in refused(
        Door(human(jwks=jwks(jwk(RSA_KEY, "a"), jwk(other, "b")))), signed(claims(), kid=None)
    )


# --- algorithms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "ES256K", "RSA1_5", 5, None]
)
def test_a_token_of_no_or_a_symmetric_algorithm_is_refused(alg: object) -> None:
    token = f"{segment({'alg': alg, 'kid': 'r1'})}.{segment(claims())}."
    assert "algorithm" in refused(Door(), token)


def test_the_public_key_as_a_shared_secret_is_refused() -> None:
    public = pem(RSA_KEY).encode()
    signing_input = f"{segment({'alg': 'HS256', 'kid': 'r1', 'typ': 'JWT'})}.{segment(claims())}"
    forged = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing_input.encode(), public)
    token = f"{signing_input}.{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}"
    assert "algorithm" in refused(Door(), token)


def test_a_key_of_another_type_under_the_same_name_is_no_key() -> None:
    assert "its key 'r1'" in refused(Door(), signed(claims(), EC_KEY, "ES256", "r1"))


def test_a_key_tied_to_one_algorithm_checks_no_other() -> None:
    door = Door(human(jwks=jwks(jwk(RSA_KEY, "r1", alg="PS256"))))
    assert door.who(signed(claims(), alg="PS256")).subject == "u-1"
    assert "its key" in refused(door, signed(claims(), alg="RS256"))


# --- keys and signatures --------------------------------------------------------------------------------------


def test_a_token_signed_by_somebody_else_is_refused() -> None:
    thief = rsa.generate_private_key(65537, 2048)
    assert "signature" in refused(Door(), signed(claims(), thief))


def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = signed(claims()).split(".")
    assert "signature" in refused(Door(), f"{head}.{segment(claims(email='root@example.com'))}.{signature}")


def test_a_signature_taken_away_is_refused() -> None:
    head, body, _ = signed(claims()).split(".")
    assert "signature" in refused(Door(), f"{head}.{body}.")


@pytest.mark.parametrize("pad", ["=", "==", "A", "!", "\n", " ", "%00"])
def test_nothing_may_be_appended_to_a_token(pad: str) -> None:
    refused(Door(), signed(claims()) + pad)


def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    thief = rsa.generate_private_key(65537, 2048)
    for header in (
        {"jwk": jwk(thief, "t")},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
    ):
        assert "its key" in refused(Door(), signed(claims(), thief, kid="t", **header))


@pytest.mark.parametrize("kid", ["../../../dev/null", "r1' OR '1'='1", "r1\x00", "https://evil.example/k", ""])
def test_a_key_id_is_a_name_and_nothing_else(kid: str) -> None:
    assert "its key" in refused(Door(), signed(claims(), kid=kid))


@pytest.mark.parametrize("kid", ["k" * 257, 7, ["r1"], {"r1": 1}])
def test_a_key_id_that_is_no_short_text_is_refused(kid: object) -> None:
    head = segment({"alg": "RS256", "kid": kid})
    assert "key id" in refused(Door(), f"{head}.{segment(claims())}.AAAA")


@pytest.mark.parametrize("extension", [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"b64": True}])
def test_extensions_that_we_do_not_know_are_refused(extension: dict[str, Any]) -> None:
    head = segment({"alg": "RS256", "kid": "r1"} | extension)
    assert "extensions" in refused(Door(), f"{head}.{segment(claims())}.AAAA")


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", 4])
def test_a_token_made_for_another_use_is_refused(kind: object) -> None:
    head = segment({"alg": "RS256", "kid": "r1", "typ": kind})
    assert "type" in refused(Door(), f"{head}.{segment(claims())}.AAAA")


def test_an_access_token_by_its_own_type_is_taken() -> None:
    assert Door().who(signed(claims(), typ="at+jwt")).subject == "u-1"


# --- keys that must not prove anything ------------------------------------------------------------------------


def weak_rsa() -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True) | {"kid": "r1"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(weak_rsa(), id="an RSA key of 1024 bits"),
        pytest.param(jwk(RSA_KEY, "r1", use="enc"), id="a key for encryption"),
        pytest.param(jwk(RSA_KEY, "r1", use="login"), id="a key of unknown use"),
        pytest.param(jwk(RSA_KEY, "r1", key_ops=["encrypt"]), id="a key whose operations do not verify"),
        pytest.param(jwk(RSA_KEY, "r1", key_ops="verify"), id="operations that are no list"),
        pytest.param(jwk(RSA_KEY, "r1", alg="HS256"), id="an RSA key said to be symmetric"),
        pytest.param(jwk(RSA_KEY, "r1", alg="ES256"), id="an RSA key said to be on a curve"),
        pytest.param(RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True) | {"kid": "r1"}, id="a key with its private half"),
        pytest.param(jwk(RSA_KEY, "r1", e="AQ"), id="an exponent of one"),
        pytest.param(jwk(RSA_KEY, "r1", n="AA"), id="no modulus"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "r1"}, id="a shared secret"),
        pytest.param({"kty": "RSA", "kid": "r1"}, id="a key without numbers"),
        pytest.param(jwk(EC_KEY, "r1", x="AAAA"), id="a point off the curve"),
        pytest.param(jwk(EC_KEY, "r1", crv="P-384"), id="a point of another curve"),
        pytest.param(jwk(EC_KEY, "r1", crv="secp256k1"), id="a curve not on the list"),
        pytest.param({"kty": ["RSA"], "kid": "r1"}, id="a type that is no text"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "AAAA"}, id="a key agreement curve"),
    ],
)
def test_a_key_set_of_nothing_usable_is_refused_at_the_start(entry: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no usable key"):
        Door(human(jwks=jwks(entry)))


def test_two_keys_of_one_name_are_as_good_as_none() -> None:
    other = rsa.generate_private_key(65537, 2048)
    door = Door(human(jwks=jwks(jwk(RSA_KEY, "r1"), jwk(other, "r1"), jwk(EC_KEY, "e1"))))
    assert "its key" in refused(door, signed(claims()))


@pytest.mark.parametrize(
    "document", [b"", b"[]", b'{"keys": {}}', b'{"keys": [1]}', b"\xff", b'{"keys":' + b"[" * 5000]
)
def test_a_key_set_that_is_none_is_refused_at_the_start(document: bytes) -> None:
    with pytest.raises(BadInput, match="not a JWKS"):
        Door(human(jwks=document))


# --- issuer and audience --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "iss", [URL + "/", URL.upper(), URL + ".evil.example", "http://login.example.com", None, 5, [URL]]
)
def test_an_issuer_is_compared_exactly(iss: object) -> None:
    assert "issuer" in refused(Door(), signed(claims() | {"iss": iss}) if isinstance(iss, str) else raw(iss=iss))


def raw(**changes: Any) -> str:
    """A well-signed token whose claims a library would refuse to write."""
    head, body = segment({"alg": "RS256", "kid": "r1"}), segment(claims() | changes)
    signature = jwt.get_algorithm_by_name("RS256").sign(f"{head}.{body}".encode(), RSA_KEY)
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("aud", [None, "", "other", "hoopx ", "HOOPX", ["other"], {"hoopx": 1}, 5, ["hoopx", 5]])
def test_a_token_for_somebody_else_is_refused(aud: object) -> None:
    assert "audience" in refused(Door(), raw(aud=aud))


def test_our_audience_among_others_is_enough() -> None:
    assert Door().who(signed(claims(aud=["userinfo", "hoopx"]))).subject == "u-1"


def test_an_id_token_made_for_our_client_is_taken() -> None:
    assert Door().who(signed(claims(aud="hoopx-cli", azp="hoopx-cli"))).subject == "u-1"
    assert Door().who(signed(claims(aud=["hoopx-cli"]))).subject == "u-1"


@pytest.mark.parametrize(
    "changes",
    [{"aud": ["hoopx-cli", "other"]}, {"aud": "hoopx-cli", "azp": "other"}, {"aud": "hoopx-cli", "azp": ["hoopx-cli"]}],
)
def test_an_id_token_of_another_client_is_refused(changes: dict[str, Any]) -> None:
    assert "audience" in refused(Door(), raw(**changes))


def test_an_id_token_is_no_login_for_a_workload() -> None:
    door = Door(workload(client_id="hoopx-cli"))
    assert "audience" in refused(door, signed(claims(aud="hoopx-cli")))


def test_one_provider_serves_people_and_jobs_by_audience() -> None:
    door = Door(human(), workload())
    person, job = (door.who(signed(claims(aud=aud))) for aud in ("hoopx", "https://broker.example.com"))
    assert (person.kind, person.user) == ("human", "ann@example.com")
    assert (job.kind, job.user, job.groups) == ("job", "u-1", ())


def test_a_token_that_means_two_entries_means_neither() -> None:
    door = Door(human(), workload())
    assert "not exactly one" in refused(door, signed(claims(aud=["hoopx", "https://broker.example.com"])))


@pytest.mark.parametrize("second", [workload(audience="hoopx"), workload(audience="hoopx-cli"), human()])
def test_two_entries_that_accept_the_same_token_stop_the_start(second: OidcIssuer) -> None:
    with pytest.raises(BadInput, match="two identity entries"):
        Gate([trust(human(), lambda: NOW), trust(second, lambda: NOW)], lambda: NOW, lambda _: None)


def test_the_keys_of_one_issuer_prove_nothing_for_another() -> None:
    other = rsa.generate_private_key(65537, 2048)
    door = Door(human(), human(issuer="https://b.example.com", jwks=jwks(jwk(other, "r1"))))
    assert "signature" in refused(door, signed(claims(iss="https://b.example.com"), RSA_KEY))


# --- time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exp", [NOW, NOW - 1, NOW - 60, 0, -1])
def test_a_token_does_not_outlive_its_end(exp: float) -> None:
    assert "past its end" in refused(Door(), signed(claims(exp=exp)))


def test_a_token_without_an_end_is_refused() -> None:
    assert "no end" in refused(Door(), signed(claims(exp=None)))


@pytest.mark.parametrize("name", ["nbf", "iat", "auth_time"])
def test_clocks_may_differ_by_a_minute_and_no_more(name: str) -> None:
    assert Door().who(signed(claims(**{name: NOW + 60}))).subject == "u-1"
    assert "future" in refused(Door(), signed(claims(**{name: NOW + 61})))


@pytest.mark.parametrize("exp", ["1900000000", True, [1900000000], {}, 1e400])
def test_an_end_that_is_no_time_is_refused(exp: object) -> None:
    refused(Door(), raw(exp=exp))


# --- claims ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "email",
    [
        None,
        "",
        5,
        ["ann@example.com"],
        "a" * 257,
        "ann\n",
        " ann",
        "ann\x1b[2J",
        "ann\u202egnp",
        "an\u200bn",
        "ann\x00",
    ],
)
def test_a_user_without_a_proper_name_is_refused(email: object) -> None:
    assert "`email`" in refused(Door(), raw(email=email))


@pytest.mark.parametrize("verified", [False, "false", 0, None, "no"])
def test_an_address_that_nobody_verified_is_no_name(verified: object) -> None:
    assert "verified" in refused(Door(), raw(email_verified=verified))


@pytest.mark.parametrize("verified", [True, "true"])
def test_a_verified_address_is_a_name(verified: object) -> None:
    assert Door().who(raw(email_verified=verified)).user == "ann@example.com"


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        (["dba", "on call"], ("dba", "on call")),
        (["dba", "dba"], ("dba",)),
        ("dba developers", ("dba", "developers")),
        ("dba, developers,", ("dba", "developers")),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_groups_come_as_a_list_or_as_words(said: object, understood: tuple[str, ...]) -> None:
    assert Door().who(raw(groups=said)).groups == understood


@pytest.mark.parametrize("said", [{"dba": True}, 5, [5], [None], [["dba"]], ["a\nb"], ["g"] * 1001, [""]])
def test_groups_that_are_none_are_refused_rather_than_guessed(said: object) -> None:
    assert "`groups`" in refused(Door(), raw(groups=said))


def test_groups_stay_empty_where_no_claim_is_mapped() -> None:
    assert Door(human(claims=Claims(user="sub"))).who(signed(claims())).groups == ()


def test_a_logout_token_is_no_login() -> None:
    events: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "event" in refused(Door(), signed(claims(aud="hoopx-cli", events=events)))


def test_a_token_bound_to_a_key_is_no_bearer_token() -> None:
    assert "bound" in refused(Door(), signed(claims(cnf={"jkt": "abc"})))


# --- bounds and silence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d.e",
        "e30.e30.",
        "\u00e9.e30.e30",
        "W10.W10.",
        "bnVsbA.bnVsbA.",
        "A" * 16_385,
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refused(Door(), token)


@pytest.mark.parametrize("deep", [b'{"a":' * 4000, b'{"a":' + b"[" * 9000, b'{"exp":' + b"9" * 9000 + b"}"])
def test_a_deep_or_giant_token_is_refused_and_nothing_breaks(deep: bytes) -> None:
    body = base64.urlsafe_b64encode(deep).rstrip(b"=").decode()
    refused(Door(), f"{segment({'alg': 'RS256', 'kid': 'r1'})}.{body}.AAAA")
    refused(Door(), f"{body}.{segment(claims())}.AAAA")


def test_the_note_names_the_reason_without_the_token_and_without_tricks() -> None:
    token = signed(claims(iss="https://evil.example/\n\x1b[2Jtoken accepted: " + "x" * 500))
    note = refused(Door(), token)
    assert token not in note
    assert token.split(".")[1] not in note
    assert note.isprintable()
    assert len(note) < 250


@pytest.mark.parametrize(("said", "person"), [("4711", "4711"), (4711, "4711"), ("Ann Ö", "Ann Ö")])
def test_a_person_behind_accounts_is_whom_the_issuer_names(said: object, person: str) -> None:
    door = Door(human(claims=Claims("email", "groups", "employee")))
    assert door.who(signed(claims(employee=said))).person == person
    assert Door().who(signed(claims(employee=said))).person is UNSET


@pytest.mark.parametrize("said", [None, "", True, 1.5, ["4711"], {"id": 1}, " 4711", "a\u202eb", "x" * 257])
def test_a_token_that_names_no_person_where_each_has_one_is_refused(said: object) -> None:
    door = Door(human(claims=Claims("email", "groups", "employee")))
    assert "employee" in refused(door, raw(employee=said))
