"""Unmodified clients wait through an approval that somebody else gives, and go on; whatever differs does not run."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import native
from tests.journeys.stage import Stage, playing, running
from tests.peers import clients, found
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

RULES = """
@id("ledger-needs-a-dba")
@message("the ledger is cut only with a second pair of eyes")
@approvers("dba")
@estimate("rows")
@break_glass("developers")
@review("security")
forbid (principal, action == Action::"delete", resource is Table)
when { resource.name == "ledger" }
unless { context.approvals.contains("dba") };

@id("charging-needs-a-dba")
@approvers("dba")
forbid (principal, action == Action::"call", resource is Function)
when { resource.name == "charge" }
unless { context.approvals.contains("dba") };

@id("incidents-need-a-dba")
@approvers("dba")
@break_glass("developers")
@review("security")
forbid (principal, action == Action::"connect", resource)
when { context.ticket like "INC-*" }
unless { context.approvals.contains("dba") };

@id("anybody-may-ask-for-more-time")
permit (principal, action == Action::"extend", resource);

@id("more-time-needs-a-dba")
@approvers("dba")
forbid (principal, action == Action::"extend", resource)
unless { context.approvals.contains("dba") };
"""
MADE = """
CREATE TABLE ledger (id int PRIMARY KEY, who text);
CREATE VIEW ours AS SELECT id, who FROM ledger WHERE who = 'us';
CREATE TABLE charged (n int);
CREATE FUNCTION charging() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO charged VALUES (1); RETURN 1; END';
CREATE FUNCTION charge() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN charging(); END';
GRANT SELECT, INSERT, DELETE ON ledger, ours, charged TO app_write;
"""
DELETE_BY_HAND = """
import os, sys, psycopg
with psycopg.connect(autocommit=True) as connection:
    print("connected", flush=True)
    try:
        print("gone", connection.execute(sys.argv[1], prepare=len(sys.argv) > 2).rowcount, flush=True)
    except psycopg.Error as error:
        print("refused", error.sqlstate, error, flush=True)
    print("alive", connection.execute("SELECT 1").fetchone()[0], flush=True)
"""


DELETE_BY_ASYNCPG = """
import asyncio, asyncpg
async def main():
    connection = await asyncpg.connect(ssl='require')
    print("gone", await connection.execute("DELETE FROM ledger WHERE id = $1", 7), flush=True)
    await connection.close()
asyncio.run(main())
"""


# Binds and does not run: the server plans what is bound, and runs what says of itself that it is immutable.
BIND_ALONE = """
import os, socket, psycopg
def message(tag, body):
    return tag + (len(body) + 4).to_bytes(4, "big") + body
with psycopg.connect(autocommit=True) as connection:
    connection.pgconn.prepare(b"later", b"SELECT charge()")
    print("prepared", flush=True)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
        wire.sendall(message(b"B", b"open\\0later\\0" + bytes(6)) + message(b"S", b""))
        wire.settimeout(60)
        heard = b""
        while heard[-6:-1] != b"Z\\0\\0\\0\\5":
            heard += wire.recv(65536)
        print(heard, flush=True)
