"""`--help` of every command is what users and scripts read: it changes only on purpose.

Renew with HOOPX_RENEW=1 and read the difference.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hoopx_cli.completion import FILES, Shell, folder
from hoopx_cli.completion_scripts import script
from hoopx_cli.completion_tree import spots
from tests.unit.cli_stage import HOOPX

HELP = Path(__file__).parent / "help"
IS_RENEWING = os.environ.get("HOOPX_RENEW") == "1"
PATHS = [spot.path for spot in spots()]


def _help(path: str) -> str:
    environ = {"PATH": os.environ["PATH"], "COLUMNS": "100", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    command = [HOOPX, *path.split(), "--help"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def _holds(file: Path, text: str) -> None:
    if IS_RENEWING:
        file.write_text(text)
    assert file.read_text() == text, "renew with HOOPX_RENEW=1 if the change is meant"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path or "hoopx")
def test_help_is_as_it_was_and_starts_with_an_example(path: str) -> None:
    text = _help(path)
    example = text.partition("\n")[0]
    assert example.startswith("Example: ")
    assert f"hoopx {path}".rstrip() in example
    _holds(HELP / f"{path.replace(' ', '-') or 'hoopx'}.txt", text)


def test_no_help_is_left_of_a_command_that_is_gone() -> None:
    known = {f"{path.replace(' ', '-') or 'hoopx'}.txt" for path in PATHS}
    assert {file.name for file in HELP.iterdir()} == known


@pytest.mark.parametrize("shell", Shell, ids=lambda shell: str(shell.value))
def test_completion_scripts_know_every_command(shell: Shell) -> None:
    _holds(folder() / FILES[shell], script(shell))
