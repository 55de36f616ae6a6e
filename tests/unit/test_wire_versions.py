"""Versions 3.0 and 3.2 of the protocol, towards each side: they differ in the length of a cancel key."""

from __future__ import annotations

import struct

import pytest

from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.beginning import KEY_BYTES, Greeter
from hoopx_broker.wire.postgres.engine import Engine, Phase
from hoopx_broker.wire.postgres.frames import message
from hoopx_broker.wire.postgres.login import Upstream
from tests.unit.wire_stage import NONCE, Stage, authentication, ready, startup

V3_0, V3_1, V3_2, GREASE = 196_608, 196_609, 196_610, 196_608 + 9999
LONG_KEY = bytes(range(KEY_BYTES))
# What servers said to a client that asked for 3.2: PostgreSQL 18.4, which speaks it, and 17.10, which speaks 3.0.
KEY_3_2 = bytes.fromhex("4b00000028000059a41b5105d5099f14d52c11e0812d40f1dcb6b76ebd1a70b2d08af99cf68eb1c2ab")
DOWN_TO_3_0 = bytes.fromhex("760000000c0003000000000000")
KEY_3_0 = bytes.fromhex("4b0000000c0000596652c55925")


def begun(version: int, greeter: Greeter = Greeter.ENGINE, /, **more: str) -> Stage:
    stage = Stage()
    upstream = Upstream(DatabaseLogin("minted", Secret("s3cret")), "app", tls=False)
    stage.engine = Engine(StreamId("t_1"), "prod", upstream, LONG_KEY, NONCE, greeter)
    stage.client_says(startup(version, user="me", **more))
    return stage


def negotiated(version: int, *unknown: str) -> bytes:
    names = b"".join(name.encode() + b"\0" for name in unknown)
    return message(ord("v"), struct.pack("!II", version, len(unknown)) + names)


@pytest.mark.parametrize(
    ("version", "more", "answer"),
    [
        (V3_0, {}, b""),
        (V3_2, {}, b""),
        (V3_1, {}, negotiated(V3_0)),
        (GREASE, {}, negotiated(V3_2)),
        (V3_0, {"_pq_.x": "1"}, negotiated(V3_0, "_pq_.x")),
        (V3_2, {"_pq_.x": "1"}, negotiated(V3_2, "_pq_.x")),
        (GREASE, {"_pq_.y": "", "_pq_.x": "1"}, negotiated(V3_2, "_pq_.y", "_pq_.x")),
    ],
)
def test_a_client_gets_what_it_asks_for_or_hears_what_is_spoken(
    version: int, more: dict[str, str], answer: bytes
) -> None:
    """The version in the answer is the whole one: libpq 18 takes a bare 0 for something before 3.0."""
    stage = begun(version, **more)
    stage.backend_says(authentication(0))
    assert stage.client_heard == answer + authentication(0)


@pytest.mark.parametrize(("asked", "upstream"), [(V3_0, V3_0), (V3_1, V3_0), (V3_2, V3_2), (GREASE, V3_2)])
def test_the_server_is_asked_for_what_the_client_speaks(asked: int, upstream: int) -> None:
    assert begun(asked, **{"_pq_.x": "1"}).backend_heard == startup(upstream, user="minted", database="app")


@pytest.mark.parametrize("asked", [V3_2, GREASE])
def test_in_3_2_the_client_gets_the_whole_key_and_the_server_keeps_its_own(asked: int) -> None:
    stage = begun(asked)
    stage.backend_says(authentication(0))
    stage.client_heard  # noqa: B018 - up to here it was the login
    stage.backend_says(KEY_3_2 + ready())
    assert stage.client_heard == message(ord("K"), LONG_KEY) + ready()
    assert (stage.engine.key, stage.engine.server_key) == (LONG_KEY, KEY_3_2[5:])


@pytest.mark.parametrize("asked", [V3_0, V3_1])
def test_in_3_0_the_client_gets_a_key_of_eight_bytes(asked: int) -> None:
    stage = begun(asked)
    stage.backend_says(authentication(0) + KEY_3_0 + ready())
    assert message(ord("K"), LONG_KEY[:8]) in stage.client_heard
    assert stage.engine.key == LONG_KEY[:8]


def test_a_server_of_3_0_serves_a_client_of_3_2() -> None:
    stage = begun(V3_2)
    stage.backend_says(DOWN_TO_3_0 + authentication(0) + KEY_3_0 + ready())
    assert stage.client_heard == authentication(0) + message(ord("K"), LONG_KEY) + ready()
    assert stage.engine.server_key == KEY_3_0[5:]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (V3_0, negotiated(V3_0)),
        (V3_2, negotiated(V3_2)),
        (V3_2, negotiated(V3_2 + 1)),
        (V3_2, negotiated(131_072)),
        (V3_2, negotiated(V3_0, "_pq_.x")),
        (V3_2, negotiated(V3_0) + negotiated(V3_0)),
        (V3_2, authentication(3) + negotiated(V3_0)),
        (V3_2, message(ord("v"), b"\0\3")),
        (V3_2, message(ord("v"), struct.pack("!II", V3_0, 0) + b"x")),
    ],
)
def test_a_server_that_negotiates_what_nobody_asked_is_broken(asked: int, said: bytes) -> None:
    upstream = Upstream(DatabaseLogin("minted", Secret("s3cret")), "app", tls=True, verified=True)
    stage = Stage(tls=True)
    stage.engine = Engine(StreamId("t_1"), "prod", upstream, LONG_KEY, NONCE)
    stage.client_says(startup(asked, user="me"))
    stage.backend_says(b"S")
    stage.perform(stage.engine.on_tls(None))
    with pytest.raises(BrokenPeer):
        stage.backend_says(said)


@pytest.mark.parametrize(
    ("negotiates", "size", "is_fine"),
    [(b"", 8, True), (b"", 260, True), (b"", 261, False), (b"", 7, False), (b"", 0, False),
     (DOWN_TO_3_0, 8, True), (DOWN_TO_3_0, 9, False), (DOWN_TO_3_0, 36, False)],
)  # fmt: skip
def test_the_key_of_a_server_has_the_length_of_its_version(negotiates: bytes, size: int, is_fine: bool) -> None:
    stage = begun(V3_2)
    stage.backend_says(negotiates + authentication(0))
    said = message(ord("K"), bytes(size))
    if is_fine:
        stage.backend_says(said + ready())
        assert stage.engine.phase is Phase.READY
    else:
        with pytest.raises(BrokenPeer):
            stage.backend_says(said)


@pytest.mark.parametrize("version", [V3_0, V3_2, GREASE])
def test_who_was_greeted_at_the_door_is_not_greeted_again(version: int) -> None:
    stage = begun(version, Greeter.DOOR)
    stage.backend_says(authentication(0) + message(ord("K"), b"realkey!") + ready())
    assert stage.client_heard == message(ord("K"), stage.engine.key) + ready()