"""


@pytest.fixture(scope="module")
def asking(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found.require("psql")
    stage = Stage(tmp_path_factory.mktemp("waiting"), postgres)
    (stage.home / "policies" / "95-ledger.cedar").write_text(RULES)
    postgres.sql(MADE)
    try:
        with playing(stage):
            yield stage
    finally:
        postgres.sql("DROP TABLE ledger, charged CASCADE; DROP FUNCTION charge(), charging()")


@pytest.fixture(autouse=True)
def rows(asking: Stage) -> None:
    asking.postgres.sql("TRUNCATE ledger; INSERT INTO ledger SELECT n, 'us' FROM generate_series(1, 50) AS n")


def count(stage: Stage) -> int:
    return int(stage.postgres.sql("SELECT count(*) FROM ledger")[0][0])


def waiting(stage: Stage, number: int = 1) -> list[dict[str, Any]]:
    """The requests that wait, once there are so many."""

    def look() -> list[dict[str, Any]]:
        listed = stage.listed("requests", "ls", "--state", "waiting", who="dora")
        return listed if len(listed) >= number else []

    return eventually(look, f"{number} requests wait")


def shown(stage: Stage, request: str, who: str = "dora") -> dict[str, Any]:
    view: dict[str, Any] = json.loads(stage.hoopx("requests", "show", request, "-o", "json", who=who).fine().out)
    return view


def replayed(stage: Stage, session: str) -> str:
    return stage.hoopx("sessions", "replay", session, "--speed", "0", who="olga").fine().out


def test_psql_waits_and_everything_about_it_is_seen_and_recorded(asking: Stage) -> None:
    sql = "DELETE /* only one */ FROM ledger\n\n WHERE id<=5 -- or so"
    with running(
        asking, "exec", "shop-dev", "--reason", "clean up", "--", *clients.psql(sql, "SELECT 'on'")
    ) as command:
        notice = command.says(r"waits for 1 of `dba` until \S+ \S+ UTC: request `(r_\w+)`")
        link = command.says(r"or looks at (https://\S+)").group(1)
        assert link.endswith(f"/requests/{notice.group(1)}")
        assert count(asking) == 50, "it ran before anybody agreed"
        view = shown(asking, notice.group(1))
        assert view["statement"] == sql
        assert view["canonical"] == "DELETE FROM ledger WHERE id <= 5"
        assert (view["reason"], view["link"]) == ("clean up", link)
        assert view["effects"]["tables"] == ["delete public.ledger", "read public.ledger"]
        assert view["effects"].get("rows") is not None, view["effects"]
        asking.hoopx("approve", view["id"], "--yes", "--comment", "as agreed", who="dora").fine()
        ended = command.end().fine()
    assert "on" in ended.out
    assert "`dora` approved request" in ended.err
    assert count(asking) == 45
    told = replayed(asking, view["session"])
    assert "ASKED" in told
    assert "said: as agreed" in told
    assert f"request {view['id']}" in told


@pytest.mark.parametrize("mode", ["simple", "prepared"])
def test_each_client_of_pgbench_waits_for_an_approval_of_its_own(asking: Stage, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "cut.sql"
    script.write_text("SELECT count(*) FROM ledger;\nDELETE FROM ledger WHERE id <= 2;\nSELECT 1;\n")
    bench = clients.pgbench(script, mode, transactions=1, clients=3)
    with running(asking, "exec", "shop-dev", "--", *bench) as command:
        asked = waiting(asking, 3)
        assert len({each["statement"] for each in asked}) == 1, "the same statement, asked for each run of it"
        for each in asked:
            asking.hoopx("approve", each["id"], "--yes", who="dora").fine()
        assert "actually processed: 3/3" in command.end().fine().out
    assert count(asking) == 48
    states = {shown(asking, each["id"])["state"] for each in asked}
    assert states == {"used"}


DRIVERS = {
    "psycopg": (DELETE_BY_HAND, "DELETE FROM ledger WHERE id = 7", "prepared"),
    "asyncpg": (DELETE_BY_ASYNCPG,),
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_drivers_wait_without_any_hoopx_command_and_go_on(asking: Stage, driver: str) -> None:
    with native.running(asking, "shop-dev", clients.python(*DRIVERS[driver])) as client:
        (request,) = waiting(asking)
        asking.hoopx("approve", request["id"], "--yes", who="dora").fine()
        assert re.search(r"gone (DELETE )?1\b", client.end().fine().out)
    assert count(asking) == 49


def test_what_is_bound_is_not_planned_before_people_have_agreed(asking: Stage) -> None:
    with running(asking, "exec", "shop-dev", "--", *clients.python(BIND_ALONE)) as client:  # its socket, without TLS
        (request,) = waiting(asking)
        assert asking.postgres.sql("SELECT count(*)::int FROM charged") == [(0,)]
        asking.hoopx("deny", request["id"], "--yes", who="dora").fine()
        assert "42501" in client.end().fine().out
    assert asking.postgres.sql("SELECT count(*)::int FROM charged") == [(0,)]


def test_a_cancel_request_ends_the_waiting_as_the_server_would(asking: Stage) -> None:
    with native.running(asking, "shop-dev", clients.psql("DELETE FROM ledger WHERE id = 1", "SELECT 'on'")) as client:
        (request,) = waiting(asking)
        client.send(signal.SIGINT)
        ended = client.end()
    assert "canceling statement due to user request" in ended.err
    eventually(lambda: shown(asking, request["id"])["state"] == "cancelled", "nobody is asked any more")
    assert count(asking) == 50


def test_nobody_is_asked_any_more_when_the_client_is_gone(asking: Stage) -> None:
    cut = clients.python(DELETE_BY_HAND, "DELETE FROM ledger WHERE id = 1")
    with native.running(asking, "shop-dev", cut) as client:
        (request,) = waiting(asking)
        client.send(signal.SIGKILL)
        eventually(lambda: shown(asking, request["id"])["state"] == "cancelled", "its request is taken back")
    assert count(asking) == 50


# What changes between the asking and the answer so that the statement would do something else.
CHANGES = {
    "a view shows more": (
        "DELETE FROM ours WHERE id > 40",
        "CREATE OR REPLACE VIEW ours AS SELECT id, who FROM ledger",
        "CREATE OR REPLACE VIEW ours AS SELECT id, who FROM ledger WHERE who = 'us'",
    ),
    "a trigger does more": (
        "DELETE FROM ledger WHERE id = 1",
        "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN TRUNCATE payments; RETURN OLD; END';"
        "CREATE TRIGGER more BEFORE DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION more()",
        "DROP FUNCTION more() CASCADE",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_defined_anew_while_people_decided_does_not_run(asking: Stage, change: str) -> None:
    sql, worse, back = CHANGES[change]
    with native.running(asking, "shop-dev", clients.python(DELETE_BY_HAND, sql)) as client:
        (request,) = waiting(asking)
        asking.postgres.sql(worse)
        try:
            asking.hoopx("approve", request["id"], "--yes", who="dora").fine()
            ended = client.end().fine()
        finally:
            asking.postgres.sql(back)
    assert "refused 42501" in ended.out
    assert "while people decided" in ended.out
    assert "alive 1" in ended.out
    assert count(asking) == 50


def test_a_session_through_broken_glass_waits_for_nobody_and_is_loud_about_it(asking: Stage) -> None:
    cut = clients.psql("DELETE FROM ledger WHERE id = 1", "SELECT 'on'")
    why = ("--reason", "the shop is down", "--ticket", "INC-7")
    ended = asking.hoopx("exec", "shop-dev", *why, "--break-glass", "--", *cut).fine()
    assert "on" in ended.out
    assert ended.err.count("GLASS BROKEN") >= 3, "the session at its opening, its stream, and its statement"
    assert count(asking) == 49
    opened, statement = sorted(asking.listed("requests", "ls", "--review", "open", who="sam"), key=lambda r: r["kind"])
    assert (opened["kind"], statement["kind"]) == ("session", "statement")
    assert {opened["state"], statement["state"]} == {"used"}
    assert statement["statement"] == "DELETE FROM ledger WHERE id = 1"
    told = replayed(asking, statement["session"])
    assert told.count("BROKEN-GLASS") == 2
    assert "GLASS BROKEN" in told
    assert asking.broker_said().count("request.glass_broken") == 2


@pytest.mark.parametrize("way", ["hoopx", "native"])
def test_a_session_goes_on_when_people_agree(asking: Stage, way: str) -> None:
    held = clients.lingering("SELECT 'open'")
    beside = (
        running(asking, "exec", "shop-dev", "--for", "10m", "--", *held)
        if way == "hoopx"
        else native.running(asking, "shop-dev", held)
    )
    with beside as client:
        client.says("open")
        session, *_ = asking.listed("sessions", "ls", "--state", "open")
        asked = asking.listed("request", "shop-dev", "--extend", session["id"], "--for", "30m", "--reason", "not done")
        assert (asked[0]["kind"], asked[0]["state"]) == ("extension", "waiting")
        asking.hoopx("approve", asked[0]["id"], "--yes", who="dora").fine()
        assert shown(asking, asked[0]["id"])["state"] == "used"
        if way == "hoopx":
            client.says("this session goes on until")
        now, *_ = asking.listed("sessions", "ls", "--state", "open")
        assert now["expires_at"] == pytest.approx(session["expires_at"] + 1800)
    assert "EXTENDED" in replayed(asking, session["id"])
    native.end_lingering(asking)


def test_an_approval_is_not_used_up_by_a_session_that_does_not_open(asking: Stage) -> None:
    why = ("--reason", "look", "--ticket", "INC-8")
    (asked,) = asking.listed("request", "asleep", *why)
    asking.hoopx("approve", asked["id"], "--yes", who="dora").fine()
    for _ in range(2):
        assert asking.hoopx("exec", "asleep", "--request", asked["id"], "--", "true").code == 15
        assert shown(asking, asked["id"])["state"] == "approved"
