"""A denial looks as the server's own error would: same messages, same order, same transaction state."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from hoopx_broker.terms import entries
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.effects import Judge, Passage
from tests.peers.postgres import Postgres
from tests.unit.wire_relay import Relay, allow_all, no_drops, relaying
from tests.unit.wire_stage import (
    bind,
    called,
    close,
    copy_data,
    copy_done,
    describe,
    execute,
    flush,
    parse,
    query,
    sync,
)

LIMIT = 30.0


@pytest.fixture(scope="module")
def relay(postgres: Postgres) -> Iterator[Relay]:
    with relaying(postgres, no_drops) as relay:
        yield relay
    assert relay.broken == []


@contextmanager
def raw(dsn: str) -> Iterator[socket.socket]:
    """The bare connection of a client that has logged in."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        bare = socket.socket(fileno=os.dup(connection.fileno()))
        bare.settimeout(LIMIT)
        with bare:
            yield bare


def dialogue(dsn: str, parts: list[tuple[bytes, int]]) -> list[str]:
    """Say each part, and listen until the server was ready as often as told. Gives types, and states of `Z`."""
    with raw(dsn) as bare:
        heard: list[str] = []
        for said, times in parts:
            bare.sendall(said)
            heard += _listen(bare, times)
        return heard


def _listen(bare: socket.socket, times: int) -> list[str]:
    heard: list[str] = []
    while times:
        head = _exactly(bare, 5)
        body = _exactly(bare, int.from_bytes(head[1:], "big") - 4)
        kind = chr(head[0])
        heard.append(kind + body.decode() if kind == "Z" else kind)
        times -= kind == "Z"
    return heard


