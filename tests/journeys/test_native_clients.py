"""`psql "host=broker user=ann dbname=shop-prod"`: PostgreSQL's own clients, without a `hoopx` command on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys import native
from tests.journeys.stage import CAST, Stage
from tests.peers import clients

pytestmark = pytest.mark.usefixtures("tidy")

TARGET = "shop-prod"


def test_psql_reads_what_its_user_may_and_sees_masks(stage: Stage) -> None:
    outcome = native.psql(stage, TARGET, "SELECT count(*) FROM orders", "SELECT email FROM customers LIMIT 1").fine()
    count, email = outcome.out.split()
    assert int(count) > 0
    assert set(email) == {"*"}


def test_a_denied_statement_is_an_error_and_the_connection_lives_on(stage: Stage) -> None:
    since = stage.postgres.log_position()
    outcome = native.psql(stage, TARGET, "DROP TABLE customers", "SELECT 1").fine()
    assert outcome.out == "1\n"
    assert "rule `no-ddl-in-prod` forbids this statement" in outcome.err
    assert "DROP TABLE" not in stage.postgres.log(since)


def test_the_whole_of_it_is_recorded_under_the_name_of_the_token(stage: Stage) -> None:
    options = "-c hoopx.reason=month\\ end -c hoopx.ticket=T-42 -c statement_timeout=7s"
    native.psql(stage, TARGET, "SHOW statement_timeout", who="bob", PGOPTIONS=options).fine()
    [session] = [one for one in stage.listed("sessions", "ls", who="bob") if one["ticket"] == "T-42"]
    assert (session["user"], session["target"], session["reason"]) == ("bob", TARGET, "month end")
    replayed = stage.hoopx("sessions", "replay", session["id"], who="bob").fine().out
    assert "SHOW statement_timeout" in replayed
    assert "7s" in replayed


def test_hoopx_settings_never_reach_the_server(stage: Stage) -> None:
    asked = "SELECT current_setting('hoopx.reason', true) IS NULL"
    assert native.psql(stage, TARGET, asked, PGOPTIONS="-c hoopx.reason=x").fine().out == "t\n"


# Who gets in, and who does not.


def test_a_token_is_good_for_its_own_user_only(stage: Stage) -> None:
    outcomes = [
        native.psql(stage, TARGET, "SELECT 1", who=who, token=stage.mint.token("ann", CAST["ann"]))
        for who in ("bob", "no-such-user")
    ]
    for outcome in outcomes:
        assert outcome.code == 2
        assert "this token is not one of the user that the client names" in outcome.err
    # What is not there is refused in the same words as what is.
    first, second = (outcome.err.partition("FATAL")[2] for outcome in outcomes)
    assert first == second


@pytest.mark.parametrize("wrong", ["expired", "of somebody else", "none at all", "too long"])
def test_a_token_that_does_not_hold_lets_nobody_in(stage: Stage, wrong: str) -> None:
    token = {
        "expired": stage.mint.token("ann", CAST["ann"], lifetime=-10),
        "of somebody else": type(stage.mint)().token("ann", CAST["ann"]),
        "none at all": "secret",
        "too long": "x" * 20_000,
    }[wrong]
    outcome = native.psql(stage, TARGET, "SELECT 1", token=token)
    assert outcome.code == 2
    assert "this token is not accepted" in outcome.err
    assert "hoopx token" in outcome.err
    assert token not in outcome.err


def test_a_target_that_is_not_there_names_the_nearest_that_its_user_may_know(stage: Stage) -> None:
    assert "did you mean `shop-prod`?" in native.psql(stage, "shop-prd", "SELECT 1").err
    stranger = native.psql(stage, "shop-prd", "SELECT 1", who="nobody")
    assert "there is no target `shop-prd`" in stranger.err
    assert "shop-prod" not in stranger.err.replace("shop-prd", "")


@pytest.mark.usefixtures("alone")
def test_who_may_not_open_a_session_hears_which_rule_forbids_it(stage: Stage) -> None:
    script = """
        import psycopg
        try:
            psycopg.connect()
        except psycopg.OperationalError as error:
            print(error)
    """
    before = stage.minted()
    denied = native.run(stage, TARGET, clients.python(script), who="nobody").fine().out
    assert "forbids a session on `shop-prod`" in denied
    assert "DETAIL" in denied
    assert stage.minted() <= before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"PGSSLMODE": "disable"}, "sslmode=require"),
        ({"PGOPTIONS": "-c hoopx.reson=typo"}, "hoopx takes `hoopx.reason` and `hoopx.ticket` here"),
        ({"PGOPTIONS": "-c role=postgres"}, "forbids this statement"),
        ({"PGCLIENTENCODING": "SJIS"}, "can hide ASCII"),
    ],
)
def test_a_start_that_is_refused_says_why(stage: Stage, more: dict[str, str], said: str) -> None:
    outcome = native.psql(stage, TARGET, "SELECT 1", **more)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_database_that_is_down_is_told_as_such(stage: Stage) -> None:
    assert "asleep" in native.psql(stage, "asleep", "SELECT 1").err


# Every kind of client.


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_psycopg_by_either_way_to_tls_and_in_either_version(stage: Stage, negotiation: str, version: str) -> None:
    script = """
        import psycopg, sys
        with psycopg.connect(sslnegotiation=sys.argv[1], max_protocol_version=sys.argv[2]) as connection:
            rows = connection.execute('SELECT id FROM orders WHERE id <= %s ORDER BY 1', [3]).fetchall()
            print(rows, connection.info.full_protocol_version)
    """
    outcome = native.run(stage, TARGET, clients.python(script, negotiation, version)).fine()
    assert outcome.out == f"[(1,), (2,), (3,)] {'30002' if version == '3.2' else '30000'}\n"


def test_psycopg_async_and_asyncpg(stage: Stage) -> None:
    script = """
        import asyncio, asyncpg, psycopg

        async def main():
            async with await psycopg.AsyncConnection.connect() as connection:
                cursor = await connection.execute('SELECT count(*) FROM orders WHERE id <= %s', [5])
                print(await cursor.fetchone())
            connection = await asyncpg.connect(ssl='require')
            print(await connection.fetchval('SELECT count(*) FROM orders WHERE id <= $1', 5))
            await connection.close()

        asyncio.run(main())
    """
    assert native.run(stage, TARGET, clients.python(script)).fine().out == "(5,)\n5\n"


def test_a_start_up_setting_of_a_driver_carries_the_reason(stage: Stage) -> None:
    script = """
        import asyncio, asyncpg

        async def main():
            connection = await asyncpg.connect(ssl='require', server_settings={'hoopx.ticket': 'T-77'})
            print(await connection.fetchval('SELECT 1'))
            await connection.close()

        asyncio.run(main())
    """
    native.run(stage, TARGET, clients.python(script)).fine()
    assert [one for one in stage.listed("sessions", "ls") if one["ticket"] == "T-77"]


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_with_four_clients(stage: Stage, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "bench.sql"
    script.write_text("\\set id random(1, 400)\nSELECT id FROM orders WHERE id = :id;\n")
    outcome = native.run(stage, TARGET, clients.pgbench(script, mode, transactions=25, clients=4)).fine()
    assert "number of transactions actually processed: 100/100" in outcome.out


def test_a_large_answer_passes_whole(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect() as connection:
            rows = connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 20000)").fetchall()
            print(len(rows), sum(len(row[0]) for row in rows))
    """
    assert native.run(stage, TARGET, clients.python(script)).fine().out == "20000 20000000\n"
