"""What must hold when something dies, hangs or does not fit: the broker, its state, the database, a slow reader."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from hoopx_broker.recording.replay import moments
from hoopx_broker.terms.entries import Rows
from tests.journeys.stage import Stage, running
from tests.peers import clients
from tests.peers.clients import HOOPX, Outcome
from tests.peers.processes import eventually

TARGET = "shop-prod"
LIMIT = 4 << 20
ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e"
# A session opens within about a second of its command's start, and the scene below ends a second later. A seed, so
# that a failure can be seen again.
_CHANCE = random.Random(2)
MOMENTS = [_CHANCE.uniform(0.2, 1.6) for _ in range(5)]


def test_a_broker_killed_at_any_moment_leaves_nothing_that_its_next_start_does_not_clear(own_stage: Stage) -> None:
    for moment in MOMENTS:
        with running(own_stage, "exec", TARGET, "--", *clients.psql("SELECT 1"), "-c", "\\! sleep 1") as command:
            time.sleep(moment)
            own_stage.kill_broker()
            own_stage.start_broker()
            command.end()
        own_stage.nothing_remains()
    told = {session["id"]: session["state"] for session in own_stage.listed("sessions", "ls")}
    assert set(told.values()) <= {"ended", "unfinished"}
    recorded = {path.stem for path in (own_stage.home / "recordings").rglob("*.hoopx")}
    assert recorded <= told.keys()
    for session in recorded:
        own_stage.hoopx("sessions", "verify", session).fine()


def test_a_stopping_broker_tells_each_client_why(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.psql(ENDLESS)) as command:
        own_stage.await_on_target(ENDLESS)
        own_stage.broker.send_signal(signal.SIGTERM)
        assert own_stage.stop_broker() == 0  # told twice, it stops as it would have
        outcome = command.end()
    assert outcome.code != 0
    assert "the session is over: the broker stops" in outcome.err
    assert own_stage.minted() == set()


def test_a_stopping_broker_does_not_wait_for_those_who_wait_for_people(own_stage: Stage) -> None:
    with running(own_stage, "exec", "payments-prod", "--reason", "why not", "--wait", "5m", "--", "true") as command:
        command.says("hoopx approve")
        assert own_stage.stop_broker() == 0
        assert command.end().code != 0
    own_stage.start_broker()
    assert [session for session in own_stage.listed("sessions", "ls") if session["state"] == "open"] == []


def test_a_broker_stops_in_time_even_when_the_database_hangs(own_stage: Stage) -> None:
    assert own_stage.postgres.pid is not None
    with running(own_stage, "exec", TARGET, "--", *clients.psql("SELECT 1"), "-c", "\\! sleep 60") as command:
        command.says(r"1\n")
        os.kill(own_stage.postgres.pid, signal.SIGSTOP)
        try:
            assert own_stage.stop_broker() == 0
        finally:
            os.kill(own_stage.postgres.pid, signal.SIGCONT)
        command.end()
    own_stage.start_broker()
    own_stage.nothing_remains()


def test_a_query_whose_client_was_killed_is_cancelled_while_its_session_goes_on(stage: Stage) -> None:
    script = f'timeout -s KILL 3 {clients.psql()[0]} -X -c "{ENDLESS}"; echo gone; sleep 60'
    with running(stage, "exec", TARGET, "--", "sh", "-c", script) as command:
        stage.await_on_target(ENDLESS)
        command.says("gone")
        eventually(lambda: not _running_on(stage), "the query was cancelled")
        assert stage.minted()
        command.end(signal.SIGTERM)
    stage.nothing_remains()


@pytest.mark.parametrize("statement", [ENDLESS, "SELECT pg_sleep(1000)"], ids=["busy", "asleep"])
def test_a_query_of_a_fixed_login_ends_with_its_session(stage: Stage, statement: str) -> None:
    with running(stage, "exec", "shop-fixed", "--", *clients.psql(statement)) as command:
        eventually(lambda: _running_on(stage, statement), "the query runs")
        command.end(signal.SIGTERM)
    eventually(lambda: not _running_on(stage, statement), "the query was cancelled")


def test_a_slow_reader_of_a_huge_answer_fills_nobodys_memory(stage: Stage) -> None:
    script = """
        import psycopg, time
        with psycopg.connect() as connection, connection.cursor() as cursor:
            with cursor.copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT") as copy:
                for _ in range(20000):
                    copy.read()
                print("slow", flush=True)
                time.sleep(60)
    """
    stage.psql(TARGET, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)").fine()  # what warm buffers take
    before = _resident(stage.broker.pid)
    with running(stage, "exec", TARGET, "--", *clients.python(script)) as command:
        command.says("slow")
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'COPY (SELECT repeat%'"
        )
        eventually(lambda: stage.postgres.sql(waiting), "the server waits for its reader")
        assert _resident(stage.broker.pid) - before < 64 * 1024
        command.end(signal.SIGTERM)
    stage.nothing_remains()


def test_a_backend_killed_amid_a_query_is_an_error_to_its_client(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.psql(ENDLESS)) as command:
        own_stage.await_on_target(ENDLESS)
        [(pid, _), *_] = own_stage.minted_streams()
        os.kill(pid, signal.SIGKILL)
        outcome = command.end()
    assert outcome.code != 0
    assert "server closed the connection" in outcome.err or "FATAL" in outcome.err or "lost" in outcome.err


def test_two_brokers_do_not_share_one_state(own_stage: Stage) -> None:
    outcome = _start(own_stage.home)
    assert outcome.code == 2
    assert "another broker" in outcome.err


def _copied(stage: Stage, directory: Path) -> Path:
    """The configuration of a stage elsewhere, without its state."""
    for name in ("hoopx.yaml", "keys.json", "admin-password", "superuser-password"):
        shutil.copy(stage.home / name, directory / name)
    shutil.copytree(stage.home / "policies", directory / "policies")
    return directory


def test_a_state_that_is_none_stops_the_start(stage: Stage, tmp_path: Path) -> None:
    (_copied(stage, tmp_path) / "state.db").write_bytes(b"something else" * 1000)
    outcome = _start(tmp_path)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) <= 2


def test_keys_that_are_none_stop_the_start(stage: Stage, tmp_path: Path) -> None:
    (_copied(stage, tmp_path) / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "evidence.key").write_text("not a key")
    outcome = _start(tmp_path)
    assert outcome.code == 2
    assert "evidence.key" in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2


def test_where_nothing_can_be_recorded_nothing_opens_and_nothing_is_left(stage: Stage, tmp_path: Path) -> None:
    own = Stage(tmp_path / "own", stage.postgres)
    own.start_broker()
    recordings = own.home / "recordings"
    shutil.rmtree(recordings, ignore_errors=True)
    recordings.write_text("a file where a directory was")
    try:
        outcome = own.psql(TARGET, "SELECT 1")
        assert (outcome.code, outcome.out) == (15, "")
        assert "recording" in outcome.err
        own.nothing_remains()
        assert {session["state"] for session in own.listed("sessions", "ls")} <= {"ended"}
    finally:
        own.close()


def test_at_the_level_disk_clients_go_on_and_what_cannot_be_recorded_is_an_error_in_band(
    stage: Stage, tmp_path: Path
) -> None:
    own = Stage(tmp_path / "own", stage.postgres)
    with own.config.open("a") as config:
        config.write("evidence: {durability: disk}\n")
    own.start_broker()
    try:
        assert own.psql(TARGET, "SELECT 'one'", "SELECT 'two'").fine().out.split() == ["one", "two"]
        [session] = own.listed("sessions", "ls")
        own.hoopx("sessions", "verify", str(session["id"])).fine()
        # No file of the broker may grow beyond this, as on a disk that is full.
        resource.prlimit(own.broker.pid, resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
        # Chance, so that nothing is pressed.
        much = (
            "SELECT string_agg(md5(random()::text), '') "
            "FROM generate_series(1, 32) a, generate_series(1, 8000) b GROUP BY b"
        )
        outcome = own.psql(TARGET, "SELECT 'before'", much, "SELECT 'after'")
        assert outcome.code != 0
        assert "could not record this session" in outcome.err
        assert "before" in outcome.out
        assert "after" not in outcome.out
        own.nothing_remains()
    finally:
        own.close()
    path = max((own.home / "recordings").glob("*.hoopx"), key=lambda each: each.stat().st_size)
    with path.open("rb") as file:
        recorded = [entry for _, entry in moments(file)]
    shown = sum(entry.count for entry in recorded if isinstance(entry, Rows))
    assert shown >= len(re.findall(r"[0-9a-f]{1024}", outcome.out))  # what was sent is recorded
    assert path.stat().st_size <= LIMIT


def _start(home: Path) -> Outcome:
    """Try to start a broker that should not start."""
    outcome = clients.run([HOOPX, "broker", "run", "--config", str(home / "hoopx.yaml")], {"HOOPX_HOME": str(home)})
    assert "Traceback" not in outcome.err
    assert "ready" not in outcome.err
    return outcome


def _running_on(stage: Stage, statement: str = ENDLESS) -> bool:
    asked = f"SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '{statement}%'"
    return bool(stage.postgres.sql(asked))


def _resident(pid: int) -> int:
    """Memory in KiB."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("memory is measured where there is /proc")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])
