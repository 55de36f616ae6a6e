"""`connect` and `exec` against a broker's double: the child is left alone, and whatever happens the session ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.api.messages import Ended, Event, Refusal, Waiting
from tests.peers.processes import eventually
from tests.unit.cli_broker_double import ROW, opened
from tests.unit.cli_stage import HOOPX, Stage, stage_in

WAITING = Waiting("r_1234567890", {"dba": 1}, ("sensitive",), "one \x1b[31mdba must agree", 4_000_000_000)


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


def _ended(stage: Stage) -> None:
    """The laptop said goodbye and nothing is left open."""
    eventually(lambda: not stage.double.live, "every connection to the broker is closed")


def _first_lines(process: subprocess.Popen[str], count: int = 2) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


# exec


def test_a_child_speaks_to_its_target(stage: Stage) -> None:
    done = stage.run("exec", "prod-db", "--", "psql", "-Atc", "select 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "select 1\n", "")
    assert stage.double.hangups == 1
    _ended(stage)


def test_arguments_reach_the_child_as_they_are(stage: Stage) -> None:
    odd = ["--", "-o", "json", "--help", "a b", "", "$HOME", "*", "é"]
    done = stage.run("exec", "prod-db", "--", "printf", "%s\\n", *odd)
    assert done.stdout.splitlines() == odd


def test_the_order_says_what_was_asked(stage: Stage) -> None:
    options = ["--reason", "ticket 42", "--ticket", "T-42", "--for", "1h30m", "--wait", "2m", "--request", "r_1"]
    stage.run("exec", "prod-db", *options, "--", "true")
    [order] = stage.double.orders
    assert (order.reason, order.ticket, order.duration, order.wait, order.request) == (
        "ticket 42",
        "T-42",
        5400,
        120,
        "r_1",
    )


@pytest.mark.parametrize("code", [0, 1, 2, 10, 14, 255])
def test_the_childs_own_code_is_returned(stage: Stage, code: int) -> None:
    assert stage.run("exec", "prod-db", "--", "sh", "-c", f"exit {code}").returncode == code


def test_a_command_that_cannot_be_run_is_told_as_a_shell_tells_it(stage: Stage, tmp_path: Path) -> None:
    """What can be seen not to run is told before anybody is asked for anything."""
    (tmp_path / "plain").write_text("not a program")
    (tmp_path / "strange").write_bytes(b"\x7fELF of no machine")
    (tmp_path / "strange").chmod(0o700)
    assert stage.run("exec", "prod-db", "--", "no-such-command").returncode == 127
    assert stage.run("connect", "prod-db", "--", "").returncode == 127
    assert stage.run("connect", "prod-db", "--", str(tmp_path / "plain")).returncode == 126
    assert stage.run("agent", "--as", "claude", "--", "no-such-command").returncode == 127
    assert stage.run("exec", "prod-db", "--", str(tmp_path)).returncode == 126
    assert stage.double.orders == []
    assert stage.run("exec", "prod-db", "--", str(tmp_path / "strange")).returncode == 126
    assert stage.double.hangups == 1


def test_the_environment_leads_to_the_target_and_nowhere_else(stage: Stage) -> None:
    astray = {
        "PGSERVICE": "x",
        "PGHOSTADDR": "192.0.2.1",
        "PGPASSFILE": "/x",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "none",
        "PGGSSENCMODE": "require",
        "PGSSLMODE": "verify-full",
        "PGTARGETSESSIONATTRS": "standby",
        "DATABASE_URL": "postgresql://elsewhere",
        "PGOPTIONS": "-c x=y",
    }
    done = stage.run("exec", "prod-db", "--", "env", **astray)
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert seen["PGHOST"] == "127.0.0.1"
    assert seen["PGSSLMODE"] == "disable"
    assert seen["PGOPTIONS"] == "-c x=y"
    assert seen["DATABASE_URL"] == seen["PROD_DB_DATABASE_URL"]
    assert not {"PGSERVICE", "PGHOSTADDR", "PGPASSFILE", "PGCHANNELBINDING", "PGREQUIREAUTH"} & seen.keys()
    assert not {"PGGSSENCMODE", "PGTARGETSESSIONATTRS", "HOOPX_TOKEN"} & seen.keys()
    assert stage.run("exec", "prod-db", "--", "psql", "-Atc", "hello", **astray).stdout == "hello\n"


def test_a_child_gets_nothing_by_which_it_could_be_the_program_that_started_it(stage: Stage) -> None:
    """HOOPX_TOKEN wins here; what else is there is no business of the child's either."""
    credentials = {f"HOOPX_CLIENT_{name}": "x" for name in ("ID", "KEY", "SECRET")}
    done = stage.run("exec", "prod-db", "--", "env", **credentials)
    assert done.returncode == 0
    assert "HOOPX_CLIENT_" not in done.stdout


