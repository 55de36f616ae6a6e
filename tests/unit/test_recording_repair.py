"""After a crash: everything acknowledged is there, the torn end is not, and the seal says what happened."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hoopx_broker.recording.failures import BrokenEvidence, RecordingFailed
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.recording.version1 import HEADER
from hoopx_broker.terms.entries import Ended, Entry, Rows, Seal
from tests.unit.recording_scene import ENDED, ENTRIES, KEY, OPENED, chained, pieces, record_1

WHOLE = chained(OPENED, *ENTRIES)


def crashed(directory: Path, content: bytes) -> Path:
    path = directory / "s_0123456789abcdef.hoopx"
    path.write_bytes(content)
    return path


def on_disk(path: Path) -> list[Entry]:
    return [recorded.entry for recorded in Reader(io.BytesIO(path.read_bytes()))]


def test_a_recording_without_an_end_is_sealed_as_unfinished(tmp_path: Path) -> None:
    path = crashed(tmp_path, WHOLE)
    repaired = Recorder.repair(path, KEY)
    assert (repaired.session, repaired.statements, repaired.denied) == (OPENED.session, 4, 1)
    assert (repaired.was_sealed, repaired.cut) == (False, 0)
    proof = verify(path, KEY.verifier)
    assert (proof.unfinished, proof.entries) == (True, len(ENTRIES) + 2)
    *told, ended, _ = on_disk(path)
    assert told == [OPENED, *ENTRIES]
    assert isinstance(ended, Ended)
    assert "stopped" in ended.reason


def test_a_recording_torn_at_any_byte_keeps_every_whole_entry(tmp_path: Path) -> None:
    parts = pieces(WHOLE)
    last = len(WHOLE) - len(parts[-1])
    for size in range(last + 1, len(WHOLE)):
        path = crashed(tmp_path, WHOLE[:size])
        assert Recorder.repair(path, KEY).cut == size - last
        assert on_disk(path)[:-2] == [OPENED, *ENTRIES[:-1]]
        assert verify(path, KEY.verifier).unfinished


def test_what_is_torn_off_is_kept_beside_the_recording(tmp_path: Path) -> None:
    path = crashed(tmp_path, WHOLE[:-5])
    at = len(WHOLE) - len(pieces(WHOLE)[-1])
    Recorder.repair(path, KEY)
    beside = tmp_path / f"s_0123456789abcdef.torn-{at}"
    assert beside.read_bytes() == WHOLE[at:-5]
    assert beside.stat().st_mode & 0o777 == 0o600


def test_a_repair_that_is_cut_short_anywhere_can_be_repeated(tmp_path: Path) -> None:
    path = crashed(tmp_path, WHOLE)
    Recorder.repair(path, KEY)
    repaired = path.read_bytes()
    for size in range(len(WHOLE), len(repaired)):
        path = crashed(tmp_path, repaired[:size])
        Recorder.repair(path, KEY)
        assert path.read_bytes() == repaired, f"cut to {size} bytes"


def test_a_crash_between_end_and_seal_does_not_end_a_session_twice(tmp_path: Path) -> None:
    path = crashed(tmp_path, chained(OPENED, ENDED))
    Recorder.repair(path, KEY)
    assert [type(entry) for entry in on_disk(path)] == [type(OPENED), Ended, Seal]
    assert verify(path, KEY.verifier).unfinished


def test_a_sealed_recording_is_left_as_it_is(tmp_path: Path) -> None:
    path = record_1(tmp_path)
    before = path.read_bytes()
    repaired = Recorder.repair(path, KEY)
    assert (repaired.was_sealed, repaired.statements, repaired.denied) == (True, 4, 1)
    assert path.read_bytes() == before


def test_damage_that_is_no_torn_end_is_never_cut_away(tmp_path: Path) -> None:
    at = len(WHOLE) - 40
    for damaged in (
        WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :],
        WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
        HEADER + b"".join(pieces(WHOLE)[:3] + pieces(WHOLE)[4:]),
        record_1(tmp_path).read_bytes() + b"more",
        b"something else entirely",
        WHOLE + b"\xff" * 40,
    ):
        path = crashed(tmp_path, damaged)
        with pytest.raises(BrokenEvidence):
            Recorder.repair(path, KEY)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("size", [len(HEADER), len(HEADER) + 2, len(HEADER) + 50])
def test_a_file_in_which_no_session_was_opened_is_left_as_it_is(tmp_path: Path, size: int) -> None:
    path = crashed(tmp_path, WHOLE[:size])
    with pytest.raises(BrokenEvidence):
        Recorder.repair(path, KEY)
    assert path.stat().st_size == size


def test_a_missing_recording_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailed):
        Recorder.repair(tmp_path / "s_none.hoopx", KEY)
    path = crashed(tmp_path, WHOLE)
    (tmp_path / "s_link.hoopx").symlink_to(path)
    with pytest.raises(RecordingFailed):
        Recorder.repair(tmp_path / "s_link.hoopx", KEY)


def test_a_disk_that_is_still_full_leaves_the_recording_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = crashed(tmp_path, WHOLE)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:50], offset))
    with pytest.raises(RecordingFailed, match="full"):
        Recorder.repair(path, KEY)
    assert path.read_bytes() == WHOLE
    monkeypatch.undo()
    Recorder.repair(path, KEY)
    assert verify(path, KEY.verifier).unfinished


# Says, byte by byte, how many writes have returned, until it is killed.
WRITER = """
import os, sys
from pathlib import Path
from hoopx_broker.terms.entries import Rows
from tests.unit.test_recording_recorder import begin
recorder = begin(Path(sys.argv[1]))
data = bytes(int(sys.argv[2]))
n = 0
while True:
    n += 1
    recorder.write([Rows("t_1", n, 1, data), Rows("t_1", -n, 1, b"")])
    os.write(1, b".")
"""


@pytest.mark.parametrize("size", [10, 4096, 3_000_000])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, size: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
        assert writer.stdout is not None
        heard = writer.stdout.read(20)
        writer.kill()
        heard += writer.stdout.read()
    path = tmp_path / "s_0123456789abcdef.hoopx"
    Recorder.repair(path, KEY)
    assert verify(path, KEY.verifier).unfinished
    kept = [entry.n for entry in on_disk(path) if isinstance(entry, Rows)]
    assert kept[: 2 * len(heard)] == [n for i in range(1, len(heard) + 1) for n in (i, -i)]
    assert len(kept) <= 2 * len(heard) + 2
