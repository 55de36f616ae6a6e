"""Attacks on the gate that other tests of identity leave out; `docs/threats-identity.md` says which test holds what."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hoopx_broker.api.proof import PROOF_TYPE, ProofKey
from hoopx_broker.identity import documents
from hoopx_broker.identity.discovery import read_metadata
from hoopx_broker.identity.documents import fetcher
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.proofs import read_proof
from hoopx_broker.terms.errors import BadInput, Unauthenticated, Unreachable
from hoopx_broker.terms.settings import Claims
from tests.unit.identity_stage import (
    EC_KEY,
    NOW,
    RSA_KEY,
    URL,
    Door,
    Private,
    claims,
    human,
    jwk,
    jwks,
    segment,
    signed,
)
from tests.unit.test_identity_binding import THIEFS, House, play

HONEST = '{"alg":"RS256","kid":"r1"}'
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def refused(door: Door, token: str) -> str:
    with pytest.raises(Unauthenticated, match="this token is not accepted"):
        door.who(token)
    return door.notes[-1]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def written(header: str, body: str, key: Private = RSA_KEY, alg: str = "RS256") -> str:
    """Well signed, whatever the texts are."""
    signing = f"{encoded(header.encode())}.{encoded(body.encode())}"
    return f"{signing}.{encoded(jwt.get_algorithm_by_name(alg).sign(signing.encode(), key))}"


def saying(said: str) -> str:
    """The body of an honest token with something more at its end."""
    return msgspec.json.encode(claims()).decode()[:-1] + f",{said}}}"


# --- one token in another spelling ------------------------------------------------------------------------------


def turned(token: str) -> str:
    """The same token with the other signature that ECDSA has for it: (r, n - s) holds wherever (r, s) does."""
    signing, _, signature = token.rpartition(".")
    r, s = decoded(signature)[:32], int.from_bytes(decoded(signature)[32:], "big")
    return f"{signing}.{encoded(r + (ORDER - s).to_bytes(32, 'big'))}"


def test_a_signature_turned_over_is_a_signature_still() -> None:
    """So no text of a token is its name."""
    assert Door().who(turned(signed(claims(), EC_KEY, "ES256", "e1"))).subject == "u-1"


def test_a_copied_token_in_another_spelling_is_bound_as_the_one_that_was_copied(tmp_path: Path) -> None:
    token = signed(claims(), EC_KEY, "ES256", "e1")

    async def scene(house: House) -> None:
        assert (await house.calls(token)).is_bound
        assert "did not prove" in await house.refuses(turned(token), THIEFS)
        assert "did not prove" in await house.refuses(turned(token), None, "bearer")
        assert (await house.calls(token)).is_bound

    play(tmp_path, scene)


@pytest.mark.parametrize(("key", "alg", "kid"), [(RSA_KEY, "RS256", "r1"), (EC_KEY, "ES256", "e1")])
def test_base64_has_one_spelling(key: Private, alg: str, kid: str) -> None:
    """The last sign of each part has bits that say nothing: they must be zero."""
    parts = signed(claims(), key, alg, kid).split(".")
    for place, part in enumerate(parts):
        others = [part[:-1] + sign for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
        for other in others:
            if other != part:
                refused(Door(), ".".join([*parts[:place], other, *parts[place + 1 :]]))


# --- signatures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(bytes(64), id="zeros"),
        pytest.param(bytes(31) + b"\x01" + bytes(32), id="r is one, s is zero"),
        pytest.param(ORDER.to_bytes(32, "big") * 2, id="the order itself"),
        pytest.param(b"\xff" * 64, id="beyond the order"),
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(63), id="one byte short"),
        pytest.param(bytes(65), id="one byte long"),
    ],
)
def test_a_signature_of_numbers_that_are_none_is_refused(made: bytes) -> None:
    signing = signed(claims(), EC_KEY, "ES256", "e1").rpartition(".")[0]
    assert "signature" in refused(Door(), f"{signing}.{encoded(made)}")


def test_a_signature_in_the_form_of_certificates_is_refused() -> None:
    signing = signed(claims(), EC_KEY, "ES256", "e1").rpartition(".")[0]
    der = EC_KEY.sign(signing.encode(), ec.ECDSA(hashes.SHA256()))
    assert "signature" in refused(Door(), f"{signing}.{encoded(der)}")


@pytest.mark.parametrize("change", [lambda sig: b"\x00" + sig, lambda sig: sig + b"\x00", lambda sig: sig * 2])
def test_a_signature_with_something_around_it_is_refused(change: Callable[[bytes], bytes]) -> None:
    signing, _, signature = signed(claims()).rpartition(".")
    assert "signature" in refused(Door(), f"{signing}.{encoded(change(decoded(signature)))}")


@pytest.mark.parametrize("claimed", ["RS384", "RS512", "PS256", "ES256", "EdDSA"])
def test_a_signature_by_one_algorithm_is_none_by_another(claimed: str) -> None:
    signing = f"{segment({'alg': claimed, 'kid': 'r1'})}.{segment(claims())}"
    signature = jwt.get_algorithm_by_name("RS256").sign(signing.encode(), RSA_KEY)
    refused(Door(), f"{signing}.{encoded(signature)}")


def test_two_issuers_with_one_key_id_have_two_keys() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    theirs = human(issuer="https://b.example.com", jwks=jwks(jwk(other, "e1")))
    for iss, key in ((URL, other), ("https://b.example.com", EC_KEY)):
        assert "signature" in refused(Door(human(), theirs), signed(claims(iss=iss), key, "ES256", "e1"))
    for iss, key in ((URL, EC_KEY), ("https://b.example.com", other)):
        assert Door(human(), theirs).who(signed(claims(iss=iss), key, "ES256", "e1")).issuer == iss


# --- forms within forms -----------------------------------------------------------------------------------------


def test_an_encrypted_token_is_none_that_is_signed() -> None:
    header = segment({"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT"})
    assert "signed token" in refused(Door(), f"{header}.AAAA.AAAA.AAAA.AAAA")
    assert "algorithm" in refused(Door(), f"{header}.{segment(claims())}.AAAA")


def test_a_token_within_a_token_is_not_looked_for() -> None:
    inner = signed(claims())
    outer = written('{"alg":"RS256","kid":"r1","cty":"JWT"}', msgspec.json.encode(inner).decode())
    assert "JSON objects" in refused(Door(), outer)


def test_a_token_in_the_other_form_of_json_is_refused() -> None:
    head, body, signature = signed(claims()).split(".")
    flat = {"payload": body, "protected": head, "signature": signature}
    for whole in (flat, {"payload": body, "signatures": [{"protected": head, "signature": signature}]}):
        refused(Door(), msgspec.json.encode(whole).decode())


@pytest.mark.parametrize("before", ["\ufeff", "\x00", "//\n", "["])
def test_a_body_that_is_not_quite_json_is_refused(before: str) -> None:
    assert "JSON objects" in refused(Door(), written(HONEST, before + msgspec.json.encode(claims()).decode()))


# --- names said twice -------------------------------------------------------------------------------------------


def test_of_a_header_that_says_its_algorithm_twice_the_last_word_counts_for_every_reader() -> None:
    """Two readers look at a header, ours and the library's: RFC 7515 section 4 has them take the last, or refuse."""
    body = msgspec.json.encode(claims()).decode()
    assert "algorithm" in refused(Door(), written('{"alg":"RS256","kid":"r1","alg":"none"}', body))
    assert Door().who(written('{"alg":"none","kid":"r1","alg":"RS256"}', body)).subject == "u-1"
    assert "its key" in refused(Door(), written('{"alg":"RS256","kid":"r1","kid":"r2"}', body))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('"iss":"https://evil.example"', "issuer"),
        ('"aud":"other"', "audience"),
        ('"exp":1', "past its end"),
        ('"nbf":99999999999', "future"),
        ('"email":5', "`email`"),
    ],
)
def test_a_claim_said_twice_is_what_was_said_last(said: str, why: str) -> None:
    assert why in refused(Door(), written(HONEST, saying(said)))