def test_several_targets_have_a_variable_each_and_none_is_the_default(stage: Stage) -> None:
    done = stage.run("exec", "prod-db", "1-stage", "--", "env", PGHOST="elsewhere")
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {name for name in seen if name.endswith("DATABASE_URL")} == {
        "PROD_DB_DATABASE_URL",
        "_1_STAGE_DATABASE_URL",
    }
    assert "PGHOST" not in seen
    assert stage.double.hangups == 2


def test_two_targets_of_one_variable_are_refused_before_anything_opens(stage: Stage) -> None:
    assert stage.run("exec", "a-b", "a_b", "--", "true").returncode == 2
    assert stage.run("exec", "a", "a", "--", "true").returncode == 2
    assert stage.double.orders == []


def test_when_the_second_session_is_refused_the_first_is_ended(stage: Stage) -> None:
    stage.double.answers = lambda order: (
        [opened(order.target)] if order.target == "one" else [Refusal("policy says no", "", 10)]
    )
    assert stage.run("exec", "one", "two", "--", "true").returncode == 10
    assert stage.double.hangups == 1
    _ended(stage)


def test_a_session_that_ends_takes_the_child_with_it(stage: Stage) -> None:
    with stage.begun("exec", "prod-db", "--", "sh", "-c", "echo up; exec sleep 600") as process:
        assert _first_lines(process, 1) == ["up"]
        stage.double.end_sessions("killed by dora")
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "killed by dora" in err
    assert out == ""


def test_a_child_that_ignores_the_end_is_killed(stage: Stage) -> None:
    child = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    with stage.begun("exec", "prod-db", "--", "sh", "-c", child) as process:
        _first_lines(process, 1)
        stage.double.end_sessions("over")
        assert process.wait(30) == 128 + signal.SIGKILL


def test_a_broker_that_vanishes_takes_the_child_with_it(stage: Stage) -> None:
    with stage.begun("exec", "prod-db", "--", "sh", "-c", "echo up; exec sleep 600") as process:
        _first_lines(process, 1)
        stage.double.vanish()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "broker was lost" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_the_childs_to_answer(stage: Stage, number: signal.Signals) -> None:
    child = f"trap 'echo got it; exit 9' {number.name.removeprefix('SIG')}; echo up; while :; do sleep 0.05; done"
    with stage.begun("exec", "prod-db", "--", "sh", "-c", child) as process:
        _first_lines(process, 1)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (9, "got it\n")
    assert stage.double.hangups == 1


