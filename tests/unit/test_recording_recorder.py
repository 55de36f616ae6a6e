"""A recorder writes before it returns, and after its first failure it never writes again."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.recording import recorder as recorder_room
from hoopx_broker.recording import version2 as format_room
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.format import Reader, path_of
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import moments
from hoopx_broker.recording.verify import verify
from hoopx_broker.terms.entries import Ended, Entry, Notice, Rows, Seal, Statement
from hoopx_broker.terms.errors import BadInput
from tests.unit.recording_scene import ENDED, ENTRIES, KEY, OPENED, HandClock, record

NOTICE = Notice("t_1", "NOTICE", "00000", "hello")


def begin(directory: Path, clock: Callable[[], float] | None = None) -> Recorder:
    return Recorder.create(directory, OPENED, KEY, clock or HandClock())


def on_disk(path: Path) -> list[Entry]:
    return [recorded.entry for recorded in Reader(io.BytesIO(path.read_bytes()))]


def refuses_everything(recorder: Recorder, why: str) -> None:
    for entries in ([NOTICE], []):
        with pytest.raises(RecordingFailed, match=why):
            recorder.write(entries)
    with pytest.raises(RecordingFailed, match=why):
        recorder.seal("again")


def write_many(recorder: Recorder, times: int) -> None:
    for _ in range(times):
        recorder.write([NOTICE])


def test_an_entry_is_on_disk_before_write_returns(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    assert on_disk(recorder.path) == [OPENED]
    for n, entry in enumerate(ENTRIES, 1):
        recorder.write([entry])
        assert on_disk(recorder.path) == [OPENED, *ENTRIES[:n]]
        assert recorder.size == recorder.path.stat().st_size
    recorder.seal("bye")


def test_many_entries_go_in_one_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = begin(tmp_path)
    appends: list[int] = []

    def counted(fd: int, data: list[bytes], real: Callable[[int, list[bytes]], int] = os.writev) -> int:
        appends.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "writev", counted)
    recorder.write(ENTRIES)
    recorder.seal("bye")
    assert len(appends) == 2


def test_a_recording_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    path = record(tmp_path / "new" / "recordings")
    assert path == path_of(tmp_path / "new" / "recordings", OPENED.session)
    assert path.name == "s_0123456789abcdef.hoopx"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_recording_never_replaces_another(tmp_path: Path) -> None:
    before = record(tmp_path).read_bytes()
    with pytest.raises(RecordingFailed, match="File exists"):
        begin(tmp_path)
    assert path_of(tmp_path, OPENED.session).read_bytes() == before


@pytest.mark.parametrize("session", ["", "../s_1", "a/b", ".", "s_1\n", "s_1\0", "é", "x" * 65, "a b"])
def test_what_cannot_be_an_id_never_becomes_a_path(tmp_path: Path, session: str) -> None:
    with pytest.raises(BadInput):
        Recorder.create(tmp_path, msgspec.structs.replace(OPENED, session=session), KEY, HandClock())
    assert not list(tmp_path.iterdir())


def test_a_directory_that_anyone_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(RecordingFailed, match="anyone may write"):
        begin(tmp_path)


def test_a_directory_that_is_none_fails_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingFailed) as failed:
        begin(tmp_path / "file" / "recordings")
    assert "\n" not in failed.value.message


def test_times_count_from_the_opening_in_microseconds(tmp_path: Path) -> None:
    with record(tmp_path).open("rb") as file:
        told = [seconds for seconds, _ in moments(file)]
    assert told[:3] == [0.0, 0.25, 0.5]
    assert told[-1] == told[-2]  # the seal bears the time of the end


def test_a_clock_that_is_set_back_stands_still(tmp_path: Path) -> None:
    ticks = iter([50.0, 60.0, 10.0, 55.0, 61.0])
    recorder = begin(tmp_path, lambda: next(ticks))
    for _ in range(3):
        recorder.write([NOTICE])
    recorder.seal("bye")
    verify(recorder.path, KEY.verifier)
    with recorder.path.open("rb") as file:
        assert [seconds for seconds, _ in moments(file)] == [0, 10, 10, 10, 11, 11]
    assert Ended("bye", OPENED.opened_at + 11) in on_disk(recorder.path)


def test_statements_and_denials_are_counted(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    recorder.write(ENTRIES)
    assert (recorder.statements, recorder.denied, recorder.entries) == (4, 1, 1 + len(ENTRIES))


def test_after_the_seal_nothing_more_is_written(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    recorder.seal("bye")
    before = recorder.path.read_bytes()
    refuses_everything(recorder, "sealed")
    assert recorder.path.read_bytes() == before


UNRECORDABLE: list[Entry] = [
    OPENED,
    ENDED,
    Seal("forged"),
    Notice("t_1", "NOTICE", "00000", "half a pair \ud800"),
    Rows("t_1", 1, 1 << 70, b""),
    Rows("t_1", 1, 1, bytes(5000)),
]


@pytest.mark.parametrize("entry", UNRECORDABLE, ids=["opened", "ended", "seal", "surrogate", "integer", "size"])
def test_what_cannot_be_recorded_ends_the_recording_and_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Entry
) -> None:
    monkeypatch.setattr(format_room, "MAX_CONTENT", 5000)
    recorder = begin(tmp_path)
    recorder.write([NOTICE])
    with pytest.raises(RecordingFailed):
        recorder.write([NOTICE, entry, NOTICE])
    refuses_everything(recorder, "recording failed")
    assert on_disk(recorder.path) == [OPENED, NOTICE]


def test_a_quota_ends_a_recording_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_room, "QUOTA", 2000)
    recorder = begin(tmp_path)
    with pytest.raises(RecordingFailed, match="quota"):
        write_many(recorder, 100)
    assert recorder.path.stat().st_size <= 2000
    assert len(on_disk(recorder.path)) > 5


def test_the_seal_is_written_even_at_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = begin(tmp_path)
    monkeypatch.setattr(recorder_room, "QUOTA", recorder.size)
    recorder.seal("bye")
    assert verify(recorder.path, KEY.verifier).entries == 2


def test_a_recording_in_progress_is_locked(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    with recorder.path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(RecordingFailed, match="still being written"):
        Recorder.repair(recorder.path, KEY)
    recorder.seal("bye")
    with recorder.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# The kernel's limit on file sizes makes a write come up short and the next one fail: what a full disk does.
FULL_DISK = """
import resource, sys
from pathlib import Path
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.terms.entries import Statement
from tests.unit.test_recording_recorder import begin
recorder = begin(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
acknowledged = 0
reasons = []
for n in range(1000):
    try:
        recorder.write([Statement("t_1", n, "select " + "x" * 90, "allow")])
        acknowledged += 1
    except RecordingFailed as failed:
        reasons.append(failed.message)
try:
    recorder.seal("bye")
except RecordingFailed as failed:
    reasons.append(failed.message)
print(acknowledged, len(reasons), reasons[0])
"""


@pytest.mark.parametrize("limit", [4000, 4001, 4097, 8192])
def test_a_full_disk_fails_closed_and_loses_nothing_acknowledged(tmp_path: Path, limit: int) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    acknowledged, refused, reason = done.stdout.split(maxsplit=2)
    assert int(refused) == 1001 - int(acknowledged)
    assert "recording failed" in reason
    path = path_of(tmp_path, OPENED.session)
    kept = [e for e in on_disk(path) if isinstance(e, Statement)]
    assert [e.n for e in kept] == list(range(int(acknowledged)))
    assert Recorder.repair(path, KEY).cut == 0
    assert verify(path, KEY.verifier).unfinished


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_full_fails_closed(tmp_path: Path) -> None:
    recorder = begin(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._fd)
    os.close(full)
    with pytest.raises(RecordingFailed, match="No space left"):
        recorder.write([NOTICE])
    with pytest.raises(RecordingFailed, match="No space left"):
        recorder.write([NOTICE])
    assert on_disk(recorder.path) == [OPENED]