# --- times ------------------------------------------------------------------------------------------------------

GIANT = "1" + "0" * 400


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize(
    "time",
    [GIANT, "-" + GIANT, "1e308", "-1e308", "NaN", "Infinity", "1e309", "253402300800"],
    ids=lambda each: each[:8],
)
def test_a_time_that_no_calendar_has_is_refused(name: str, time: str) -> None:
    refused(Door(), written(HONEST, saying(f'"{name}":{time}')))


def test_a_login_that_is_said_to_begin_in_the_future_makes_no_other_forgotten(tmp_path: Path) -> None:
    """Logins are known by when they began, and old ones forgotten: one issuer must not age those of another."""
    renewed = {"iat": NOW, "auth_time": None}

    async def scene(house: House) -> None:
        await house.calls(signed(claims(auth_time=NOW - 1000)))
        assert "future" in await house.refuses(signed(claims(auth_time=NOW + 100 * 86_400, sub="u-2")), THIEFS)
        assert (await house.calls(signed(claims(**renewed)))).login.began_at == NOW - 1000

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "time", [10**400, -(10**400), 1e308, True, "now", None, [NOW], NOW + 61, NOW - 61], ids=lambda each: str(each)[:8]
)
def test_a_proof_of_such_a_time_is_refused(time: Any) -> None:
    key = ProofKey.create()
    public = jwt.get_unverified_header(key.prove("GET", "https://broker.example.com/", NOW))["jwk"]
    said = {"jti": "a", "htm": "GET", "htu": "https://broker.example.com/", "iat": time}
    proof = key.sign({"typ": PROOF_TYPE, "alg": "ES256", "jwk": public}, said)
    with pytest.raises(NotAccepted):
        read_proof(proof, "GET", lambda _: True, None, NOW)


