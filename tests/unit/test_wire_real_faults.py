"""A text that is no statement gets the answer that the server itself gives: code, words, place, state after it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from hoopx_broker.masking.plan import OPEN
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import Unreadable
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.wire.effects import Judge, Passage
from tests.peers.postgres import Postgres
from tests.unit.wire_relay import Relay, relaying

SLIPS = [
    "SELEC 1",
    "SELECT (",
    "SELECT 1; SELEC 2",
    "SELECT 'z\u00e4h \u20ac', SELEC x y z",
    "SELECT 'abc",
    'SELECT "',
    'SELECT ""',
    "SELECT $tag$ never ends",
    "/* never ends",
    "SELECT U&'\\00'",
    "SELECT E'\\u00'",
    "CREATE ROLE public",
    "SELECT sum(a) OVER (ROWS UNBOUNDED FOLLOWING) FROM t",
    "SELECT CAST(1 AS float(0))",
    "INSERT INTO t VALUES (1",
    "DROP TABEL orders",
]


def by_grammar(asked: Judge) -> Passage | Deny:
    reading = read(asked.text)
    if isinstance(reading, Unreadable):
        return Deny(reading.reason, "parse", "", reading.fault)
    return Passage(Allow(("everything",)), OPEN)


@pytest.fixture
def relay(each_postgres: Postgres) -> Iterator[Relay]:
    with relaying(each_postgres, by_grammar) as relay:
        yield relay
    assert relay.broken == []


def told(connection: psycopg.Connection[object], text: str, *, prepare: bool) -> tuple[object, ...]:
    """Code, message, place, detail and hint of the error, and the state of the transaction after it."""
    try:
        connection.execute(text.encode(), prepare=prepare)
    except psycopg.Error as error:
        said = error.diag
        return (
            said.sqlstate,
            said.message_primary,
            said.statement_position,
            said.message_detail,
            said.message_hint,
            connection.info.transaction_status.name,
        )
    return ("no error",)


@pytest.mark.parametrize("text", SLIPS)
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_a_slip_is_told_as_the_server_tells_it(
    each_postgres: Postgres, relay: Relay, text: str, *, prepare: bool
) -> None:
    where = each_postgres.log_position()
    with psycopg.connect(relay.dsn, autocommit=True) as through:
        found = told(through, text, prepare=prepare)
        assert through.execute("SELECT 1").fetchall() == [(1,)]
    assert text not in each_postgres.log(where)
    with psycopg.connect(each_postgres.dsn(), autocommit=True) as direct:
        assert found == told(direct, text, prepare=prepare)


def test_a_slip_fails_its_transaction_as_any_error_does(relay: Relay) -> None:
    with psycopg.connect(relay.dsn) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("SELEC 1")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_ten_thousand_parentheses_are_too_complex_and_nothing_else_suffers(relay: Relay) -> None:
    deep = "SELECT " + "(" * 10_000 + "1" + ")" * 10_000
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.StatementTooComplex) as refused:
            connection.execute(deep.encode())
        assert refused.value.diag.message_detail == "it is nested too deeply"
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
