"""Recordings of every version ever written stay readable, provable and tellable, byte for byte.

The golden files are renewed by running this file: `python -m tests.golden.recordings.test_recording_golden`.
Only do so for a new version; read the change as a diff.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hoopx_broker.recording.replay import jsonl, lines, moments
from hoopx_broker.recording.verify import verify
from tests.unit.recording_scene import KEY, record

HERE = Path(__file__).parent
RECORDING = HERE / "v1.hoopx"
DOCUMENT = HERE.parents[2] / "docs" / "recording-format.md"


def vkey() -> str:
    return (HERE / "v1.vkey").read_text(encoding="utf-8")


def as_text(path: Path) -> str:
    with path.open("rb") as file:
        return "\n".join(lines(moments(file))) + "\n"


def as_jsonl(path: Path) -> str:
    with path.open("rb") as file:
        return "\n".join(jsonl(moments(file))) + "\n"


def test_the_recorder_still_writes_version_1(tmp_path: Path) -> None:
    assert record(tmp_path).read_bytes() == RECORDING.read_bytes()


def test_version_1_is_still_proved() -> None:
    proof = verify(RECORDING, vkey())
    assert (proof.session, proof.entries, proof.unfinished) == ("s_0123456789abcdef", 17, False)


def test_version_1_is_still_told_the_same() -> None:
    assert as_text(RECORDING) == (HERE / "v1.txt").read_text(encoding="utf-8")


def test_version_1_is_still_exported_the_same() -> None:
    exported = as_jsonl(RECORDING)
    assert exported == (HERE / "v1.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["seq"] for line in exported.splitlines()] == list(range(1, 19))


def reader(path: Path, recording: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Run the reader that the document shows."""
    found = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (path / "reader.py").write_text(found[1], encoding="utf-8")
    command = [sys.executable, "-I", str(path / "reader.py"), str(recording), key]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def test_the_reader_in_the_document_reads_version_1(tmp_path: Path) -> None:
    done = reader(tmp_path, RECORDING, vkey())
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 18


@pytest.mark.parametrize("damage", ["flip", "cut", "key", "more"])
def test_the_reader_in_the_document_refuses_what_is_damaged(tmp_path: Path, damage: str) -> None:
    whole = RECORDING.read_bytes()
    content = {
        "flip": whole.replace(b"drop table", b"drop Table"),
        "cut": whole[:-400],
        "key": whole,
        "more": whole * 2,
    }
    key = vkey() if damage != "key" else "x+00000000+" + "AQ" + "A" * 42
    (tmp_path / "damaged.hoopx").write_bytes(content[damage])
    assert reader(tmp_path, tmp_path / "damaged.hoopx", key).returncode != 0


def test_the_document_names_every_entry_and_every_field() -> None:
    from hoopx_broker.terms import entries

    document = DOCUMENT.read_text(encoding="utf-8")
    for kind in entries.Entry.__args__:
        (row,) = re.findall(rf"^\| `{kind.__struct_config__.tag}` \|.*$", document, re.MULTILINE)
        assert set(kind.__struct_fields__) <= set(re.findall(r"`([a-z_]+)`", row))


def renew() -> None:
    with tempfile.TemporaryDirectory() as directory:
        RECORDING.write_bytes(record(Path(directory)).read_bytes())
    (HERE / "v1.vkey").write_text(KEY.verifier + "\n", encoding="utf-8")
    (HERE / "v1.txt").write_text(as_text(RECORDING), encoding="utf-8")
    (HERE / "v1.jsonl").write_text(as_jsonl(RECORDING), encoding="utf-8")


if __name__ == "__main__":
    renew()