def test_nohup_stays_nohup(stage: Stage) -> None:
    child = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, flush=True); input()"
    command = ["nohup", HOOPX, "exec", "prod-db", "--", "python3", "-c", child]
    with subprocess.Popen(
        command, env=stage.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert _first_lines(process, 1) == ["True"]
        process.send_signal(signal.SIGHUP)
        process.communicate("go on\n", timeout=30)
    assert process.returncode == 0


def test_a_child_gets_the_terminals_input_byte_for_byte(stage: Stage) -> None:
    said = "one\ntwo\x00three\x1b[A no newline"
    assert stage.run("exec", "prod-db", "--", "cat", stdin=said).stdout == said


def test_an_approval_without_wait_leaves_with_its_request(stage: Stage) -> None:
    stage.double.answers = lambda order: [WAITING]
    done = stage.run("exec", "prod-db", "--", "true")
    assert done.returncode == 12
    assert "hoopx approve r_1234567890" in done.stderr
    assert "--request r_1234567890" in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout == ""


def test_an_approval_that_comes_opens_the_session(stage: Stage) -> None:
    stage.double.answers = lambda order: [WAITING, WAITING, Event("vote", "dora agrees"), opened()]
    done = stage.run("exec", "prod-db", "--wait", "1m", "--", "echo", "inside")
    assert done.stdout == "inside\n"
    assert done.stderr.count("needs approval") == 1
    assert "dora agrees" in done.stderr


@pytest.mark.parametrize(("code", "words"), [(10, "policy"), (11, "token"), (13, "said no"), (15, "lease")])
def test_refusals_leave_with_their_code(stage: Stage, code: int, words: str) -> None:
    stage.double.answers = lambda order: [Refusal(words, "what to do", code)]
    done = stage.run("exec", "prod-db", "--", "true")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"hoopx: {words}\n  what to do\n"


def test_a_token_that_has_expired_is_told_at_the_door(stage: Stage) -> None:
    done = stage.run("exec", "prod-db", "--", "true", HOOPX_TOKEN="expired")
    assert done.returncode == 11
    assert stage.double.orders == []


def test_a_broker_that_ends_instead_of_opening_is_no_success(stage: Stage) -> None:
    stage.double.answers = lambda order: [Ended("no more room")]
    assert stage.run("exec", "prod-db", "--", "true").returncode == 15


def test_a_large_answer_comes_whole(stage: Stage) -> None:
    done = stage.run("exec", "prod-db", "--", "psql", "-Atc", "flood 20000")
    assert len(done.stdout) == 20_000 * (len(ROW) + 1)


# connect


def test_connect_prints_the_ways_in_on_stdout(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        url, line, jdbc, exports = _first_lines(process, 4)
        with psycopg.connect(url) as connection:
            assert connection.info.dbname == "app"
        port = url.partition("127.0.0.1:")[2].partition("/")[0]
        assert jdbc.startswith(f"jdbc:postgresql://127.0.0.1:{port}/app?user=hoopx&password=")
        evaluated = ["sh", "-c", f"{exports}; psql -Atc hello; psql $PROD_DB_DATABASE_URL -Atc again"]
        shell = subprocess.run(evaluated, capture_output=True, text=True, check=True)
        assert shell.stdout == "hello\nagain\n"
        shell = subprocess.run(["sh", "-c", f"{line} -Atc hello"], capture_output=True, text=True, check=True)
        assert shell.stdout == "hello\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "s_0000000000000000" in err
    assert stage.double.hangups == 1
    _ended(stage)


def test_the_psql_line_keeps_the_password_out_of_its_arguments(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        url, line = _first_lines(process)
    password = re.findall(r"hoopx:([^@]+)@", url)[0]
    assert line.startswith(f"PGPASSWORD={password} psql ")
    assert password not in line.split(" psql ", 1)[1]


def test_every_session_has_its_own_password(stage: Stage) -> None:
    urls = []
    for _ in range(2):
        with stage.begun("connect", "prod-db", "-o", "json") as process:
            [line] = _first_lines(process, 1)
            urls.append(json.loads(line))
    assert urls[0]["password"] != urls[1]["password"]
    assert urls[0]["port"] == urls[1]["port"], "the port is remembered"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(urls[1]["url"], connect_timeout=5)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_connect_in_good_order(stage: Stage, number: signal.Signals, code: int) -> None:
    with stage.begun("connect", "prod-db") as process:
        url, _ = _first_lines(process)
        process.send_signal(number)
        assert process.wait(30) == code
    assert stage.double.hangups == 1
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)


def test_a_signal_while_waiting_for_approval_ends_the_wait(stage: Stage) -> None:
    stage.double.answers = lambda order: [WAITING]
    with stage.begun("connect", "prod-db") as process:
        assert process.stderr is not None
        assert "needs approval" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    _ended(stage)


def test_connect_ends_when_the_broker_ends_the_session(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        url, _ = _first_lines(process)
        connection = psycopg.connect(url)
        stage.double.end_sessions("time is up")
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
        connection.close()
    assert "time is up" in err


def test_connect_says_that_the_broker_was_lost(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        _first_lines(process)
        stage.double.vanish()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 14
    assert "lost" in err


def test_a_port_that_is_taken_is_known_before_anything_is_asked(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stage.run("connect", "prod-db", "--port", str(port))
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert stage.double.orders == []


def test_a_socket_file_needs_no_password_and_goes_with_the_session(stage: Stage) -> None:
    path = stage.home / "db.sock"
    with stage.begun("connect", "prod-db", "--socket", str(path)) as process:
        url, line = _first_lines(process)
        with psycopg.connect(url) as connection:
            assert connection.info.host == str(stage.home)
        shell = subprocess.run(["sh", "-c", f"{line} -Atc hello"], capture_output=True, text=True, check=True)
        assert shell.stdout == "hello\n"
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not path.exists()
    assert not list(stage.home.glob(".s.PGSQL*"))


def test_cancel_travels_on_a_stream_of_its_own(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        url, _ = _first_lines(process)
        with psycopg.connect(url) as connection:
            connection.cancel_safe()
    assert stage.double.startups[-1].hex() == "0000001004d2162e000000070000002a"


def test_a_stream_the_broker_does_not_open_is_an_error_in_the_protocol(stage: Stage) -> None:
    stage.double.refuses_streams = True
    with stage.begun("connect", "prod-db") as process:
        url, _ = _first_lines(process)
        with pytest.raises(psycopg.OperationalError, match="it is over"):
            psycopg.connect(url, connect_timeout=5)


def test_the_grant_and_the_token_travel_in_headers_only(stage: Stage) -> None:
    stage.run("exec", "prod-db", "--", "psql", "-Atc", "hello")
    assert set(stage.double.bearers) == {"Bearer a-token", "DPoP a-grant"}


def test_no_secret_is_left_on_the_laptop(stage: Stage) -> None:
    stage.run("exec", "prod-db", "--", "psql", "-Atc", "hello")
    for folder, _, files in os.walk(stage.home / "hoopx"):
        for file in files:
            content = (Path(folder) / file).read_bytes()
            assert b"a-token" not in content
            assert b"a-grant" not in content
