"""Both ends of a recording say what the whole does; whatever is changed in them is seen, and garbage is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.recording.ends import END_SIZE, seal_at, session_at
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.locks import Lock
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import prove
from tests.unit.blocks_scene import RECIPIENT, recorder
from tests.unit.recording_scene import ENTRIES, KEY, OTHER_KEY, cut_up, pieces, record, record_1

KINDS = ("version 1", "version 2", "encrypted", "unfinished")


def made(kind: str, directory: Path) -> bytes:
    if kind == "version 1":
        return record_1(directory).read_bytes()
    if kind == "version 2":
        return record(directory).read_bytes()
    writing = recorder(directory, lock=Lock.make([RECIPIENT]) if kind == "encrypted" else None)
    writing.write(ENTRIES)
    if kind == "encrypted":
        writing.seal("bye")
        return writing.path.read_bytes()
    crashed = directory / "crashed.hoopx"
    crashed.write_bytes(writing.path.read_bytes())
    Recorder.repair(crashed, KEY)
    return crashed.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_they_say_what_the_whole_says_and_any_flipped_byte_is_seen(kind: str, tmp_path: Path) -> None:
    whole = made(kind, tmp_path)
    proof = prove(io.BytesIO(whole), KEY.verifier)
    told = seal_at(whole[-END_SIZE:], KEY.verifier)
    assert session_at(whole[:END_SIZE]) == told.session == proof.session
    for name in ("format", "entries", "blocks", "root", "unfinished"):
        assert getattr(told, name) == getattr(proof, name)
    parts = pieces(whole) if kind == "version 1" else cut_up(whole)
    head, seal = len(whole) - sum(map(len, parts[1:])), len(parts[-1])
    for at in range(head):
        with pytest.raises(BrokenEvidence):
            session_at(flipped(whole, at))
    for at in range(len(whole) - seal, len(whole)):
        with pytest.raises(BrokenEvidence):
            seal_at(flipped(whole, at)[-END_SIZE:], KEY.verifier)
    for size in (0, 5, 18, 40, head - 1, len(whole) - 1):
        with pytest.raises(BrokenEvidence):
            session_at(whole[: min(size, head - 1)])
        with pytest.raises(BrokenEvidence):
            seal_at(whole[:size], KEY.verifier)
    with pytest.raises(BrokenEvidence, match="the seal does not hold"):
        seal_at(whole, OTHER_KEY.verifier)


def flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]


@given(st.binary(max_size=200), st.sampled_from([b"", b"hoopx recording 1\n", b"hoopx recording 2\n"]))
def test_garbage_is_no_recording(garbage: bytes, first: bytes) -> None:
    for data in (first + garbage, first + garbage + b"\xa4type\xa4seal" + garbage):
        with pytest.raises(BrokenEvidence):
            session_at(data)
        with pytest.raises(BrokenEvidence):
            seal_at(data, KEY.verifier)
