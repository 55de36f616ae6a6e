"""Where policy says so, a recording holds a digest of rows, or how much it was, and says that it does."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import jsonl, lines, moments
from hoopx_broker.recording.verify import verify
from hoopx_broker.session.reduction import reduced
from hoopx_broker.terms.entries import CopyData, Entry, Rows, Statement
from tests.unit.recording_scene import KEY, OPENED, HandClock

ROW = b"D" + (17).to_bytes(4, "big") + b"\0\1" + (7).to_bytes(4, "big") + b"secret!"
COPIED = b"d" + (12).to_bytes(4, "big") + b"secret!\n"
SAID: list[Entry] = [
    Statement("t_1", 1, "select 'kept'", "allow"),
    Rows("t_1", 1, 1, ROW),
    CopyData("t_1", 2, "in", COPIED),
]


@pytest.mark.parametrize("detail", ["digest", "shape"])
def test_a_reduced_recording_holds_no_row(tmp_path: Path, detail: Literal["digest", "shape"]) -> None:
    recorder = Recorder.create(tmp_path, structs.replace(OPENED, record=detail), KEY, HandClock())
    less = reduced(SAID, detail)
    assert less[0] is SAID[0]
    recorder.write(less)
    recorder.seal("bye")
    assert b"secret!" not in recorder.path.read_bytes()
    verify(recorder.path, KEY.verifier)
    with recorder.path.open("rb") as file:
        told = [json.loads(line) for line in jsonl(moments(file))]
    with recorder.path.open("rb") as file:
        shown = "\n".join(lines(moments(file)))
    assert f"1 rows, {len(ROW)} bytes that policy keeps out of recordings" in shown
    assert (sha256(COPIED).hexdigest() in shown) == (detail == "digest")
    assert told[0]["record"] == detail
    digests = [each.get("sha256") for each in told[2:4]]
    wanted = [sha256(data).hexdigest() for data in (ROW, COPIED)]
    assert digests == (wanted if detail == "digest" else [None, None])
    assert [(each["length"], "data" in each, "rows" in each) for each in told[2:4]] == [
        (len(ROW), False, False),
        (len(COPIED), False, False),
    ]


def test_a_full_recording_is_left_as_it_is() -> None:
    assert reduced(SAID, "full") is SAID
