"""A client that lies in the first bytes, or in any later ones, gets an error or a closed door, and nothing else."""

from __future__ import annotations

import os
import socket
import struct

import psycopg
import pytest

from tests.journeys.stage import Stage, running
from tests.peers import clients

TARGET = "shop-prod"
DSN = r"postgresql://\S+"


# Start-up parameters that would change who one is, what is logged, or how statements are read.
@pytest.mark.parametrize(
    "options",
    [
        "-c role=postgres",
        "-c session_authorization=postgres",
        "-c standard_conforming_strings=off",
        "-c default_transaction_read_only=off",
        "-c search_path=pg_temp,evil",
        "--role=postgres",
        "-c client_encoding=SJIS",
    ],
)
def test_start_up_options_change_nothing_that_matters(stage: Stage, options: str) -> None:
    asked = "SELECT current_user = session_user, current_setting('standard_conforming_strings'), "
    asked += "current_setting('default_transaction_read_only'), current_setting('client_encoding')"
    outcome = stage.hoopx("exec", TARGET, "--", *clients.psql(asked), PGOPTIONS=options)
    assert outcome.code != 0 or outcome.out == "t|on|on|UTF8\n"


def test_a_replication_connection_is_refused(stage: Stage) -> None:
    outcome = stage.exec("shop-fixed", ["psql", "-X", "dbname=app replication=database", "-c", "IDENTIFY_SYSTEM"])
    assert outcome.code != 0
    assert "systemid" not in outcome.out


def test_another_database_of_the_same_server_is_not_reached(stage: Stage) -> None:
    outcome = stage.exec("shop-fixed", ["psql", "-X", "-At", "-d", "postgres", "-c", "SELECT current_database()"])
    assert "postgres" not in outcome.out


def test_the_user_that_a_client_names_is_of_no_consequence(stage: Stage) -> None:
    outcome = stage.exec(TARGET, ["psql", "-X", "-At", "-U", "postgres", "-c", "SELECT current_user"])
    assert outcome.code != 0 or outcome.out.startswith("hoopx_")


def _message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack(">i", len(body) + 4) + body


def _parse(sql: bytes, name: bytes = b"") -> bytes:
    return _message(b"P", name + b"\0" + sql + b"\0" + b"\0\0")


BIND, EXECUTE, SYNC = _message(b"B", b"\0\0\0\0\0\0\0\0"), _message(b"E", b"\0\0\0\0\0"), _message(b"S", b"")

# Bytes of a logged-in client. What is marked must not reach the server, whatever comes back.
LIES = {
    "function call": _message(b"F", struct.pack(">ihhih", 1598, 0, 0, 0, 0)),
    "length of a gigabyte": b"Q" + struct.pack(">i", 1 << 30) + b"DROP TABLE marked\0",
    "negative length": b"Q" + struct.pack(">i", -5) + b"DROP TABLE marked\0",
    "length too small to be": b"Q" + struct.pack(">i", 3) + b"DROP TABLE marked\0",
    "no end of text": _message(b"Q", b"DROP TABLE marked"),
    "two texts in one": _message(b"Q", b"SELECT 1\0DROP TABLE marked\0"),
    "text after an empty one": _message(b"Q", b"\0DROP TABLE marked\0"),
    "not UTF-8": _message(b"Q", b"SELECT '\xff' -- \nDROP TABLE marked\0"),
    "unknown message": _message(b"?", b"DROP TABLE marked\0"),
    "second start-up": struct.pack(">ii", 25, 196608) + b"user\0marked\0\0\0",
    "password out of turn": _message(b"p", b"marked\0"),
    "copy data out of turn": _message(b"d", b"marked\n") + _message(b"c", b"") + SYNC,
    "denied parse, then bind": _parse(b"DROP TABLE orders /* marked */") + BIND + EXECUTE + SYNC,
    "flush between": _parse(b"DROP TABLE orders /* marked */") + _message(b"H", b"") + BIND + EXECUTE + SYNC,
    "name given anew": _parse(b"SELECT 1", b"n")
    + _parse(b"DROP TABLE orders /* marked */", b"n")
    + _message(b"B", b"\0n\0\0\0\0\0\0\0")
    + EXECUTE
    + SYNC,
    "never a sync": (_parse(b"DROP TABLE orders /* marked */") + BIND + EXECUTE) * 50,
    "simple inside extended": _parse(b"SELECT 1") + _message(b"Q", b"DROP TABLE orders /* marked */\0") + SYNC,
}


@pytest.mark.parametrize("name", LIES)
def test_lies_never_reach_the_server(stage: Stage, name: str) -> None:
    with running(stage, "connect", "shop-fixed") as command:
        dsn = command.says(DSN).group(0)
        with psycopg.connect(dsn, autocommit=True) as connection:
            before = stage.postgres.log_position()
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
                wire.settimeout(5)
                wire.sendall(LIES[name])
                _drained(wire)
        assert "marked" not in stage.postgres.log(before)
        with psycopg.connect(dsn) as next_one:
            assert next_one.execute("SELECT 1").fetchone() == (1,)


def test_nobody_is_let_in_before_the_password(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        command.says(DSN)
        port = int(command.out.split("@127.0.0.1:")[1].split("/")[0])
        for first in (
            b"",
            b"\0",
            b"GET / HTTP/1.1\r\n\r\n",
            struct.pack(">ii", 8, 80877103) + b"early",
            b"\xff" * 20_000,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
                wire.sendall(first)
                wire.shutdown(socket.SHUT_WR)
                answer = _drained(wire)
                assert answer[:1] in (b"", b"N", b"E"), answer


def _drained(wire: socket.socket) -> bytes:
    """All that comes until the other side is silent for a moment, or gone."""
    wire.settimeout(1)
    heard = b""
    try:
        while part := wire.recv(65536):
            heard += part
    except (TimeoutError, ConnectionError):
        pass
    return heard
