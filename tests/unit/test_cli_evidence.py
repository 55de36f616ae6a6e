"""Recordings on the laptop: proved, told again and taken out without any broker."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli_stage import HOOPX

GOLDEN = Path(__file__).parents[1] / "golden" / "recordings"
RECORDING = GOLDEN / "v1.hoopx"


def hoopx(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"HOME": str(home), "HOOPX_BROKER": "https://127.0.0.1:9", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run([HOOPX, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def key() -> str:
    return (GOLDEN / "v1.vkey").read_text().strip()


def test_a_file_and_a_key_are_proof_enough(tmp_path: Path, key: str) -> None:
    done = hoopx(tmp_path, "sessions", "verify", str(RECORDING), "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert "whole and unchanged" in done.stdout
    told = json.loads(hoopx(tmp_path, "sessions", "verify", str(RECORDING), "--key", key, "-o", "json").stdout)
    assert told["entries"] > 0


def test_a_flipped_byte_is_bad_input_and_names_its_entry(tmp_path: Path, key: str) -> None:
    broken = bytearray(RECORDING.read_bytes())
    broken[len(broken) // 2] ^= 1
    (tmp_path / "broken.hoopx").write_bytes(broken)
    done = hoopx(tmp_path, "sessions", "verify", str(tmp_path / "broken.hoopx"), "--key", key)
    assert (done.returncode, done.stdout) == (2, "")
    assert "entry" in done.stderr


@pytest.mark.parametrize("key", ["nonsense", "a+b+c", ""])
def test_a_wrong_key_proves_nothing(tmp_path: Path, key: str) -> None:
    assert hoopx(tmp_path, "sessions", "verify", str(RECORDING), "--key", key).returncode != 0


def test_a_replay_into_a_pipe_comes_at_once_and_drives_no_terminal(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "sessions", "replay", str(RECORDING))
    assert done.returncode == 0
    assert done.stdout == (GOLDEN / "v1.txt").read_text()
    assert "\x1b" not in done.stdout


def test_a_replay_as_json_is_one_object_a_line(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "sessions", "replay", str(RECORDING), "-o", "json")
    assert done.stdout == (GOLDEN / "v1.jsonl").read_text()


def test_an_export_is_private_and_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "copy.hoopx"
    assert hoopx(tmp_path, "sessions", "export", str(RECORDING), "--to", str(copy)).returncode == 0
    assert copy.read_bytes() == RECORDING.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_an_export_never_writes_over_anything(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("evidence")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        assert hoopx(tmp_path, "sessions", "export", str(RECORDING), "--to", str(tmp_path / name)).returncode == 2
    assert (tmp_path / "there").read_text() == "evidence"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "sessions", "replay", "./nowhere.hoopx")
    assert done.returncode == 2
    assert "nowhere.hoopx" in done.stderr


def test_policies_are_checked_and_tried_without_a_broker(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    rule = '@id("all")\npermit (principal, action, resource);\n'
    (tmp_path / "policies" / "all.cedar").write_text(rule)
    place = str(tmp_path / "policies")
    assert hoopx(tmp_path, "policy", "check", place).returncode == 0
    case = "- name: drops are refused\n  as: {user: ann}\n  on: {target: t}\n  sql: drop table t\n"
    (tmp_path / "policies" / "all.yaml").write_text(case + "  expect: {decision: deny}\n")
    done = hoopx(tmp_path, "policy", "test", place)
    assert done.returncode == 2
    assert "all.yaml:1: drops are refused" in done.stdout
    assert done.stderr.startswith("hoopx: 1 of 1 cases failed\n")


def test_broken_policies_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    for name in ("one", "two"):
        (tmp_path / "policies" / f"{name}.cedar").write_text(
            f'@id("{name}")\npermit (principal, action, resource) when {{\n'
        )
    done = hoopx(tmp_path, "policy", "check", str(tmp_path / "policies"))
    assert done.returncode == 2
    assert "one.cedar:" in done.stdout
    assert "two.cedar:" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["sessions", "replay"],
        ["sessions", "tail", "-n", "100"],
        ["sessions", "export", "--format", "jsonl"],
        ["policy", "explain", "--connect"],
    ],
)
def test_an_encrypted_recording_is_read_with_its_identity_alone(tmp_path: Path, command: list[str]) -> None:
    recording = str(GOLDEN / "v2-encrypted.hoopx")
    named = [*command, "--recording", recording] if command[0] == "policy" else [*command, recording]
    locked = hoopx(tmp_path, *named)
    assert (locked.returncode, locked.stdout) == (2, "")
    assert "--identity" in locked.stderr
    read = hoopx(tmp_path, *named, "--identity", str(GOLDEN / "v2-identity.txt"))
    assert (read.returncode, "prod-db" in read.stdout) == (0, True)
