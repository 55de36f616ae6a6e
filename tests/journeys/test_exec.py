"""`hoopx exec`: the child runs as if it had been started by itself, with a session around it."""

from __future__ import annotations

import signal

from tests.journeys.stage import Stage, running
from tests.peers import clients

TARGET = "shop-prod"


def test_psql_reads_through_a_session(stage: Stage) -> None:
    assert stage.psql(TARGET, "SELECT day FROM analytics_daily ORDER BY day LIMIT 1").fine().out == "2026-01-01\n"
    stage.nothing_remains()


def test_stdout_carries_nothing_but_the_childs_output(stage: Stage) -> None:
    assert stage.exec(TARGET, ["printf", "%s", "only this"]).fine().out == "only this"


def test_the_child_finds_its_way_in_the_environment(stage: Stage) -> None:
    script = "import os; [print(name, os.environ[name]) for name in ('PGHOST', 'PGDATABASE', 'DATABASE_URL')]"
    told = dict(line.split(" ", 1) for line in stage.exec(TARGET, clients.python(script)).fine().out.splitlines())
    assert told["PGHOST"] == "127.0.0.1"
    assert told["PGDATABASE"] == "app"
    assert told["DATABASE_URL"].startswith("postgresql://")


def test_the_childs_environment_holds_neither_the_token_nor_a_password_of_the_target(stage: Stage) -> None:
    seen = stage.exec(TARGET, ["env"]).fine().out
    assert "HOOPX_TOKEN" not in seen
    assert stage.postgres.admin_password not in seen
    assert stage.postgres.superuser_password not in seen


def test_settings_that_would_lead_psql_elsewhere_are_taken_away(stage: Stage) -> None:
    astray = {"PGHOSTADDR": "192.0.2.1", "PGSERVICE": "elsewhere", "PGPASSFILE": "/nowhere"}
    outcome = stage.hoopx("exec", TARGET, "--", *clients.psql("SELECT 1"), **astray)
    assert outcome.fine().out == "1\n"


def test_stdin_reaches_the_child_byte_for_byte(stage: Stage) -> None:
    said = "first\nsecond, no newline at the end: \u00e9"
    assert stage.exec(TARGET, ["cat"], stdin=said).fine().out == said


def test_the_end_of_stdin_reaches_the_child(stage: Stage) -> None:
    assert stage.exec(TARGET, ["wc", "-c"]).fine().out.strip() == "0"


def test_psql_reads_its_script_from_stdin(stage: Stage) -> None:
    script = "SELECT count(*) FROM orders;\nSELECT count(*) FROM payments;\n"
    assert stage.exec(TARGET, clients.psql(), stdin=script).fine().out == "400\n400\n"


def test_the_childs_exit_code_is_the_commands(stage: Stage) -> None:
    assert stage.exec(TARGET, ["sh", "-c", "exit 7"]).code == 7
    assert stage.exec(TARGET, ["sh", "-c", "exit 10"]).code == 10


def test_a_child_ended_by_a_signal_is_told_as_shells_tell_it(stage: Stage) -> None:
    assert stage.exec(TARGET, ["sh", "-c", "kill -9 $$"]).code == 128 + signal.SIGKILL


def test_a_command_that_does_not_exist_is_127_as_in_a_shell(stage: Stage) -> None:
    outcome = stage.exec(TARGET, ["no-such-command-here"])
    assert outcome.code == 127
    assert "no-such-command-here" in outcome.err
    stage.nothing_remains()


def test_a_termination_is_passed_on_and_the_child_may_answer_it(stage: Stage) -> None:
    child = "trap 'echo goodbye; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    with running(stage, "exec", TARGET, "--", "sh", "-c", child) as command:
        command.says("up")
        outcome = command.end(signal.SIGTERM)
    assert (outcome.code, outcome.out) == (9, "up\ngoodbye\n")
    stage.nothing_remains()


def test_an_interrupt_is_passed_on(stage: Stage) -> None:
    child = """
        import time
        try:
            print('up', flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            raise SystemExit(5)
    """
    with running(stage, "exec", TARGET, "--", *clients.python(child)) as command:
        command.says("up")
        assert command.end(signal.SIGINT).code == 5


def test_two_targets_are_open_side_by_side(stage: Stage) -> None:
    script = """
        import os, psycopg
        for name in ('SHOP_PROD_DATABASE_URL', 'SHOP_DEV_DATABASE_URL'):
            with psycopg.connect(os.environ[name]) as connection:
                print(connection.execute('SELECT count(*) FROM orders').fetchone()[0])
    """
    outcome = stage.hoopx("exec", "shop-prod", "shop-dev", "--", *clients.python(script))
    assert outcome.fine().out == "400\n400\n"
    stage.nothing_remains()
