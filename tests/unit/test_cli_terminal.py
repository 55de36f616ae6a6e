"""At a terminal: a live line, Ctrl-C, and a question before a vote."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from subprocess import PIPE

import pexpect
import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import Event, Waiting
from tests.unit.cli_broker_double import opened
from tests.unit.cli_stage import HOOPX, Stage, stage_in


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


def _at_terminal(stage: Stage, *arguments: str) -> pexpect.spawn[str]:
    environ = stage.environment(TERM="xterm")
    return pexpect.spawn(HOOPX, list(arguments), env=environ, timeout=30, encoding="utf-8", dimensions=(24, 200))


def test_connect_shows_a_live_line_and_ctrl_c_ends_it(stage: Stage) -> None:
    terminal = _at_terminal(stage, "connect", "prod-db")
    terminal.expect("postgresql://")
    terminal.expect("prod-db · 0 connections")
    terminal.sendintr()
    terminal.expect_exact("the session with `prod-db` is over")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert stage.double.hangups == 1


def test_connect_shows_a_new_end_and_broken_glass_all_the_time(stage: Stage) -> None:
    now = time.time()
    loud = Event("broken-glass", "GLASS BROKEN: nobody was asked")
    stage.double.answers = lambda order: [loud, replace(opened(order.target), expires_at=now + 200)]
    terminal = _at_terminal(stage, "connect", "prod-db", "--break-glass", "--reason", "fire", "-q")
    terminal.expect_exact("GLASS BROKEN: nobody was asked")  # -q or not
    terminal.expect("postgresql://")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal = _at_terminal(stage, "connect", "prod-db", "--break-glass", "--reason", "fire")
    terminal.expect_exact("hoopx request prod-db --extend s_0000000000000000 --for 30m")
    terminal.expect("GLASS BROKEN · prod-db · 0 connections · 3 min left")
    stage.double.say(Event("extended", "it goes on until noon", expires_at=time.time() + 7255))
    terminal.expect_exact("prod-db: it goes on until noon")
    terminal.expect("2 h left")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert [order.break_glass for order in stage.double.orders] == [True, True]


def test_people_are_waited_for_with_the_time_that_is_left(stage: Stage) -> None:
    link = "https://broker.example.com/requests/r_1234567890"
    waiting = Waiting("r_1234567890", {"dba": 2}, ("sensitive",), "", 4_000_000_000, link)
    stage.double.answers = lambda order: [waiting]
    terminal = _at_terminal(stage, "exec", "prod-db", "--wait", "15m", "--key", "run-7", "--", "true")
    terminal.expect_exact("`prod-db` needs approval by 2 of dba")
    terminal.expect_exact(f"or on its page: {link}")
    terminal.expect_exact("Ctrl-C leaves the request standing")
    terminal.expect("request r_1234567890 waits for 2 of dba · 1[45] min left")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert [order.key for order in stage.double.orders] == ["run-7"]


def test_a_terminal_that_goes_without_a_word_ends_the_session(stage: Stage) -> None:
    """As behind `su` or a lost window, where nobody sends HUP."""
    ours, theirs = pty.openpty()
    environ = stage.environment(TERM="xterm")
    with subprocess.Popen([HOOPX, "connect", "prod-db"], stdout=PIPE, stderr=theirs, env=environ, text=True) as command:
        os.close(theirs)
        assert command.stdout is not None
        assert command.stdout.readline().startswith("postgresql://")
        os.close(ours)
        assert command.wait(30) == 129
    assert stage.double.hangups == 1
    assert not (stage.home / "traces").exists()


def test_ctrl_c_at_a_terminal_reaches_the_child_once(stage: Stage) -> None:
    child = "import signal, time; n = []; signal.signal(2, lambda *_: n.append(1)); print('up', flush=True); "
    child += "time.sleep(1) or time.sleep(1); print('got', len(n))"
    terminal = _at_terminal(stage, "exec", "prod-db", "--", "python3", "-c", child)
    terminal.expect("up")
    terminal.sendintr()
    terminal.expect("got 1")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_the_childs_terminal_is_the_real_one(stage: Stage) -> None:
    code = "import os, sys; print(*[os.isatty(n) for n in range(3)], os.get_terminal_size())"
    terminal = _at_terminal(stage, "exec", "prod-db", "--", "python3", "-c", code)
    terminal.expect("True True True os.terminal_size\\(columns=200, lines=24\\)")
    terminal.expect(pexpect.EOF)
    terminal.close()