# --- names that look like others --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("\u0430nn@example.com", id="a Cyrillic a"),
        pytest.param("ANN@example.com", id="capitals"),
        pytest.param("\uff41nn@example.com", id="a full-width a"),
        pytest.param("ann@ex\u0430mple.com", id="in the host"),
    ],
)
def test_a_name_that_looks_like_anothers_is_another_name(other: str) -> None:
    """Nothing is folded, so nobody becomes somebody else by it."""
    seen = Door().who(signed(claims(email=other)))
    assert seen.user == other != "ann@example.com"


@pytest.mark.parametrize("other", ["db\u0430", "DBA", "\uff44ba", "dba\u0301", "d\u0501a"])
def test_a_group_that_looks_like_another_gives_nothing_of_it(other: str) -> None:
    assert "dba" not in Door().who(signed(claims(groups=[other]))).groups


@pytest.mark.parametrize(
    "name", ["an\u00adn", "ann\u2060", "a\u200dnn", "ann\u180e", "\u2066ann\u2069", "ann\ufeff", "ann\u3164"]
)
def test_what_cannot_be_seen_is_in_no_name(name: str) -> None:
    for door, said in ((Door(human(claims=Claims("sub"))), {"sub": name}), (Door(), {"groups": [name]})):
        assert "must not" in refused(door, signed(claims(**said)))


# --- providers that lie -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.53",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "keys.localhost",
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
    ],
)
def test_a_description_sends_nobody_into_this_machine_however_it_is_written(host: str) -> None:
    described = {"issuer": URL, "jwks_uri": f"https://{host}/keys"}
    with pytest.raises(BadInput, match="into this machine"):
        read_metadata(msgspec.json.encode(described), URL)


@pytest.mark.parametrize(
    "host", ["keys.example.com", "localhost.example.com", "10.0.0.7", "[2001:db8::1]", "127.example"]
)
def test_other_places_are_not_taken_for_it(host: str) -> None:
    described = {"issuer": URL, "jwks_uri": f"https://{host}/keys"}
    assert read_metadata(msgspec.json.encode(described), URL).jwks_uri == described["jwks_uri"]


def test_a_provider_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the whole does not."""
    monkeypatch.setattr(documents, "MAX_SECONDS", 0.3)

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(40):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = Thread(target=drip, args=(listening,))
        dripping.start()
        with pytest.raises(Unreachable, match="cannot be had"):
            asyncio.run(_fetched(f"http://127.0.0.1:{listening.getsockname()[1]}/keys"))
        dripping.join()


async def _fetched(url: str) -> bytes:
    return await fetcher(None)(url)
