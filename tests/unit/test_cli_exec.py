"""`hoopx exec` attacked: times, signals, several targets, half-open sessions, and what its events tell."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.api.messages import Ended, Open, Refusal, Waiting
from tests.golden.cli_json import EVENTS, Printed, Shape, conforms
from tests.peers.processes import bound_to_us, eventually
from tests.unit.cli_broker_double import Said, opened
from tests.unit.cli_stage import HOOPX, Stage, stage_in

WAITING = Waiting(
    "r_1234567890", {"dba": 1}, ("sensitive",), "dba must agree", 4_000_000_000, "https://b/r/r_1234567890"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """One double for all scenes, with its memory cleared."""
    double = shared.double
    eventually(lambda: not double.live, "the scene before is over")
    double.answers = lambda order: [opened(order.target)]
    double.orders.clear()
    double.hangups = 0
    return shared


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


# Time


def test_a_command_that_takes_too_long_is_stopped_and_leaves_with_124(stage: Stage) -> None:
    """With what it has started: `sleep` would keep standard output open, and whoever reads it waiting."""
    child = "trap 'echo asked; exit 0' TERM; (sleep 600; true) & wait"
    done = stage.run("exec", "prod-db", "--timeout", "1s", "--", "sh", "-c", child)
    assert (done.returncode, done.stdout) == (124, "asked\n")
    assert "--timeout" in done.stderr
    assert stage.double.hangups == 1


def test_one_that_ignores_being_asked_is_killed(stage: Stage) -> None:
    child = "trap '' TERM; while :; do sleep 0.1; done"
    assert stage.run("exec", "prod-db", "--timeout", "1s", "--", "sh", "-c", child).returncode == 124


def test_one_that_is_in_time_keeps_its_code(stage: Stage) -> None:
    assert stage.run("exec", "prod-db", "--timeout", "1m", "--", "sh", "-c", "exit 7").returncode == 7
    for wrong in ("0", "soon"):
        assert stage.run("exec", "prod-db", "--timeout", wrong, "--", "true").returncode == 2


# Events


def test_events_tell_the_whole_story_in_order(stage: Stage, tmp_path: Path) -> None:
    def answers(order: Open) -> list[Said]:
        return [WAITING, WAITING, opened(order.target)]

    stage.double.answers = answers
    file = tmp_path / "events"
    done = stage.run("exec", "prod-db", "--wait", "1m", "--events", str(file), "--", "sh", "-c", "echo $$; exit 3")
    waiting, approved, is_open, ready, ended = lines_of(file)
    for form, line in zip(EVENTS, (waiting, approved, is_open, ready, ended), strict=True):
        conforms(Printed(Shape.LINES, form), line)
    assert (waiting["request"], waiting["approvers"], waiting["link"]) == (WAITING.request, {"dba": 1}, WAITING.link)
    assert approved["request"] == WAITING.request
    assert (is_open["target"], is_open["session"]) == ("prod-db", "s_0000000000000000")
    assert (ready["targets"], str(ready["pid"])) == (["prod-db"], done.stdout.strip())
    assert (ended["exit_code"], ended["why"], ended["message"]) == (3, "command", "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "a-grant" not in file.read_text()


@pytest.mark.parametrize(("answer", "code"), [(WAITING, 12), (Refusal("no", "", 10), 10), (Ended("x"), 15)])
def test_events_end_with_what_went_wrong(stage: Stage, tmp_path: Path, answer: Said, code: int) -> None:
    stage.double.answers = lambda order: [answer]
    file = tmp_path / "events"
    file.write_text("of the last time")
    assert stage.run("exec", "prod-db", "--events", str(file), "--", "true").returncode == code
    last = lines_of(file)[-1]
    assert (last["event"], last["exit_code"], last["why"]) == ("ended", code, "failed")
    assert last["message"]


def test_events_tell_of_a_timeout_a_lost_session_and_a_signal(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "events"
    stage.run("exec", "prod-db", "--timeout", "1", "--events", str(file), "--", "sleep", "60")
    assert (lines_of(file)[-1]["exit_code"], lines_of(file)[-1]["why"]) == (124, "timeout")
    with stage.begun("exec", "prod-db", "--events", str(file), "--", "sh", "-c", "echo up; exec sleep 60") as process:
        assert line_of(process) == "up"
        stage.double.end_sessions("killed by dora")
        process.wait(60)
    assert (lines_of(file)[-1]["exit_code"], lines_of(file)[-1]["why"]) == (143, "session")
    assert "killed by dora" in lines_of(file)[-1]["message"]
    stage.double.answers = lambda order: [WAITING]
    with stage.begun("exec", "prod-db", "--wait", "1m", "--events", str(file), "--", "true") as process:
        eventually(lambda: '"waiting"' in file.read_text(), "the wait is told")
        process.send_signal(signal.SIGINT)
        process.wait(60)
    last = lines_of(file)[-1]
    assert (last["exit_code"], last["why"], last["message"]) == (130, "signal", "SIGINT")


def test_a_fifo_is_read_as_things_happen(stage: Stage, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with stage.begun("exec", "prod-db", "--events", str(fifo), "--", "sh", "-c", "echo up; read x") as process:
        with fifo.open() as reading:
            assert json.loads(reading.readline())["event"] == "opened"
            assert json.loads(reading.readline())["event"] == "ready"
            assert json.loads(reading.readline())["event"] == "ended"
            assert reading.readline() == ""
        process.wait(60)


def test_a_reader_of_events_that_leaves_harms_nobody(stage: Stage, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with stage.begun("exec", "prod-db", "--events", str(fifo), "--", "sh", "-c", "echo up; exit 5") as process:
        fifo.open().close()
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, "up\n")


def test_events_may_go_to_a_descriptor_that_the_caller_holds(stage: Stage) -> None:
    here, there = os.pipe()
    done = subprocess.run(
        [HOOPX, "exec", "prod-db", "--events", f"/dev/fd/{there}", "--", "echo", "data"],
        env=stage.environment(),
        pass_fds=(there,),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(there)
    with os.fdopen(here) as reading:
        assert [json.loads(line)["event"] for line in reading] == ["opened", "ready", "ended"]
    assert (done.returncode, done.stdout) == (0, "data\n")


def test_a_file_that_the_caller_holds_is_not_begun_anew(stage: Stage, tmp_path: Path) -> None:
    line = f"'{HOOPX}' exec prod-db --events /dev/fd/3 -- true 3>>'{tmp_path}/log'"
    (tmp_path / "log").write_text("{}\n")
    subprocess.run(["bash", "-c", line], env=stage.environment(), timeout=60, check=True)
    assert [line.get("event") for line in lines_of(tmp_path / "log")] == [None, "opened", "ready", "ended"]


@pytest.mark.parametrize("path", ["-", "/dev/fd/99", "/no/such/folder/x"])
def test_events_that_cannot_be_written_stop_it_before_it_begins(stage: Stage, path: str) -> None:
    done = stage.run("exec", "prod-db", "--events", path, "--", "true")
    assert (done.returncode, done.stdout) == (2, "")
    assert stage.double.orders == []


# Several targets


def test_people_are_asked_for_all_targets_at_once(stage: Stage) -> None:
    def answers(order: Open) -> list[Said]:
        return [Waiting(f"r_{order.target}", {"dba": 1}, (), "", 4_000_000_000)]

    stage.double.answers = answers
    with stage.begun("exec", "one", "two", "--wait", "1m", "--", "echo", "both") as process:
        eventually(lambda: len(stage.double.orders) == 2, "both requests are filed")
        for target in ("one", "two"):
            stage.double.say_to(target, opened(target))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "both\n"), err
    assert stage.double.hangups == 2


def test_a_child_never_sees_a_session_that_ended_while_another_was_waited_for(stage: Stage) -> None:
    def answers(order: Open) -> list[Said]:
        return [opened("one")] if order.target == "one" else [WAITING]

    stage.double.answers = answers
    with stage.begun("exec", "one", "two", "--wait", "1m", "--", "echo", "half") as process:
        eventually(lambda: len(stage.double.orders) == 2, "both are asked for")
        assert process.stderr is not None
        assert "approval" in process.stderr.readline()
        stage.double.say_to("one", Ended("killed by dora"))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (15, "")
    assert "ended before all were open: killed by dora" in err


# Signals


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGCONT])
def test_signals_that_mean_something_to_the_child_reach_it(stage: Stage, number: signal.Signals) -> None:
    child = f"trap 'echo got it; exit 9' {number.name.removeprefix('SIG')}; echo up; while :; do sleep 0.05; done"
    with stage.begun("exec", "prod-db", "--", "bash", "-c", child) as process:
        assert line_of(process) == "up"
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (9, "got it\n")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGPIPE])
def test_a_child_that_a_signal_ended_is_told_as_a_shell_tells_it(stage: Stage, number: signal.Signals) -> None:
    done = stage.run("exec", "prod-db", "--", "sh", "-c", f"ulimit -c 0; kill -{number.name.removeprefix('SIG')} $$")
    assert done.returncode == 128 + number


def test_a_rest_stops_both_and_both_go_on(stage: Stage) -> None:
    """As `kill -TSTP` from outside does; a terminal does it to the whole group."""
    child = "trap 'echo again' CONT; echo up; read x; psql -Atc 'still here'"
    with subprocess.Popen(
        [*bound_to_us(), HOOPX, "exec", "prod-db", "--", "bash", "-c", child],
        env=stage.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A group of its own in our session: the kernel lets nobody rest whose group has no parent to wake it.
        process_group=0,
    ) as process:
        assert line_of(process) == "up"
        process.send_signal(signal.SIGTSTP)
        eventually(lambda: _state(process.pid) == "T", "hoopx rests")
        [pid] = _children(process.pid)
        eventually(lambda: _state(pid) == "T", "its child rests")
        process.send_signal(signal.SIGCONT)
        eventually(lambda: _state(pid) != "T", "its child goes on")
        out, _ = process.communicate("go on\n", timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[-1] == "still here"


_COUNTING = """
import os, signal, sys
heard = []
signal.signal(signal.SIGINT, lambda *_: (heard.append(1), os.write(1, b"heard\\n")))
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"times %d\\n" % len(heard)), os._exit(4)))
os.write(1, b"up\\n")
while True:
    signal.pause()
