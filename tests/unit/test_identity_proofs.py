"""Proofs of possession: what binds a token to a key, and every way to do without the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hoopx_broker.api.proof import ProofKey, thumbprint
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.proofs import MAX_SPENT, WINDOW, Proof, Spent, WrongProof, read_proof
from hoopx_broker.terms.secret import Secret
from tests.unit.identity_stage import EC_KEY, ED_KEY, NOW, RSA_KEY, Private, jwk

URL = "https://broker.example.com/v1/whoami"
TOKEN = Secret("t.o.ken")
KEY = ProofKey.create()


def read(raw: str, method: str = "GET", url: str = URL, token: Secret | None = TOKEN, now: float = NOW) -> Proof:
    return read_proof(raw, method, lambda told: told == url, token, now)


def refused(raw: str, **asked: Any) -> str:
    with pytest.raises(NotAccepted) as caught:
        read(raw, **asked)
    return str(caught.value)


def handmade(key: Private = EC_KEY, alg: str = "ES256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A proof by somebody else's library, with a change to None taking a claim away."""
    sound = KEY.prove("GET", URL, NOW, TOKEN)
    claims = jwt.decode(sound, options={"verify_signature": False}) | changes
    said = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(said, key, alg, headers={"typ": "dpop+jwt", "jwk": jwk(key, None)} | (header or {}))


def test_a_proof_names_its_key_and_is_itself_only_once() -> None:
    one, other = (read(KEY.prove("GET", URL, NOW, TOKEN)) for _ in range(2))
    assert one.thumbprint == other.thumbprint == KEY.thumbprint
    assert one.id != other.id


def test_a_key_is_kept_and_found_again_and_shows_nothing_of_itself() -> None:
    kept = KEY.keep()
    again = ProofKey.load(kept)
    assert again.thumbprint == KEY.thumbprint
    assert read(again.prove("GET", URL, NOW, TOKEN)).thumbprint == KEY.thumbprint
    assert kept.reveal() not in repr(again) + repr(kept) + again.prove("GET", URL, NOW, TOKEN)


def test_the_example_of_rfc_7638_has_its_thumbprint() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQv"
        "RL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnq"
        "DKgw"
    )
    key = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_query_and_fragment_are_no_part_of_where_a_proof_is_for() -> None:
    read(KEY.prove("GET", URL + "?wait=5#x", NOW, TOKEN))


@pytest.mark.parametrize(("key", "alg"), [(EC_KEY, "ES256"), (ED_KEY, "EdDSA"), (RSA_KEY, "RS256"), (RSA_KEY, "PS256")])
def test_keys_of_every_sound_sort_are_taken(key: Private, alg: str) -> None:
    assert read(handmade(key, alg)).thumbprint == thumbprint(jwk(key, None))


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (lambda: KEY.prove("POST", URL, NOW, TOKEN), "another method"),
        (lambda: KEY.prove("get", URL, NOW, TOKEN), "another method"),
        (lambda: KEY.prove("GET", URL + "/", NOW, TOKEN), "is for"),
        (lambda: KEY.prove("GET", URL.replace("broker", "evil"), NOW, TOKEN), "is for"),
        (lambda: KEY.prove("GET", URL.replace("https", "http"), NOW, TOKEN), "is for"),
        (lambda: KEY.prove("GET", URL, NOW, Secret("another")), "another token"),
        (lambda: KEY.prove("GET", URL, NOW), "another token"),
        (lambda: KEY.prove("GET", URL, NOW - WINDOW - 1, TOKEN), "behind"),
        (lambda: KEY.prove("GET", URL, NOW + WINDOW + 2, TOKEN), "ahead"),
        (lambda: handmade(htu=None), "is for"),
        (lambda: handmade(htu=["https://broker.example.com/v1/whoami"]), "is for"),
        (lambda: handmade(jti=None), "no id"),
        (lambda: handmade(jti=""), "no id"),
        (lambda: handmade(jti="j" * 200), "no id"),
        (lambda: handmade(jti=7), "no id"),
        (lambda: handmade(iat=None), "no time"),
        (lambda: handmade(iat=True), "no time"),
        (lambda: handmade(iat=str(NOW)), "no time"),
        (lambda: handmade(ath=None), "another token"),
        (lambda: handmade(header={"typ": "JWT"}), "of type"),
        (lambda: handmade(header={"typ": "at+jwt"}), "of type"),
        (lambda: handmade(header={"jwk": None}), "no usable public key"),
        (lambda: handmade(header={"jwk": "e30"}), "no usable public key"),
        (lambda: handmade(header={"jwk": jwk(ED_KEY, None)}), "does not fit"),
        (lambda: handmade(header={"jwk": jwk(ec.generate_private_key(ec.SECP256R1()), None)}), "signature"),
        (lambda: handmade(header={"jwk": jwk(EC_KEY, None) | {"d": "AQAB"}}), "no usable public key"),
        (lambda: handmade(header={"jwk": {"kty": "oct", "k": "c2VjcmV0"}}), "no usable public key"),
        (lambda: handmade(header={"jwk": jwk(EC_KEY, None) | {"use": "enc"}}), "no usable public key"),
        (lambda: handmade(header={"crit": ["b64"]}), "extensions"),
        (lambda: handmade(header={"x": "y" * 5000}), "too long"),
        (lambda: "", "signed token"),
        (lambda: "a.b", "signed token"),
    ],
)
def test_a_proof_that_proves_something_else_is_refused(proof: Callable[[], str], why: str) -> None:
    assert why in refused(proof())


