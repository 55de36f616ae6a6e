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
from tests.peers.clients import psql, run
from tests.peers.postgres import Postgres
from tests.unit.test_wire_real_denials import dialogue, dialogues
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
    "CREATE ROLE public",
    "SELECT sum(a) OVER (ROWS UNBOUNDED FOLLOWING) FROM t",
    "SELECT CAST(1 AS float(0))",
    "INSERT INTO t VALUES (1",
    "DROP TABEL orders",
]
# The rest of what the grammar says by itself. Left out is what servers older than it say in another way.
RARER = [
    "select 1 from from t",
    "select 'é', '日本', '😀' from from t",
    "select 1;\n\tselect 2;\nselec 3; select 4",
    'select "unfinished',
    "select b'1",
    r"SELECT U&'\00'",
    r"SELECT E'\u00'",
    r"select E'日本 \u00'",
    r"select E'\uD800'",
    r"select E'\xff'",
    "select * from a.b.c.d",
    "select (t).a.*.b from t",
    "create user current_user",
    "create table t (a float(99))",
    "create table t (a int references b match partial)",
    "create table p partition of t for values with (modulus 1, modulus 2)",
    "create policy p on t as sometimes",
    "create operator + (leftarg = int);drop operator + (int)",
    "create schema if not exists s create table t ()",
    "alter database other set tablespace",
    "select 1 limit 1, 2",
    "select 1 where (1, 2) overlaps (3)",
    "select sum(1) over (rows between unbounded following and current row)",
    "select unique (select 1)",
    "copy t to program 'x' where a > 1",
    "alter index i alter column 99999 set statistics 1",
    "create publication p for t",
    "create view v as select 1 union select 2 with cascaded",
    "create recursive view v (a) as select 1 with check option",
    "set time zone interval '1' year",
    "insert into t default value",
    "create trigger t after insert on t initially deferred not deferrable execute function f()",
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


@pytest.mark.parametrize("text", RARER)
def test_a_rarer_slip_is_told_so_too(postgres: Postgres, text: str) -> None:
    where = postgres.log_position()
    with relaying(postgres, by_grammar) as relay, psycopg.connect(relay.dsn, autocommit=True) as through:
        found = told(through, text, prepare=False)
    assert text not in postgres.log(where)
    with psycopg.connect(postgres.dsn(), autocommit=True) as direct:
        assert found == told(direct, text, prepare=False)


@pytest.mark.parametrize("name", dialogues(""))
def test_it_fails_in_order_and_leaves_the_state_of_a_real_failure(postgres: Postgres, name: str) -> None:
    said = dialogues("SELECT FROM FROM")[name]
    with relaying(postgres, by_grammar) as relay:
        assert dialogue(relay.dsn, said) == dialogue(postgres.dsn(sslmode="disable"), said)


def test_in_a_failed_transaction_a_slip_is_told_before_the_failure(postgres: Postgres) -> None:
    def say(dsn: str) -> list[tuple[object, ...]]:
        with psycopg.connect(dsn) as connection:
            return [told(connection, text, prepare=False) for text in ("SELECT 1/0", "SELEC 1", "SELECT 1")]

    with relaying(postgres, by_grammar) as relay:
        found = say(relay.dsn)
    assert found == say(postgres.dsn())
    assert [each[0] for each in found] == ["22012", "42601", "25P02"]


def test_psql_points_at_the_place_as_it_does_directly(postgres: Postgres) -> None:
    sql = "SELECT 'naïve',\n       '日本' FORM t"
    with relaying(postgres, by_grammar) as relay:
        seen = [run(psql(sql, options=("-d", dsn))) for dsn in (relay.dsn, postgres.dsn(sslmode="disable"))]
    assert "\nLINE 2:        '日本' FORM t\n                           ^" in seen[0].err
    assert (seen[0].code, seen[0].err) == (seen[1].code, seen[1].err)


def test_only_verbose_errors_tell_who_read_the_text(postgres: Postgres) -> None:
    with relaying(postgres, by_grammar) as relay:
        seen = run(psql("SELEC 1", options=("-d", relay.dsn, "-v", "VERBOSITY=verbose")))
    assert "ERROR:  42601: syntax error" in seen.err
    assert "LOCATION:  hoopx" in seen.err


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
