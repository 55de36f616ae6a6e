"""SCRAM-SHA-256 against the vectors of RFC 7677 and against itself."""

from __future__ import annotations

import gc
from base64 import b64decode
from hashlib import pbkdf2_hmac

import pytest

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import scram
from hoopx_broker.wire.postgres.scram import (
    MAX_ITERATIONS,
    ClientExchange,
    ServerExchange,
    WrongPassword,
    saslprep,
)


def test_the_client_proves_itself_as_rfc_7677_shows() -> None:
    exchange = ClientExchange(Secret("pencil"), b64decode("rOprNGfwEbeRWgbNEkqO"))
    exchange._bare = b"n=user,r=rOprNGfwEbeRWgbNEkqO"
    final = exchange.final(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    exchange.finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def conversation(offered: str, expected: str) -> None:
    client = ClientExchange(Secret(offered), b"c" * 18)
    server = ServerExchange(Secret(expected), b"s" * 18, b"salt")
    client.finish(server.final(client.final(server.first(client.first()))))


@pytest.mark.parametrize("password", ["x", "päßwörd", "a,b=c", "\u00ad\u2168"])
def test_client_and_server_agree_on_a_password(password: str) -> None:
    conversation(password, password)


def test_the_rounds_are_gone_through_once_for_a_password_and_a_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[bytes] = []

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        rounds.append(salt)
        return pbkdf2_hmac(name, password, salt, iterations)

    password, offered = Secret("päßwörd"), [b"salt", b"salt", b"other", b"salt"]
    for salt in offered:
        server = ServerExchange(Secret("päßwörd"), b"s" * 18, salt)
        client = ClientExchange(password, b"c" * 18)
        asked = server.first(client.first())
        monkeypatch.setattr(scram, "pbkdf2_hmac", counted)
        proof = client.final(asked)
        monkeypatch.undo()
        client.finish(server.final(proof))
    assert rounds == [b"salt", b"other", b"salt"]


def test_a_salted_key_is_gone_with_its_password() -> None:
    before = len(scram._last)
    conversation("gone", "gone")
    gc.collect()
    assert len(scram._last) <= before


def test_a_wrong_password_is_refused() -> None:
    with pytest.raises(WrongPassword):
        conversation("guess", "secret")


def test_a_server_that_does_not_know_the_password_is_unmasked() -> None:
    client = ClientExchange(Secret("secret"), b"c" * 18)
    server = ServerExchange(Secret("secret"), b"s" * 18, b"salt")
    server.final(client.final(server.first(client.first())))
    with pytest.raises(BrokenPeer):
        client.finish(b"v=" + b"A" * 44)


@pytest.mark.parametrize("rounds", [b"0", b"-1", b"2147483648", b"%d" % (MAX_ITERATIONS + 1), b"x", b""])
def test_a_server_cannot_keep_the_broker_busy(rounds: bytes) -> None:
    client = ClientExchange(Secret("x"), b"c" * 18)
    nonce = client.first().partition(b"r=")[2]
    with pytest.raises(BrokenPeer):
        client.final(b"r=" + nonce + b"more,s=c2FsdA==,i=" + rounds)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=x",
        b"p=tls-unique,,n=,r=abc",
        b"n,a=me,n=,r=abc",
        b"n,,n=,r=abc,r=abc",
        b"n,,r=" + b"a" * 5000,
    ],
)
def test_a_malformed_first_message_is_one_protocol_error(message: bytes) -> None:
    with pytest.raises(BrokenPeer):
        ServerExchange(Secret("x"), b"s" * 18, b"salt").first(message)


def test_a_client_cannot_change_its_nonce_midway() -> None:
    client = ClientExchange(Secret("x"), b"c" * 18)
    server = ServerExchange(Secret("x"), b"s" * 18, b"salt")
    final = client.final(server.first(client.first()))
    with pytest.raises(BrokenPeer):
        server.final(final.replace(b",r=", b",r=x"))


def test_a_proof_of_the_wrong_length_is_refused() -> None:
    client = ClientExchange(Secret("x"), b"c" * 18)
    server = ServerExchange(Secret("x"), b"s" * 18, b"salt")
    final = client.final(server.first(client.first())).rpartition(b",p=")[0]
    with pytest.raises(WrongPassword):
        server.final(final + b",p=AAAA")


def test_saslprep_maps_what_it_may_and_keeps_what_it_may_not() -> None:
    assert saslprep("a\u00a0b") == "a b"
    assert saslprep("\u2168") == "IX"
    assert saslprep("bad\u0007\u00e4") == "bad\u0007\u00e4"
