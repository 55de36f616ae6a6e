"""TAB in bash: commands, options and names, without starting Python and without running what a broker sent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from hoopx_cli import names
from hoopx_cli.completion import FILES, Shell, folder

BASH = shutil.which("bash") or "/bin/bash"
SCRIPT = folder() / FILES[Shell.BASH]


def completed(home: Path, *words: str) -> list[str]:
    """What TAB offers at the end of `hoopx words...`; the last word is the one being typed.

    As bash does, with the words broken at `@`, too.
    """
    line = [part for word in ("hoopx", *words) for part in (re.split("(?=@)", word) if "@" in word else [word])]
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in line)
    whole = " ".join(("hoopx", *words))
    code = (
        f"source '{SCRIPT}'; COMP_WORDBREAKS=$' @=:'; COMP_LINE='{whole}'; COMP_POINT={len(whole)}; "
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _hoopx; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [BASH, "--norc", "-c", code],
        env={"HOOPX_HOME": str(home), "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return sorted(line for line in done.stdout.splitlines() if line)


def test_commands_and_subcommands(tmp_path: Path) -> None:
    assert completed(tmp_path, "co") == ["completion", "config", "connect"]
    assert completed(tmp_path, "sessions", "re") == ["replay"]
    assert completed(tmp_path, "completion", "") == ["bash", "fish", "powershell", "zsh"]


def test_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "exec", "prod-db", "--re") == ["--reason", "--request"]


def test_names_come_from_the_cache(tmp_path: Path) -> None:
    names.keep(tmp_path, "targets", ["prod-db", "prod-cache", "stage-db"])
    names.keep(tmp_path, "sessions", ["s_1"])
    names.keep(tmp_path, "requests", ["r_1"])
    assert completed(tmp_path, "connect", "prod") == ["prod-cache", "prod-db"]
    assert completed(tmp_path, "exec", "prod-db", "st") == ["stage-db"]
    assert completed(tmp_path, "sessions", "kill", "") == ["s_1"]
    assert completed(tmp_path, "approve", "") == ["r_1"]
    assert completed(tmp_path, "whoami", "") == []


def test_accounts_are_completed_behind_their_option_whatever_the_command(tmp_path: Path) -> None:
    names.keep(tmp_path, "accounts", ["ann@example.com", "anna@example.org", "bob"])
    names.keep(tmp_path, "targets", ["prod-db"])
    every = ["ann@example.com", "anna@example.org", "bob"]
    assert completed(tmp_path, "whoami", "--account", "") == every
    assert completed(tmp_path, "connect", "prod-db", "--account", "an") == every[:2]
    assert completed(tmp_path, "connect", "--account", "bob", "") == ["prod-db"]
    assert completed(tmp_path, "accounts", "use", "b") == ["bob"]


def test_requests_and_sessions_are_completed_behind_the_options_that_take_them(tmp_path: Path) -> None:
    names.keep(tmp_path, "requests", ["r_1", "r_2"])
    names.keep(tmp_path, "sessions", ["s_1"])
    names.keep(tmp_path, "targets", ["prod-db"])
    assert completed(tmp_path, "exec", "prod-db", "--request", "") == ["r_1", "r_2"]
    assert completed(tmp_path, "request", "prod-db", "--extend", "") == ["s_1"]
    assert completed(tmp_path, "leases", "ls", "--session", "s") == ["s_1"]
    assert completed(tmp_path, "requests", "ls", "--target", "p") == ["prod-db"]
    assert completed(tmp_path, "policy", "explain", "--extend", "") == []  # there it takes nothing


def test_of_an_address_that_bash_breaks_at_its_sign_only_the_rest_is_offered(tmp_path: Path) -> None:
    names.keep(tmp_path, "accounts", ["ann@example.com", "ann@example.org", "bob@example.com"])
    assert completed(tmp_path, "whoami", "--account", "ann@ex") == ["@example.com", "@example.org"]
    assert completed(tmp_path, "whoami", "--account", "ann@") == ["@example.com", "@example.org"]


def test_a_person_presses_tab_in_a_terminal(tmp_path: Path) -> None:
    names.keep(tmp_path, "accounts", ["ann@example.com", "bob"])
    environ = {"HOOPX_HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "$ "}
    with pexpect.spawn(BASH, ["--norc", "-i"], env=environ, encoding="utf-8", timeout=20) as shell:
        shell.sendline(f"source '{SCRIPT}'; hoopx() {{ echo \"<$*>\"; }}; echo ready$((1+1))")
        shell.expect("ready2")
        shell.sendline("hoopx whoami --account ann@e\t")
        shell.expect("<whoami --account ann@example.com>")
        shell.sendline("hoopx whoami --account ann@\t")
        shell.expect("<whoami --account ann@example.com>")
        shell.sendline("hoopx accounts use an\t")
        shell.expect("<accounts use ann@example.com>")


def test_a_target_called_like_a_command_confuses_nothing(tmp_path: Path) -> None:
    names.keep(tmp_path, "targets", ["ls"])
    assert completed(tmp_path, "show", "l") == ["ls"]
    assert completed(tmp_path, "connect", "ls", "--po") == ["--port"]


def test_behind_two_dashes_it_is_the_other_commands_turn(tmp_path: Path) -> None:
    names.keep(tmp_path, "targets", ["prod-db"])
    assert completed(tmp_path, "exec", "prod-db", "--", "pro") == []


def test_without_a_cache_there_is_no_error(tmp_path: Path) -> None:
    assert completed(tmp_path, "connect", "") == []


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "`id`", "a;b", "a b", "--socket", "*", "a\nb", "é", "../x", "x" * 200]
)
def test_names_that_mean_something_to_a_shell_are_not_kept(tmp_path: Path, name: str) -> None:
    names.keep(tmp_path, "targets", [name, "good"])
    assert (tmp_path / "names" / "targets").read_text() == "good\n"


def test_even_a_planted_name_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "targets").write_text(f"$(echo>{tmp_path}/pwned)\n`echo>{tmp_path}/pwned`\n*\n")
    assert len(completed(tmp_path, "connect", "")) == 3
    assert not (tmp_path / "pwned").exists()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("a file, not a folder")
    names.keep(tmp_path, "targets", ["prod-db"])
