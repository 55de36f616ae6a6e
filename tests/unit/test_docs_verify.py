"""docs/verify.md is true: its commands check an exported file without hoopx, and find what was changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from hoopx_broker.recording.bundle import head
from hoopx_broker.tlog.checkpoints import Checkpoint
from hoopx_broker.tlog.notes import sign_by
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proofs import inclusion as inclusion_of
from hoopx_broker.tlog.tree import grown, leaf_hash, nothing, root_hash
from tests.unit.bundle_scene import FIRST, ORIGIN, exported
from tests.unit.recording_scene import KEY, OTHER_KEY

PAGE = (Path(__file__).parents[2] / "docs/verify.md").read_text(encoding="utf-8")
APART, SIGNATURE = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(INCLUSION,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "evidence.hoopx").write_bytes(exported(tmp_path / "broker"))
    return tmp_path


def signature(place: Path, key: str = KEY.verifier) -> subprocess.CompletedProcess[str]:
    size = APART.splitlines()[0]
    environ = {"PATH": "/usr/bin:/bin", "KEY": key}
    script = ["sh", "-c", f"{size}\n{SIGNATURE}"]
    return subprocess.run(script, cwd=place, env=environ, capture_output=True, text=True, timeout=60, check=False)


def inclusion(place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", INCLUSION, "evidence.hoopx"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)


def change(place: Path, old: bytes, new: bytes) -> None:
    file = place / "evidence.hoopx"
    whole = file.read_bytes()
    assert whole.count(old) == 1
    assert len(old) == len(new)
    file.write_bytes(whole.replace(old, new))


def test_openssl_checks_the_checkpoint_by_the_key_alone(place: Path) -> None:
    done = signature(place)
    assert (done.returncode, "Verified Successfully" in done.stdout) == (0, True), done.stderr
    assert signature(place, OTHER_KEY.verifier).returncode != 0
    change(place, rb"\n5\n", rb"\n6\n")
    assert signature(place).returncode != 0


def test_python_alone_finds_the_leaf_in_the_log(place: Path) -> None:
    done = inclusion(place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["type"] == "session.sealed"
    change(place, rb"\"session.sealed\"", rb"\"session.healed\"")
    changed = inclusion(place)
    assert (changed.returncode, changed.stdout) == (1, "")
    assert "the leaf is not in this log" in changed.stderr


def test_it_is_right_about_every_place_in_logs_of_many_sizes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, file = place / "inclusion.py", place / "evidence.hoopx"
    script.write_text(INCLUSION)
    monkeypatch.setattr(sys, "argv", ["inclusion.py", str(file)])
    for size in range(1, 12):
        read = grown(0, [leaf_hash(str(at).encode()) for at in range(size)], nothing)
        note = sign_by(Checkpoint(ORIGIN, size, root_hash(size, read)).text(), [FIRST])
        for at in range(size):
            hashes = inclusion_of(at, size, read)
            file.write_bytes(head(str(at).encode(), ProofFile(at, hashes, note)))
            run_path(str(script))
            for wrong in (ProofFile((at + 1) % size, hashes, note), ProofFile(at, (*hashes, bytes(32)), note)):
                file.write_bytes(head(str(at).encode(), wrong))
                if wrong.index == at and wrong.inclusion == hashes:
                    continue  # the only place of a log with one leaf
                with pytest.raises(AssertionError):
                    run_path(str(script))