"""


def test_in_a_terminal_ctrl_c_is_the_childs_once(stage: Stage) -> None:
    """The terminal gives it to the whole group: the child has it already, and hoopx says nothing beside it."""
    screen = _Screen([HOOPX, "exec", "prod-db", "--", "python3", "-c", _COUNTING], stage.environment())
    screen.until("up")
    os.write(screen.master, b"\x03")
    screen.until("heard")
    os.kill(screen.pid, signal.SIGTERM)
    assert screen.end() == 4
    assert screen.text.split() == ["up", "^Cheard", "times", "1"]


def test_the_child_is_in_the_foreground_of_the_terminal(stage: Stage) -> None:
    script = "import os; print(os.getpgrp() == os.tcgetpgrp(0), os.isatty(0), os.isatty(1)); print(input())"
    screen = _Screen([HOOPX, "exec", "prod-db", "--", "python3", "-c", script], stage.environment())
    screen.until("True True True")
    os.write(screen.master, b"typed\n")
    assert screen.end() == 0
    assert screen.text.count("typed") == 2


# Streams and secrets


def test_output_streams_while_input_goes_on(stage: Stage) -> None:
    with subprocess.Popen(
        [*bound_to_us(), HOOPX, "exec", "prod-db", "--", "python3", "-uc", "while 1: print(input())"],
        env=stage.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        for word in ("one", "two"):
            process.stdin.write(f"{word}\n")
            assert line_of(process) == word
        process.stdin.close()
        assert process.wait(60) == 1


def test_a_reader_that_leaves_ends_the_child_as_in_any_pipe(stage: Stage) -> None:
    line = f"'{HOOPX}' exec prod-db -- sh -c 'yes' | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env=stage.environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"y\n{128 + signal.SIGPIPE}\n"


def test_no_secret_stands_in_the_arguments_of_anybody(stage: Stage) -> None:
    script = "tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline; echo; echo $PGPASSWORD"
    done = stage.run("exec", "prod-db", "--", "sh", "-c", script)
    arguments, password = done.stdout.splitlines()
    assert password
    assert password not in arguments
    assert "a-token" not in arguments


def test_the_child_inherits_no_descriptor_of_ours(stage: Stage, tmp_path: Path) -> None:
    done = stage.run("exec", "prod-db", "--events", str(tmp_path / "e"), "--", "sh", "-c", "ls -l /proc/self/fd")
    numbers = {line.split()[8] for line in done.stdout.splitlines() if "->" in line}
    assert numbers <= {"0", "1", "2", "3"}, done.stdout  # 3 is the directory that ls reads
    assert "socket:" not in done.stdout


class _Screen:
    """A pseudo-terminal with a program in its foreground."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environ)
        self.text = ""
        # A scene that goes wrong is not waited for.
        self._timer = threading.Timer(60, os.kill, (self.pid, signal.SIGKILL))
        self._timer.start()

    def until(self, words: str) -> None:
        while words not in self.text:
            assert self._read(), self.text

    def end(self) -> int:
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self._timer.cancel()
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        select.select([self.master], [], [], 60)
        try:
            piece = os.read(self.master, 4096)
        except OSError:  # the last program has left the terminal
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _children(pid: int) -> list[int]:
    found = []
    for tasks in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (tasks / "children").read_text().split()]
    return found
