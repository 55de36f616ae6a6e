"""Native clients that break the order, speak too early, lie or stay silent: one clean error, and nobody else pays."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import message
from tests.journeys import native
from tests.journeys.stage import CAST, Stage
from tests.unit.wire_stage import packet, query, startup

pytestmark = pytest.mark.usefixtures("tidy")

TARGET, GUARDED = "shop-prod", "payments-prod"
PATIENCE = 60.0
SECRET_TEXT = "SELECT 'spoken too early'"
GSS = packet(messages.GSS_REQUEST_CODE)


class Wire:
    """A client behind TLS that says what it likes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def says(self, *parts: bytes) -> None:
        self._connection.sendall(b"".join(parts))

    def hears(self, wanted: bytes) -> bytes:
        """What comes until `wanted` is in it."""
        heard = b""
        while wanted not in heard:
            more = self._connection.recv(65536)
            assert more, heard
            heard += more
        return heard

    def hears_the_end(self) -> bytes:
        """What comes until the broker closes."""
        heard = b""
        while more := self._connection.recv(65536):
            heard += more
        return heard


def plain(stage: Stage) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(stage.url).port or 0), PATIENCE)


@contextmanager
def secured(stage: Stage) -> Iterator[Wire]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with plain(stage) as connection, context.wrap_socket(connection) as tls:
        yield Wire(tls)


def password(stage: Stage) -> bytes:
    return message(frames.PASSWORD, stage.mint.token("ann", CAST["ann"]).encode() + b"\0")


def login(stage: Stage, wire: Wire, target: str = TARGET, **parameters: str) -> None:
    wire.says(startup(user="ann", database=target, **parameters))
    wire.hears(b"R\0\0\0\x08\0\0\0\x03")
    wire.says(password(stage))
    wire.hears(messages.AUTHENTICATION_OK)


def refused(said: bytes, code: str) -> None:
    assert said.count(b"SFATAL\0") == 1
    assert b"C" + code.encode() + b"\0" in said


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    "early", [startup(user="dora", database=TARGET), query(SECRET_TEXT), b"p\0\0\0\4", b"\xff" * 20]
)
def test_what_is_said_before_the_session_is_open_ends_it(stage: Stage, early: bytes) -> None:
    """A second StartupMessage among it (CVE-2026-107350 of a pooler)."""
    since, before = stage.postgres.log_position(), stage.minted()
    with secured(stage) as wire:
        login(stage, wire, GUARDED, **{"hoopx.reason": "early"})
        wire.hears(b"this session waits")
        wire.says(early)
        refused(wire.hears_the_end(), "08P01")
    assert "spoken too early" not in stage.postgres.log(since)
    assert stage.minted() <= before


def test_goodbye_while_waiting_is_taken_as_such(stage: Stage) -> None:
    with secured(stage) as wire:
        login(stage, wire, GUARDED, **{"hoopx.reason": "goodbye"})
        wire.hears(b"this session waits")
        wire.says(messages.TERMINATE)
        assert wire.hears_the_end() == b""


def test_a_statement_in_one_write_with_the_password_never_runs(stage: Stage) -> None:
    since = stage.postgres.log_position()
    with secured(stage) as wire:
        wire.says(startup(user="ann", database=TARGET))
        wire.hears(b"R\0\0\0\x08\0\0\0\x03")
        wire.says(password(stage), query(SECRET_TEXT))
        refused(wire.hears_the_end(), "08P01")
    assert "spoken too early" not in stage.postgres.log(since)


@pytest.mark.parametrize("again", [startup(user="dora", database=TARGET), messages.SSL_REQUEST, GSS])
def test_nothing_of_a_start_is_taken_once_statements_flow(stage: Stage, again: bytes) -> None:
    with secured(stage) as wire:
        login(stage, wire)
        wire.hears(b"Z\0\0\0\x05I")
        wire.says(again)
        refused(wire.hears_the_end(), "08P01")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([messages.SSL_REQUEST], "08P01"),
        ([GSS], "08P01"),
        ([startup(user="ann") * 2], "08P01"),
        ([(10_001).to_bytes(4, "big") + bytes(8)], "08P01"),
        ([packet(131_072, b"user\0ann\0\0")], "0A000"),
        ([packet(196_608, b"user\0ann")], "08P01"),
        ([packet(196_608, b"user\0ann\0user\0bob\0\0")], "08P01"),
        ([packet(196_608, b"user\0\xff\0\0")], "08P01"),
        ([startup(user="ann", database=TARGET, replication="database")], "42501"),
    ],
)
def test_a_start_that_lies_hears_one_error(stage: Stage, said: list[bytes], code: str) -> None:
    with secured(stage) as wire:
        for each in said:
            wire.says(each)
        if b"R\0\0\0\x08" in (heard := wire.hears(b"\0")):
            wire.says(password(stage))
            heard = b""
        refused(heard + wire.hears_the_end(), code)


def _says_nothing(connection: socket.socket) -> None:
    pass


def _asks_for_tls(connection: socket.socket) -> None:
    connection.sendall(messages.SSL_REQUEST)


def _begins_a_packet(connection: socket.socket) -> None:
    connection.sendall(messages.SSL_REQUEST[:6])


@pytest.mark.parametrize("behave", [_says_nothing, _asks_for_tls, _begins_a_packet])
def test_three_hundred_who_are_silent_keep_nobody_out(stage: Stage, behave: Callable[[socket.socket], None]) -> None:
    with ExitStack() as crowd:
        for _ in range(120):
            behave(crowd.enter_context(plain(stage)))
        assert stage.listed("ls")
        assert native.psql(stage, TARGET, "SELECT 1").fine().out == "1\n"


def test_silence_behind_tls_keeps_nobody_out_either(stage: Stage) -> None:
    with ExitStack() as crowd:
        for _ in range(120):
            crowd.enter_context(secured(stage)).says(startup(user="ann", database=TARGET))
        assert stage.listed("ls")
        assert native.psql(stage, TARGET, "SELECT 1").fine().out == "1\n"
