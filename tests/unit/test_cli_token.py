"""`hoopx token`: the password of clients that connect without hoopx, and nothing else on stdout."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli_stage import stage_in


def test_the_token_of_the_environment_wins_and_stands_alone_on_stdout(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        done = stage.run("token", HOOPX_TOKEN="t.o.ken")
    assert (done.returncode, done.stdout, done.stderr) == (0, "t.o.ken\n", "")


def test_it_comes_as_json_too(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        done = stage.run("token", "-o", "json", HOOPX_TOKEN="t.o.ken")
    assert json.loads(done.stdout) == {"token": "t.o.ken"}


def test_who_is_not_logged_in_is_told_to(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        done = stage.run("token", HOOPX_TOKEN="", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert (done.returncode, done.stdout) == (11, "")
    assert "hoopx login" in done.stderr
