"""Recordings of every version ever written stay readable, provable and tellable, byte for byte.

Those of version 1 are as its recorder wrote them, and are never written again. Those of version 2 are renewed by
running this file, `python -m tests.golden.recordings.test_recording_golden`, and only before it is released.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hoopx_broker.recording.codecs import DICTIONARY_SHA256, dictionary
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.locks import AgeIdentity, Lock
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import jsonl, lines, moments
from hoopx_broker.recording.verify import verify
from tests.unit.blocks_scene import (
    BATCHES,
    BEGIN,
    RECIPIENT,
    TOLD,
    plain,
    record_2,
    recorder,
    signed,
)
from tests.unit.blocks_scene import IDENTITY as SECRET_KEY
from tests.unit.recording_scene import KEY, cut_up

HERE = Path(__file__).parent
RECORDING = HERE / "v1.hoopx"
DOCS = HERE.parents[2] / "docs"
DOCUMENT = DOCS / "recording-format.md"
DOCUMENT_1 = DOCS / "recording-format-1.md"
DICTIONARY = DOCS / "recording-format-2.dictionary"
IDENTITY = HERE / "v2-identity.txt"
FILES_2 = ("v2", "v2-plain", "v2-encrypted", "v2-unfinished", "v2-encrypted-unfinished")


def vkey() -> str:
    return (HERE / "v1.vkey").read_text(encoding="utf-8")


def as_text(path: Path) -> str:
    with path.open("rb") as file:
        return "\n".join(lines(moments(file))) + "\n"


def as_jsonl(path: Path) -> str:
    with path.open("rb") as file:
        return "\n".join(jsonl(moments(file))) + "\n"


def test_version_1_is_still_proved() -> None:
    proof = verify(RECORDING, vkey())
    assert (proof.session, proof.entries, proof.unfinished) == ("s_0123456789abcdef", 17, False)


def test_version_1_is_still_told_the_same() -> None:
    assert as_text(RECORDING) == (HERE / "v1.txt").read_text(encoding="utf-8")


def test_version_1_is_still_exported_the_same() -> None:
    exported = as_jsonl(RECORDING)
    assert exported == (HERE / "v1.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["seq"] for line in exported.splitlines()] == list(range(1, 19))


def reader(
    path: Path, recording: Path, key: str, *more: Path, document: Path = DOCUMENT_1
) -> subprocess.CompletedProcess[str]:
    """Run the reader that the document shows."""
    found = re.search(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (path / "reader.py").write_text(found[1], encoding="utf-8")
    command = [sys.executable, "-I", str(path / "reader.py"), str(recording), key, *map(str, more)]
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


@pytest.mark.parametrize("name", FILES_2)
def test_version_2_is_still_proved_and_read(name: str) -> None:
    path = HERE / f"{name}.hoopx"
    proof = verify(path, vkey())
    assert (proof.session, proof.entries, proof.format) == ("s_0123456789abcdef", len(TOLD) + 1, 2)
    assert (proof.unfinished, proof.encrypted) == ("unfinished" in name, "encrypted" in name)
    with path.open("rb") as file:
        told = [recorded.entry for recorded in Reader(file, AgeIdentity.load(IDENTITY))]
    assert told[:-2] == TOLD


@pytest.mark.parametrize("name", FILES_2)
def test_the_reader_in_the_document_reads_version_2(tmp_path: Path, name: str) -> None:
    done = reader(tmp_path, HERE / f"{name}.hoopx", vkey(), DICTIONARY, IDENTITY, document=DOCUMENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(TOLD) + 2


def test_the_reader_in_the_document_proves_what_it_cannot_read(tmp_path: Path) -> None:
    done = reader(tmp_path, HERE / "v2-encrypted.hoopx", vkey(), DICTIONARY, document=DOCUMENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2  # the end and the seal


def test_the_reader_in_the_document_refuses_damaged_blocks(tmp_path: Path) -> None:
    whole = (HERE / "v2.hoopx").read_bytes()
    for damaged in (whole[:700] + bytes([whole[700] ^ 1]) + whole[701:], whole[:-500], whole * 2):
        (tmp_path / "damaged.hoopx").write_bytes(damaged)
        assert reader(tmp_path, tmp_path / "damaged.hoopx", vkey(), DICTIONARY, document=DOCUMENT).returncode != 0


def test_the_golden_files_hold_every_codec() -> None:
    held = {block[4] for name in FILES_2 for block in cut_up((HERE / f"{name}.hoopx").read_bytes())}
    assert {0, 1, 2, 0x81, 0x82} <= held


def test_the_dictionary_is_the_one_of_the_document() -> None:
    assert DICTIONARY.read_bytes() == dictionary()
    assert f"`{DICTIONARY_SHA256}`" in DOCUMENT.read_text(encoding="utf-8")


def renew() -> None:
    IDENTITY.write_text(f"# of the golden files, and no secret\n# public key: {RECIPIENT}\n{SECRET_KEY}\n")
    with tempfile.TemporaryDirectory() as named:
        for name in FILES_2:
            (HERE / f"{name}.hoopx").write_bytes(_made(Path(named) / name, name))


def _made(directory: Path, name: str) -> bytes:
    if name == "v2-plain":
        first, pieces = 2, [*BEGIN]
        for batch in BATCHES:
            pieces.append(plain(first, *batch, t_us=first))
            first += len(batch)
        return signed(*pieces, t_us=first)
    lock = Lock.make([RECIPIENT]) if "encrypted" in name else None
    if "unfinished" not in name:
        return record_2(directory, lock=lock)
    writing = recorder(directory, lock=lock)
    for batch in BATCHES:
        writing.write(batch)
    crashed = directory / "crashed.hoopx"
    crashed.write_bytes(writing.path.read_bytes())
    Recorder.repair(crashed, KEY)
    return crashed.read_bytes()


if __name__ == "__main__":
    renew()
