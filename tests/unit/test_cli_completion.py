"""TAB in bash: commands, options and names, without starting Python and without running what a broker sent."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hoopx_cli import names
from hoopx_cli.completion import FILES, Shell, folder

BASH = shutil.which("bash") or "/bin/bash"
SCRIPT = folder() / FILES[Shell.BASH]


def completed(home: Path, *words: str) -> list[str]:
    """What TAB offers at the end of `hoopx words...`; the last word is the one being typed."""
    line = ["hoopx", *words]
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in line)
    code = (
        f"source '{SCRIPT}'; COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _hoopx; "
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
    assert completed(tmp_path, "co") == ["completion", "connect"]
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
