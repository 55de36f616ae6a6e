"""TAB, really pressed in bash, zsh and fish, under a terminal whose screen is read."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from hoopx_cli import names
from hoopx_cli.completion import FILES, Shell, folder
from hoopx_cli.settings import DEFAULT_BROKER, Settings
from tests.peers import found

OTHER = "https://b.example.com:443"
# A program that stands in for hoopx: shows what it was started with, and keeps what was started behind one's back.
STAND_IN = """#!/bin/sh
case "$1" in refresh-names) echo "$*" >>"$HOME/refreshed" ;; *) printf '<%s>\\n' "$*" ;; esac
"""
START = {
    Shell.BASH: ["--norc", "-i"],
    Shell.ZSH: ["-f", "-i"],
    Shell.FISH: ["--no-config", "-i"],
}
SETTING_UP = {
    Shell.BASH: "source '{script}'; PS1='$ '",
    Shell.ZSH: "autoload -Uz compinit && compinit -u -D; source '{script}'; PS1='$ '; unsetopt zle_bracketed_paste",
    Shell.FISH: "source '{script}'; function fish_prompt; printf '$ '; end",
}


class Terminal:
    """A shell at a prompt, 24 lines of 100 columns, in a home of its own."""

    def __init__(self, shell: Shell, home: Path) -> None:
        self.home = home
        tools = home / "bin"
        tools.mkdir()
        for name in ("hoopx", "childs-own-tool"):
            (tools / name).write_text(STAND_IN)
            (tools / name).chmod(0o755)
        (home / "certificate.pem").touch()
        self.screen = pyte.Screen(100, 24)
        self._stream = pyte.Stream(self.screen)
        program = shutil.which(shell.value)
        assert program is not None
        environ = {"HOME": str(home), "HOOPX_HOME": str(home / "hoopx"), "PATH": f"{tools}:{os.environ['PATH']}"}
        environ |= {"TERM": "xterm", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
        self.process = pexpect.spawn(
            program, START[shell], env=environ, cwd=str(home), encoding="utf-8", dimensions=(24, 100)
        )
        self.process.delaybeforesend = None
        self.enter(SETTING_UP[shell].format(script=folder() / FILES[shell]) + "; printf 'rea%s' dy")
        self.until("ready")

    def enter(self, line: str) -> None:
        self.process.send(f"{line}\r")

    def until(self, text: str) -> None:
        """Read on until the screen shows it."""
        ends = time.monotonic() + 60
        while text not in "\n".join(self.screen.display):
            assert time.monotonic() < ends, "\n".join(line.rstrip() for line in self.screen.display if line.strip())
            try:
                self._stream.feed(self.process.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue

    def completes(self, typed: str, into: str) -> None:
        """What is typed and completed by TAB is the command that Enter runs then."""
        self.screen.reset()
        self.process.send(f"hoopx {typed}\t\r")
        self.until(f"<{into}>")


@pytest.fixture(scope="module", params=START, ids=lambda shell: str(shell.value))
def terminal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    found.require("shells")
    made = Terminal(request.param, tmp_path_factory.mktemp(request.param.value))
    yield made
    made.process.close(force=True)


@pytest.fixture(autouse=True)
def known(terminal: Terminal) -> None:
    home = terminal.home / "hoopx"
    shutil.rmtree(home, ignore_errors=True)
    (terminal.home / "refreshed").unlink(missing_ok=True)
    kept(home, "prod-db", "stage-db", "stage-cache")
    kept(home, "bobs-db", account="bob@example.com")
    kept(home, "elsewhere-db", broker=OTHER)
    names.keep_accounts(home, DEFAULT_BROKER, ["ann@example.com", "bob@example.com"])


def kept(home: Path, *targets: str, broker: str = DEFAULT_BROKER, account: str | None = None) -> Path:
    settings = Settings(broker, None, home, account=account)
    names.keep(settings, "targets", targets)
    return names.place(settings) / "targets"


def test_commands_options_choices_and_names(terminal: Terminal) -> None:
    terminal.completes("whoa", "whoami")
    terminal.completes("sessions repl", "sessions replay")
    terminal.completes("connect prod", "connect prod-db")
    terminal.completes("ls -o j", "ls -o json")
    terminal.completes("ls --output=j", "ls --output=json")
    terminal.completes("exec prod-db --break", "exec prod-db --break-glass")


def test_names_of_that_account_and_that_broker(terminal: Terminal) -> None:
    terminal.completes("whoami --account ann@e", "whoami --account ann@example.com")
    terminal.completes("accounts use bo", "accounts use bob@example.com")
    terminal.completes("show --account bob@example.com bob", "show --account bob@example.com bobs-db")
    terminal.completes("show --broker b.example.com else", "show --broker b.example.com elsewhere-db")
    terminal.completes("show bob", "show bob")


def test_several_names_are_listed_on_the_screen(terminal: Terminal) -> None:
    terminal.screen.reset()
    terminal.process.send("hoopx connect st\t\t\t")  # the first puts in what they share
    terminal.until("stage-cache")
    terminal.until("stage-db")
    terminal.process.send("\x03")


def test_files_where_a_file_is_taken(terminal: Terminal) -> None:
    terminal.completes("ls --ca cert", "ls --ca certificate.pem")
    terminal.completes("sessions verify cert", "sessions verify certificate.pem")


def test_behind_two_dashes_it_is_the_childs_own_completion(terminal: Terminal) -> None:
    terminal.completes("exec prod-db -- childs-o", "exec prod-db -- childs-own-tool")
    terminal.completes("exec prod-db -- cat cert", "exec prod-db -- cat certificate.pem")


def test_planted_names_and_times_run_nothing_and_are_not_offered(terminal: Terminal) -> None:
    file = kept(terminal.home / "hoopx", "good-db")
    planted = ["$(touch pwned)", "`touch pwned`", "q;touch pwned", "a b", "-rf", "x:y", "*", "~root", "$HOME"]
    fresh = file.read_text().splitlines()
    file.write_text("\n".join([fresh[0], *planted, *fresh[1:]]) + "\n")
    terminal.completes("show ", "show good-db")
    for typed in ("q", "a", "x"):
        terminal.completes(f"show {typed}", f"show {typed}")
    for head in ("# a[$(touch pwned)] 4000000000", "# 0 a[$(touch${IFS}pwned)]", "# 08 09 10", ""):
        file.write_text(f"{head}\ngood-db\n")
        terminal.completes("show go", "show go")
    assert not (terminal.home / "pwned").exists()


def test_a_stale_name_is_offered_at_once_and_asked_for_behind_ones_back(terminal: Terminal) -> None:
    file = kept(terminal.home / "hoopx", "prod-db")
    now = int(time.time())
    file.write_text(f"# {now - 1} {now + 1000}\nprod-db\n")
    elsewhere = "show --account=carl --broker=127.0.0.1:8443 pr"
    terminal.completes(elsewhere, elsewhere)
    terminal.completes("show pr", "show prod-db")
    refreshed = terminal.home / "refreshed"
    ends = time.monotonic() + 60
    expected = {"refresh-names targets --account=carl --broker=127.0.0.1:8443", "refresh-names targets"}
    while set(refreshed.read_text().splitlines() if refreshed.exists() else ()) != expected:
        assert time.monotonic() < ends, refreshed.read_text()
        time.sleep(0.02)


def test_what_is_fresh_is_not_asked_for_and_a_pipe_in_its_place_holds_nobody_up(terminal: Terminal) -> None:
    terminal.completes("connect prod", "connect prod-db")
    terminal.completes("show --broker evil.example.com pr", "show --broker evil.example.com pr")
    assert not (terminal.home / "refreshed").exists(), "nor is a broker that nobody has talked to"
    file = kept(terminal.home / "hoopx", "prod-db")
    file.unlink()
    os.mkfifo(file)
    terminal.completes("connect prod", "connect prod")
