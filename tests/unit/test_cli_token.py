"""`hoopx token TARGET`: the password of clients that connect without hoopx, and nothing else on stdout."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli_stage import stage_in


def test_who_is_not_logged_in_is_told_to(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        done = stage.run("token", "prod-db", HOOPX_TOKEN="", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert (done.returncode, done.stdout) == (11, "")
    assert "hoopx login" in done.stderr


def test_a_token_is_for_a_target(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        done = stage.run("token", HOOPX_TOKEN="t.o.ken")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TARGET" in done.stderr
