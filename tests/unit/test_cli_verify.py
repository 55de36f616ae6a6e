"""`hoopx sessions verify` on a machine with nothing but the file and the key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.unit.bundle_scene import ORIGIN, WITNESS, bundled, exported
from tests.unit.recording_scene import KEY

GOLDEN = Path(__file__).parents[1] / "golden" / "recordings"


def hoopx(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hoopx_cli", "sessions", "verify", "-o", "json", *arguments]
    environment = {"HOME": str(home), "HOOPX_BROKER": "https://127.0.0.1:1"}
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False)


def test_a_stranger_proves_an_exported_file_with_the_key_and_the_witness_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    file = home / "evidence.hoopx"
    file.write_bytes(exported(tmp_path / "broker"))
    found = hoopx(home, str(file), "--key", KEY.verifier, "--witness", str(WITNESS))
    assert found.returncode == 0, found.stderr
    log = json.loads(found.stdout)["log"]
    assert (log["origin"], log["index"], log["size"], log["signed_by"]) == (ORIGIN, 2, 5, KEY.verifier)
    assert log["cosigned"] == [{"witness": WITNESS.name, "at": 1_700_000_003}]
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    broken = hoopx(home, str(file), "--key", KEY.verifier)
    assert broken.returncode == 2
    missing = hoopx(home, "./no-such-file")
    assert (missing.returncode, "cannot be read" in missing.stderr) == (2, True), "no broker is asked about it"
    assert "the proof part: its hash does not come out" in broken.stderr


def test_an_encrypted_recording_is_proved_by_who_cannot_read_it_and_named_by_who_can(tmp_path: Path) -> None:
    file = tmp_path / "evidence.hoopx"
    file.write_bytes(bundled((GOLDEN / "v2-encrypted.hoopx").read_bytes()))
    told = []
    for identity in ((), ("--identity", str(GOLDEN / "v2-identity.txt"))):
        found = hoopx(tmp_path, str(file), "--key", KEY.verifier, *identity)
        assert found.returncode == 0, found.stderr
        told.append(json.loads(found.stdout))
    without, read = told
    assert (without["encrypted"], without["user"], without["target"]) == (True, "", "")
    assert read["target"] == "prod-db"
    assert without["log"]
    assert read["log"] == without["log"]
    changed = bytearray(file.read_bytes())
    changed[-700] ^= 1
    file.write_bytes(changed)
    broken = hoopx(tmp_path, str(file), "--key", KEY.verifier)
    assert (broken.returncode, broken.stdout) == (2, "")
    assert "block" in broken.stderr