def _exactly(bare: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = bare.recv(size - len(data))
        assert more, "the connection was closed"
        data += more
    return data


BROKEN, DENIED = "selec 1", "drop table orders"
FAILS, DENIED_LATER = "select 1/(select count(*) from orders where id < 0)", 'select 1 as "drop table"'


def dialogues(bad: str) -> dict[str, list[tuple[bytes, int]]]:
    one = parse("select 1") + bind() + describe() + execute()
    return {
        "simple": [(query(bad), 1), (query("select 1"), 1)],
        "simple in a transaction": [
            (query("begin"), 1),
            (query(bad), 1),
            (query("select 1"), 1),
            (query("rollback"), 1),
            (query("select 1"), 1),
        ],
        "simple, all at once": [(query("begin") + query(bad) + query("select 1") + query("rollback"), 4)],
        "parse": [(parse(bad) + bind() + describe() + execute() + sync(), 1), (one + sync(), 1)],
        "parse under a name": [(parse(bad, "s") + describe("s", "S") + sync(), 1), (bind("s") + sync(), 1)],
        "parse in the middle": [(one + parse(bad) + bind() + execute() + one + sync() + one + sync(), 2)],
        "parse in a transaction": [
            (query("begin") + one + parse(bad, "s") + one + sync() + one + sync() + query("rollback") + one + sync(), 5)
        ],
        "parse, then a query before the sync": [(one + parse(bad) + query("select 2") + sync() + query("select 3"), 2)],
        "parse, then flush": [(one + flush() + parse(bad) + flush() + one + sync(), 1)],
        "parse over the unnamed statement": [
            (parse("select 7") + sync(), 1),
            (parse(bad) + sync(), 1),
            (bind() + execute() + sync(), 1),
        ],
        "parse over a name": [
            (parse("select 7", "s") + sync(), 1),
            (parse(bad, "s") + sync(), 1),
            (bind("s") + execute() + sync() + close("s") + sync(), 2),
        ],
        "parse in a savepoint": [
            (query("begin; savepoint a") + parse(bad) + sync() + query("rollback to a") + one + sync(), 4),
            (query("commit"), 1),
        ],
        "beside a copy": [
            (query("create temp table c (n int)") + query(bad), 2),
            (query("copy c from stdin") + copy_data(b"1\n") + copy_done(), 1),
            (query(bad) + query("select n from c"), 2),
        ],
    }


@pytest.mark.parametrize("name", dialogues(""))
def test_a_denied_statement_fails_as_one_that_the_server_cannot_read(
    postgres: Postgres, relay: Relay, name: str
) -> None:
    expected = dialogue(postgres.dsn(sslmode="disable"), dialogues(BROKEN)[name])
    assert "E" in expected
    assert dialogue(relay.dsn, dialogues(DENIED)[name]) == expected


@pytest.mark.parametrize("before", [b"", query("begin")], ids=["alone", "in a transaction"])
def test_a_denied_execute_fails_as_one_that_the_server_cannot_run(
    postgres: Postgres, relay: Relay, before: bytes
) -> None:
    def part(bad: str) -> list[tuple[bytes, int]]:
        one = parse("select 1", "one") + bind("one") + execute() + close("one")
        said = one + parse(bad, "s") + bind("s") + execute() + one + sync() + one + sync()
        return [(before + said, 2 + bool(before))]

    expected = dialogue(postgres.dsn(sslmode="disable"), part(FAILS))
    with relaying(postgres, no_running_of_drops) as ours:
        assert dialogue(ours.dsn, part(DENIED_LATER)) == expected
    assert any(isinstance(note, entries.Statement) and note.ruling == "deny" for note in ours.notes)


def no_running_of_drops(asked: Judge) -> Passage | Deny:
    return no_drops(asked) if asked.executes else allow_all(asked)


# What a fake name could do to judging, seen at the real server.


def test_the_server_cuts_names_and_we_refuse_what_it_would_cut(postgres: Postgres) -> None:
    long = "x" * 63
    said = [(parse("select 1", long + "A") + bind(long + "B") + execute() + sync(), 1)]
    assert dialogue(postgres.dsn(sslmode="disable"), said) == ["1", "2", "D", "C", "ZI"]
    with relaying(postgres) as ours:
        with pytest.raises(AssertionError, match="closed"):
            dialogue(ours.dsn, [*said, (b"", 1)])
        assert "longer than" in ours.broken[0]


def test_a_statement_under_a_name_that_could_not_be_redefined_is_judged_as_itself(postgres: Postgres) -> None:
    """The second Parse is skipped after the broken one, so what runs is the first: it must be asked about."""
    asked: list[bytes] = []

    def rule(question: Judge) -> Passage | Deny:
        if question.executes:
            asked.append(question.text)
        return no_drops(question)

    with relaying(postgres, rule) as ours:
        first = parse("select 'first'", "s") + sync()
        second = parse("broken") + parse("select 'second'", "s") + sync() + bind("s") + execute() + sync()
        assert dialogue(ours.dsn, [(first, 1), (second, 2)]) == ["1", "ZI", "E", "ZI", "2", "D", "C", "ZI"]
    assert asked == [b"select 'first'"]


# Function calls by number, which libpq makes for large objects.

LO_CREAT, LOWRITE, NO_SUCH = 957, 955, 1


@pytest.mark.parametrize("function", [LO_CREAT, LOWRITE, NO_SUCH], ids=["that works", "that fails", "that is none"])
def test_a_call_by_number_is_answered_as_by_the_server(postgres: Postgres, relay: Relay, function: int) -> None:
    arguments = [b"-1"] if function == LO_CREAT else [b"99", b"x"]
    one = parse("select 1") + bind() + execute() + sync()
    said = [(query("begin") + called(function, *arguments) + one + query("rollback") + called(function), 5)]
    assert dialogue(relay.dsn, said) == dialogue(postgres.dsn(sslmode="disable"), said)


def test_a_denied_call_by_number_fails_as_one_that_fails_at_the_server(postgres: Postgres) -> None:
    said = [(query("begin") + called(LO_CREAT, b"-1") + query("select 1") + query("rollback"), 4)]
    failing = [(query("begin") + called(LOWRITE, b"99", b"x") + query("select 1") + query("rollback"), 4)]
    with relaying(postgres, no_large_objects) as ours:
        assert dialogue(ours.dsn, said) == dialogue(postgres.dsn(sslmode="disable"), failing)
    texts = [note.text for note in ours.notes if isinstance(note, entries.Statement)]
    assert 'SELECT "pg_catalog"."lo_creat"($1)' in texts


def no_large_objects(asked: Judge) -> Passage | Deny:
    return Deny("no large objects", "no-server-reach") if b"lo_" in asked.text else allow_all(asked)
