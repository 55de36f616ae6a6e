"""Credentials live exactly as long as their session, whatever kills whom."""

from __future__ import annotations

import signal

from tests.journeys.stage import Stage, running
from tests.peers import clients
from tests.peers.processes import eventually

TARGET = "shop-prod"


def test_the_minted_role_exists_during_the_session_and_is_gone_after(stage: Stage) -> None:
    seen = stage.psql(TARGET, "SELECT current_user").fine().out.strip()
    assert seen.startswith("hoopx_")
    assert seen not in stage.postgres.roles()
    stage.nothing_remains()


def test_each_session_gets_a_role_of_its_own_and_a_time_to_end(stage: Stage) -> None:
    bounded = "rolvaliduntil BETWEEN now() AND now() + '1 hour'"
    asked = f"SELECT current_user, {bounded} FROM pg_roles WHERE rolname = current_user"
    first, second = (stage.psql(TARGET, asked).fine().out.strip().split("|") for _ in range(2))
    assert first[0] != second[0]
    assert first[1] == second[1] == "t"


def test_no_password_is_ever_in_the_servers_log(stage: Stage) -> None:
    before = stage.postgres.log_position()
    password = stage.exec(TARGET, ["sh", "-c", "psql -XAtc 'SELECT 1' >&2; echo $PGPASSWORD"]).fine().out.strip()
    heard = stage.postgres.log(before)
    assert password
    assert password not in heard
    for line in heard.splitlines():
        assert "PASSWORD" not in line or "SCRAM-SHA-256$" in line


def test_a_killed_command_leaves_no_role_and_no_backend(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT pg_backend_pid()")) as command:
        command.says(r"\d+\n")
        eventually(own_stage.minted, "a role was minted")
        command.send(signal.SIGKILL)
        own_stage.nothing_remains()


def test_a_killed_broker_revokes_at_its_next_start(own_stage: Stage) -> None:
    with running(
        own_stage,
        "exec",
        TARGET,
        "--",
        *clients.psql("SELECT 1", "SELECT count(*) FROM orders a, orders b, orders c, orders d"),
    ) as command:
        command.says(r"1\n")
        left = eventually(own_stage.minted, "a role was minted")
        own_stage.kill_broker()
        assert command.end().code != 0
        assert own_stage.minted() == left
        own_stage.start_broker()
        own_stage.nothing_remains()
    [session] = own_stage.listed("sessions", "ls")
    assert session["state"] == "unfinished"


def test_a_second_broker_finishes_what_a_killed_one_left(own_stage: Stage) -> None:
    with (
        own_stage.standby_broker() as standby,
        running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT 1")) as command,
    ):
        command.says(r"1\n")
        eventually(own_stage.minted, "a role was minted")
        assert standby.poll() is None
        own_stage.kill_broker()
        own_stage.nothing_remains()
        assert command.end().code != 0


def test_a_stopped_broker_ends_its_sessions_and_stops_cleanly(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT 1")) as command:
        command.says(r"1\n")
        assert own_stage.stop_broker() == 0
        assert command.end().code != 0
    own_stage.nothing_remains()


def test_a_revocation_that_fails_is_tried_again_until_it_works(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT 1")) as command:
        command.says(r"1\n")
        own_stage.postgres.stop()
        command.end(signal.SIGTERM)
    own_stage.postgres.start()
    own_stage.nothing_remains()


def test_ended_by_an_administrator_the_session_is_cut_at_once(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT 1")) as command:
        command.says(r"1\n")
        [session] = own_stage.listed("sessions", "ls")
        own_stage.hoopx("sessions", "kill", session["id"]).fine()
        assert command.end().code != 0
    own_stage.nothing_remains()
