"""Errors attacked: no secret in a line or a trace, the trace only for who asks, and the name that was meant."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput, Unknown, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.main import run
from hoopx_cli.names import keep
from hoopx_cli.nearest import meant, nearest
from hoopx_cli.scrub import certain, scrub
from hoopx_cli.settings import Settings
from tests.unit.cli_stage import HOOPX

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
HELD = Secret("correct-horse-battery")
TORN = Secret("SECRET")  # stands in what is a secret by its looks
# Text of an exception -> what must not be left of it.
ATTACKS = {
    f"bad token {JWT}": JWT,
    f"{{'Authorization': 'DPoP {JWT}'}}": JWT,
    "Authorization: Bearer a1b2c3d4e5f6a7b8c9": "a1b2c3d4e5f6a7b8c9",
    "could not connect to postgresql://ann:hunter2@db:5432/app": "hunter2",
    "could not connect to postgresql://:hunter2@db": "hunter2",
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----": "MHcCAQEE",
    "-----BEGIN PRIVATE KEY-----\nMHcCAQEE cut off": "MHcCAQEE",
    "identity AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L": "GF2TVDW0S3JN54",
}
IN_TRACES = {
    "Basic YW5uOmh1bnRlcjI=": "YW5uOmh1bnRlcjI",
    "bad config {'password': 'hunter2', 'user': 'ann'}": "hunter2",
    "PGPASSWORD=hunter2 psql": "hunter2",
    '{"refresh_token": "r3fresh", "scope": "openid"}': "r3fresh",
    "client_secret=cl1ent&grant_type=x": "cl1ent",
    f"no such password: {HELD.reveal()}": HELD.reveal(),
    "from the environment: s3cr3t-of-ci": "s3cr3t-of-ci",
}
ENVIRON = {"CI_JOB_TOKEN": "s3cr3t-of-ci", "PATH": "/usr/bin"}


@pytest.mark.parametrize("text", ATTACKS)
def test_no_error_shows_a_secret(text: str) -> None:
    assert ATTACKS[text] not in certain(text)


@pytest.mark.parametrize("text", ATTACKS | IN_TRACES)
def test_no_trace_shows_a_secret(text: str) -> None:
    assert (ATTACKS | IN_TRACES)[text] not in scrub(text, ENVIRON)


@pytest.mark.parametrize(
    "text",
    [
        "this token has expired",
        "hoopx.yaml:12: targets.db.credentials.password: `env:X` is not set",
        "needs a bearer token",
        "address: https://broker.example:8443/x@y",
        "/usr/bin",
    ],
)
def test_errors_keep_the_words_that_are_no_secret(text: str) -> None:
    assert certain(text) == text


def test_what_names_a_secret_stays() -> None:
    assert scrub("password=hunter2 host=db", {}) == "password=<secret> host=db"


def _environ(home: Path) -> dict[str, str]:
    return {"HOOPX_HOME": str(home), "HOOPX_TOKEN": "t0ken-of-a-job"}


def _raising(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def read(*args: object) -> None:
        try:
            raise ValueError(f"below it: {JWT}, {HELD.reveal()}, t0ken-of-a-job")
        except ValueError:
            raise error from None

    monkeypatch.setattr("hoopx_cli.settings.read", read)


@pytest.mark.parametrize("error", [Unreachable(f"no way to https://u:pw@h with {JWT}", "try"), RuntimeError(JWT)])
def test_debug_shows_the_trace_and_what_it_came_of_and_no_secret(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _raising(monkeypatch, error)
    code = run(["ls", "--debug"], _environ(tmp_path))
    said = capsys.readouterr()
    assert (said.out, code) == ("", 14 if isinstance(error, Unreachable) else 1)
    assert "Traceback" in said.err
    assert "ValueError: below it" in said.err
    for secret in (JWT, HELD.reveal(), "t0ken-of-a-job", ":pw@"):
        assert secret not in said.err


def test_without_debug_there_are_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _raising(monkeypatch, BadInput(f"`{JWT}` is no name", "give a name"))
    assert run(["ls"], _environ(tmp_path)) == 2
    assert capsys.readouterr().err == "hoopx: `<secret>` is no name\n  give a name\n"


def test_an_answer_that_does_not_come_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _raising(monkeypatch, EOFError())
    assert run(["ls"], _environ(tmp_path)) == 2
    assert "standard input ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["conect"], "connect"),
        (["sessions", "reply"], "replay"),
        (["exec", "prod-db", "--reson", "x", "--", "true"], "--reason"),
        (["ls", "--brokr", "x"], "--broker"),
        (["--versoin"], "--version"),
    ],
)
def test_what_was_mistyped_is_told_what_was_meant(
    arguments: list[str], near: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, _environ(tmp_path)) == 2
    assert f"did you mean `{near}`?" in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("targets", "prod-db", "there is no target `prd-db`"),
        ("sessions", "s_4k2m8q0xyz4k2m8q", "there is no session `s_4k2m8q0xyz4k2m8p`"),
        ("sessions", "s_4k2m8q0xyz4k2m8q", "there is no session `s_4k2m`"),
        ("requests", "r_1234567890", "there is no request `r_123457890` that you may see"),
        ("leases", "l_4k2m8q0xyz4k2m8q", "there is no lease `l_4k2m8q0`"),
    ],
)
def test_a_name_that_nobody_knows_is_told_which_was_meant(
    kind: str,
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(Settings("https://b:443", None, tmp_path), kind, ["another-one", name])
    assert meant(message, tmp_path) == name
    _raising(monkeypatch, Unknown(message, "`hoopx ls` lists them"))
    assert run(["ls"], _environ(tmp_path)) == 2
    assert capsys.readouterr().err == f"hoopx: {message}\n  did you mean `{name}`? `hoopx ls` lists them\n"


def test_nothing_is_guessed_where_nothing_is_near(tmp_path: Path) -> None:
    assert nearest("s_4k2m", ["s_4k2m1", "s_4k2m2", "x"]) in ("s_4k2m1", "s_4k2m2")  # both are as near
    assert nearest("zzz", ["prod-db"]) == ""
    assert meant("there is no target `x`", tmp_path) == ""
    (tmp_path / "names" / "b_443" / "_").mkdir(parents=True)
    (tmp_path / "names" / "b_443" / "_" / "targets").write_bytes(b"\xff\xfe")
    (tmp_path / "names" / "b_443" / "_" / "targets").chmod(0o600)
    assert meant("there is no target `x`", tmp_path) == ""


@pytest.mark.parametrize("redirect", ["> /dev/full", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["--help", "completion bash"])
def test_streams_that_are_full_or_closed_make_no_noise(tmp_path: Path, arguments: str, redirect: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{HOOPX}' {arguments} {redirect}"],
        env={"HOOPX_HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "full" in redirect:
        assert (done.returncode, "cannot be written: no space left" in done.stderr) == (2, True)
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("target", "token"), [(b"\xff", b"x"), (b"prod-db", b"\xfe")])
def test_bytes_that_are_no_text_are_bad_usage_and_no_bug_of_ours(tmp_path: Path, target: bytes, token: bytes) -> None:
    done = subprocess.run(
        [HOOPX, "show", target],
        env={b"HOOPX_HOME": os.fsencode(tmp_path), b"HOOPX_TOKEN": token, b"HOOPX_BROKER": b"https://127.0.0.1:9"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"is not UTF-8\n  write it" in done.stderr) == (2, True), done.stderr