def test_a_short_rsa_key_proves_nothing() -> None:
    short = jwk(rsa.generate_private_key(65537, 1024), None)
    assert "no usable public key" in refused(handmade(RSA_KEY, "RS256", {"jwk": short}))


def test_a_proof_without_a_signature_is_refused() -> None:
    head, body, _ = KEY.prove("GET", URL, NOW, TOKEN).split(".")
    assert "signature" in refused(f"{head}.{body}.")
    none = KEY.sign({"typ": "dpop+jwt", "alg": "none", "jwk": jwk(EC_KEY, None)}, {"htm": "GET"})
    assert "algorithm" in refused(none)


def test_a_secret_of_both_is_no_proof() -> None:
    public = jwk(EC_KEY, None)["x"]
    forged = jwt.encode({"htm": "GET"}, public, "HS256", headers={"typ": "dpop+jwt", "jwk": jwk(EC_KEY, None)})
    assert "algorithm" in refused(forged)


@pytest.mark.parametrize("off", [-WINDOW, 0, WINDOW])
def test_clocks_may_differ_within_a_window(off: float) -> None:
    read(KEY.prove("GET", URL, NOW + off, TOKEN))


def test_whoever_has_a_wrong_clock_is_told_by_how_much() -> None:
    with pytest.raises(WrongProof) as caught:
        read(KEY.prove("GET", URL, NOW - 300, TOKEN))
    assert "300 seconds behind" in str(caught.value)
    assert "clock" in caught.value.hint


# Each serves once.


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def proof(id_: str, key: str = "k") -> Proof:
    return Proof(key, id_, NOW)


def test_a_proof_serves_once() -> None:
    spent = Spent(Clock())
    spent.spend(proof("a"))
    spent.spend(proof("b"))
    spent.spend(proof("a", "another key"))
    with pytest.raises(NotAccepted, match="used before"):
        spent.spend(proof("a"))


def test_it_is_remembered_for_as_long_as_it_could_be_sent_again() -> None:
    clock = Clock()
    spent = Spent(clock)
    early = KEY.prove("GET", URL, NOW + WINDOW, TOKEN)  # by a clock that is ahead
    spent.spend(read(early))
    clock.now += 2 * WINDOW - 1
    again = read(early, now=clock.now)
    with pytest.raises(NotAccepted, match="used before"):
        spent.spend(again)
    clock.now += 2
    with pytest.raises(NotAccepted, match="behind"):
        read(early, now=clock.now)


def test_one_key_cannot_fill_the_memory_of_all() -> None:
    clock = Clock()
    spent = Spent(clock)
    for number in range(MAX_SPENT):
        spent.spend(proof(str(number)))
    with pytest.raises(NotAccepted, match="remembered"):
        spent.spend(proof("one more"))
    spent.spend(proof("somebody else's", "another key"))
    clock.now += 2 * WINDOW + 1
    spent.spend(proof("one more"))


def test_keys_that_fall_silent_are_forgotten() -> None:
    clock = Clock()
    spent = Spent(clock)
    for number in range(500):
        spent.spend(proof("a", f"key {number}"))
    clock.now += 2 * WINDOW + 1
    spent.spend(proof("a", "a new one"))
    assert len(spent) == 1
