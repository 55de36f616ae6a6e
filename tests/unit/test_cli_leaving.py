"""How a command leaves: a line, a hint and a code; never a traceback, never a secret, never noise."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hoopx_broker.api.messages import Refusal
from hoopx_broker.terms.errors import ExitCode, HoopxError
from hoopx_cli import trace
from hoopx_cli.main import run
from hoopx_cli.refusals import error_in, error_of
from tests.unit.cli_stage import HOOPX


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"HOOPX_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], **more}


def hoopx(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HOOPX, *arguments], env=environ(home, **more), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_mistyped_command_is_told_what_was_meant(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "conect")
    assert done.returncode == 2
    assert done.stderr == "hoopx: there is no command `conect`; did you mean `connect`?\n  see `hoopx --help`\n"
    assert "`replay`" in hoopx(tmp_path, "sessions", "reply").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "--bogus"],
        ["show"],
        ["show", "a", "b"],
        ["exec", "t"],
        ["exec", "t", "--"],
        ["exec", "--", "true"],
        ["connect", "t", "--port", "eleven"],
        ["connect", "t", "--port", "1", "--socket", "x"],
        ["connect", "t", "--for", "soon"],
        ["connect", "t", "--for", "9999d"],
        ["request", "t", "--wait", "-1s"],
        ["sessions", "ls", "--limit", "0"],
        ["ls", "-o", "yaml"],
        ["ls", "--broker", "http://broker.example"],
        ["completion", "tcsh"],
    ],
)
def test_bad_usage_is_2_with_one_line_and_a_hint(tmp_path: Path, arguments: list[str]) -> None:
    done = hoopx(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("hoopx: ")
    assert len(done.stderr.splitlines()) == 2, done.stderr


def test_a_bare_group_shows_its_help_as_bad_usage(tmp_path: Path) -> None:
    for group in ([], ["sessions"], ["requests"], ["policy"], ["broker"]):
        done = hoopx(tmp_path, *group)
        assert done.returncode == 2
        assert "Commands:" in done.stderr
        assert done.stdout == ""


def test_without_a_login_it_says_so(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "whoami", HOOPX_CA="")
    assert (done.returncode, done.stderr.splitlines()[1].strip()) == (11, "log in with `hoopx login`")


def test_the_version_is_one_line_by_both_ways(tmp_path: Path) -> None:
    plain = hoopx(tmp_path, "--version")
    assert plain.stdout.startswith("hoopx ")
    assert hoopx(tmp_path, "--version", "--version").stdout == plain.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    line = f"'{HOOPX}' policy explain 'select 1' --as a --on b | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=environ(tmp_path), capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_full_disk_behind_stdout_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{HOOPX}' completion bash > /dev/full"],
        env=environ(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_bug_of_ours_is_one_line_and_a_private_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(*args: object) -> None:
        raise RuntimeError("Bearer s3cr3t and t0ken and cl1ent and postgresql://u:pw0rd@host/db password=hunter2")

    monkeypatch.setattr("hoopx_cli.settings.read", buggy)
    assert run(["ls"], environ(tmp_path, HOOPX_TOKEN="t0ken", HOOPX_CLIENT_SECRET="cl1ent")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hoopx: unexpected: RuntimeError\n")
    [kept] = (tmp_path / "traces").iterdir()
    assert str(kept) in said.err
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    text = kept.read_text()
    assert "RuntimeError" in text
    for secret in ("s3cr3t", "t0ken", "cl1ent", "pw0rd", "hunter2"):
        assert secret not in text + said.err


def test_a_trace_that_cannot_be_kept_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    def buggy(*args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("hoopx_cli.settings.read", buggy)
    assert run(["ls"], environ(tmp_path / "file")) == 1
    assert "unexpected: RuntimeError" in capsys.readouterr().err


def test_only_the_last_traces_are_kept(tmp_path: Path) -> None:
    for _ in range(trace.KEPT + 3):
        trace.keep(environ(tmp_path))
    assert len(list((tmp_path / "traces").iterdir())) == trace.KEPT


def test_an_interrupt_is_130_and_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hoopx_cli.settings.read", interrupted)
    assert run(["ls"], environ(tmp_path)) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [code for code in ExitCode if code == 2 or code >= 10])
def test_every_refusal_keeps_its_code(code: ExitCode) -> None:
    error = error_of(Refusal("what", "then", int(code)))
    assert (int(error.exit_code), error.message, error.hint) == (int(code), "what", "then")


@pytest.mark.parametrize(("status", "code"), [(401, 11), (404, 14), (302, 14), (502, 14), (418, 1)])
def test_an_answer_that_is_no_refusal_is_told_by_its_status(status: int, code: int) -> None:
    for body in (b"", b"<html>", b'{"error": 7}', b"\xff" * 100):
        error = error_in(status, body)
        assert isinstance(error, HoopxError)
        assert int(error.exit_code) == code
