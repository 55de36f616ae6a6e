"""A crash at any byte of a recording of version 2, or of its repair, costs what was half written and nothing else."""

from __future__ import annotations

import io
from itertools import accumulate
from pathlib import Path

import pytest

from hoopx_broker.recording import repair as repairing
from hoopx_broker.recording.blocks import HEADER
from hoopx_broker.recording.failures import RecordingFailed, TornEnd
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.locks import Lock
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.terms.entries import Ended, Entry, Rows, Seal
from tests.unit.blocks_scene import AGE, RECIPIENT, SMALL, TERMINAL, recorder
from tests.unit.recording_scene import ENDED, KEY, OPENED, cut_up, data_row

# The last is pressed.
BATCHES: tuple[tuple[Entry, ...], ...] = (SMALL, TERMINAL, (Rows("t_1", 2, 20, data_row(b"somebody") * 20),))
KINDS = ("clear", "encrypted")


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a broker has written of a session that goes on."""
    lock = Lock.make([RECIPIENT]) if request.param == "encrypted" else None
    writing = recorder(tmp_path_factory.mktemp("whole"), lock=lock)
    for batch in BATCHES:
        writing.write(batch)
    return writing.path.read_bytes()


def ends(whole: bytes) -> list[int]:
    """Where its blocks end, that with the opening first."""
    return list(accumulate(map(len, cut_up(whole)), initial=len(HEADER)))[2:]


def crashed(directory: Path, content: bytes) -> Path:
    path = directory / f"{OPENED.session}.hoopx"
    path.write_bytes(content)
    return path


def told(path: Path) -> list[Entry]:
    return [recorded.entry for recorded in Reader(io.BytesIO(path.read_bytes()), AGE)]


def test_a_recording_torn_at_any_byte_keeps_every_whole_block(whole: bytes, tmp_path: Path) -> None:
    bounds = ends(whole)
    for size in range(bounds[0], len(whole) + 1):
        kept = max(end for end in bounds if end <= size)
        path = crashed(tmp_path, whole[:size])
        repaired = Recorder.repair(path, KEY)
        assert (repaired.was_sealed, repaired.cut) == (False, size - kept), f"torn at {size}"
        assert path.read_bytes()[:kept] == whole[:kept]
        proof = verify(path, KEY.verifier)
        assert (proof.unfinished, proof.bytes) == (True, path.stat().st_size)
        assert (repaired.seal.root, repaired.seal.entries) == (proof.root, proof.entries)
        if size > kept:
            assert path.with_suffix(f".torn-{kept}").read_bytes() == whole[kept:size]
            path.with_suffix(f".torn-{kept}").unlink()


def test_what_is_kept_of_a_torn_recording_reads_as_it_was_told(whole: bytes, tmp_path: Path) -> None:
    for number, end in enumerate(ends(whole)):
        path = crashed(tmp_path, whole[: end + 7])
        Recorder.repair(path, KEY)
        *before, ended, last = told(path)
        assert before == [OPENED, *(entry for batch in BATCHES[:number] for entry in batch)]
        assert isinstance(ended, Ended)
        assert isinstance(last, Seal)


def test_a_repair_that_is_cut_short_anywhere_can_be_repeated(whole: bytes, tmp_path: Path) -> None:
    path = crashed(tmp_path, whole)
    Recorder.repair(path, KEY)
    repaired = path.read_bytes()
    for size in range(len(whole), len(repaired)):
        path = crashed(tmp_path, repaired[:size])
        again = Recorder.repair(path, KEY)
        proof = verify(path, KEY.verifier)
        assert (proof.unfinished, proof.entries, again.seal.root) == (True, 8, proof.root), f"cut to {size} bytes"
        assert path.read_bytes()[: len(whole)] == whole


def test_a_crash_between_end_and_seal_does_not_end_a_session_twice(whole: bytes, tmp_path: Path) -> None:
    writing = recorder(tmp_path)
    writing.seal("bye")
    sealed = writing.path.read_bytes()
    path = crashed(tmp_path, sealed[: ends(sealed)[1]])
    Recorder.repair(path, KEY)
    assert [type(entry) for entry in told(path)] == [type(OPENED), type(ENDED), Seal]
    assert verify(path, KEY.verifier).unfinished


def test_a_file_in_which_no_session_was_opened_is_left_as_it_is(whole: bytes, tmp_path: Path) -> None:
    for size in range(len(HEADER), ends(whole)[0]):
        path = crashed(tmp_path, whole[:size])
        with pytest.raises(TornEnd):
            Recorder.repair(path, KEY)
        assert path.read_bytes() == whole[:size]


def test_what_a_repair_gives_is_on_the_disk(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = crashed(tmp_path, whole[:-3]), list[bytes]()
    monkeypatch.setattr(repairing, "sync", lambda _: synced.append(path.read_bytes()))
    seal = Recorder.repair(path, KEY).seal
    assert synced == [path.read_bytes()]
    # Sealed by one who was cut off before the fsync: the log must not hear of a seal that a power cut takes away.
    assert Recorder.repair(path, KEY).seal == seal
    assert synced == [path.read_bytes()] * 2


def test_a_disk_that_does_not_confirm_a_repair_fails_it(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    path = crashed(tmp_path, whole)
    monkeypatch.setattr(repairing, "sync", fails)
    with pytest.raises(RecordingFailed, match="Input/output error"):
        Recorder.repair(path, KEY)
    monkeypatch.undo()
    assert Recorder.repair(path, KEY).unfinished
