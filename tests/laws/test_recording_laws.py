"""Laws of recordings: what was written is what is read, and no change of the file goes unseen."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.recording.blocks import HEADER
from hoopx_broker.recording.cells import UnreadableRow, rows, shown
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.inert import inert
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import jsonl, lines
from hoopx_broker.recording.verify import prove
from hoopx_broker.terms.entries import (
    Columns,
    CopyData,
    Entry,
    Executed,
    Failed,
    Finished,
    Notice,
    Rows,
    Statement,
    StreamClosed,
    StreamOpened,
)
from hoopx_broker.tlog.notes import BadNote, open_note
from tests.unit.recording_scene import ENTRIES, KEY, OPENED, HandClock, cut_up, data_row, record

TEXT = st.text(max_size=20)
BYTES = st.binary(max_size=60)
NUMBER = st.integers(0, 2**63)
CELLS = st.lists(st.none() | BYTES, max_size=5)
ROWS = st.lists(CELLS, max_size=4).map(lambda told: b"".join(data_row(*cells) for cells in told)) | BYTES
ENTRY: st.SearchStrategy[Entry] = st.one_of(
    st.builds(StreamOpened, TEXT, st.dictionaries(TEXT, TEXT, max_size=3)),
    st.builds(Statement, TEXT, NUMBER, TEXT, st.sampled_from(["allow", "deny", "ask"]), st.tuples(TEXT)),
    st.builds(Executed, TEXT, NUMBER, NUMBER, CELLS.map(tuple), st.tuples(st.integers(0, 1))),
    st.builds(Columns, TEXT, NUMBER, st.tuples(TEXT), st.tuples(st.integers(0, 4000)), st.tuples(st.integers(0, 1))),
    st.builds(Rows, TEXT, NUMBER, NUMBER, ROWS),
    st.builds(CopyData, TEXT, NUMBER, st.sampled_from(["in", "out"]), BYTES),
    st.builds(Finished, TEXT, NUMBER, TEXT, NUMBER),
    st.builds(Failed, TEXT, NUMBER, TEXT, TEXT, TEXT),
    st.builds(Notice, TEXT, TEXT, TEXT, TEXT),
    st.builds(StreamClosed, TEXT, TEXT),
)


def recorded(batches: Sequence[Sequence[Entry]]) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        recorder = Recorder.create(Path(directory), OPENED, KEY, HandClock())
        for batch in batches:
            recorder.write(batch)
        recorder.seal("bye")
        return recorder.path.read_bytes()


@given(st.lists(st.lists(ENTRY, max_size=4), max_size=4))
def test_what_was_written_is_what_is_read(batches: list[list[Entry]]) -> None:
    whole = recorded(batches)
    read = [found.entry for found in Reader(io.BytesIO(whole))]
    assert read[:-2] == [OPENED, *(entry for batch in batches for entry in batch)]
    assert prove(io.BytesIO(whole), KEY.verifier).entries == len(read) - 1


with tempfile.TemporaryDirectory() as _directory:
    WHOLE = record(Path(_directory)).read_bytes()
PARTS = cut_up(WHOLE)  # the head, and then a block for each entry
STARTS = [len(HEADER) + sum(map(len, PARTS[:n])) for n in range(len(PARTS))]


def blamed(changed: bytes) -> int:
    with pytest.raises(BrokenEvidence) as broken:
        prove(io.BytesIO(changed), KEY.verifier)
    return broken.value.entry


@given(at=st.integers(0, len(WHOLE) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_breaks_the_evidence_at_that_entry(at: int, mask: int) -> None:
    changed = WHOLE[:at] + bytes([WHOLE[at] ^ mask]) + WHOLE[at + 1 :]
    assert blamed(changed) == max(0, sum(start <= at for start in STARTS) - 1)


@given(size=st.integers(0, len(WHOLE) - 1))
def test_a_cut_breaks_the_evidence_where_it_is_cut(size: int) -> None:
    whole_blocks = sum(start + len(part) <= size for start, part in zip(STARTS, PARTS, strict=True))
    missing = len(HEADER) <= size == STARTS[0]  # all of the head
    assert blamed(WHOLE[:size]) == (1 if missing else whole_blocks)


@given(st.lists(st.integers(0, len(PARTS) - 1), max_size=2 * len(PARTS)))
def test_only_one_order_of_the_entries_is_the_recording(order: list[int]) -> None:
    if order != list(range(len(PARTS))):
        good = next((n for n, at in enumerate(order) if at != n), len(order))
        assert blamed(HEADER + b"".join(PARTS[at] for at in order)) == (good if order else 1)


@given(at=st.integers(0, len(WHOLE)), more=st.binary(min_size=1, max_size=50))
def test_no_bytes_can_be_slipped_in(at: int, more: bytes) -> None:
    if WHOLE[:at] + more + WHOLE[at:] != WHOLE:
        assert blamed(WHOLE[:at] + more + WHOLE[at:]) <= sum(start <= at for start in STARTS) + 1


@given(st.binary(max_size=200))
def test_garbage_is_broken_evidence_and_nothing_worse(garbage: bytes) -> None:
    for stream in (garbage, HEADER + garbage, HEADER + PARTS[0] + garbage):
        blamed(stream)


@given(st.binary(max_size=100) | ROWS)
def test_rows_are_read_or_refused_and_nothing_worse(data: bytes) -> None:
    try:
        read = list(rows(data))
    except UnreadableRow:
        return
    assert b"".join(data_row(*cells) for cells in read) == data


@given(st.none() | BYTES, st.integers(0, 4000), st.integers(0, 1))
def test_any_cell_of_any_type_is_shown_on_one_harmless_line(cell: bytes | None, oid: int, form: int) -> None:
    text = shown(cell, oid, form)
    assert (text is None) == (cell is None)
    assert text is None or text.isprintable()


COMMON_TYPES = st.sampled_from([16, 20, 21, 23, 25, 700, 701, 1082, 1083, 1114, 1184, 1700, 2950, 3802])


@given(BYTES | st.binary(min_size=8, max_size=8), COMMON_TYPES)
def test_binary_cells_never_grow_out_of_bounds(cell: bytes, oid: int) -> None:
    text = shown(cell, oid, 1)
    assert text is not None
    assert text.isprintable()
    assert len(text) <= 6 * len(cell) + 100


@given(st.text(alphabet=st.characters()))
def test_inert_text_is_printable_and_stays_inert(text: str) -> None:
    assert inert(text).isprintable()
    assert inert(inert(text)) == inert(text)


@given(st.lists(ENTRY, max_size=6))
def test_every_story_is_harmless_and_every_export_ascii(entries: list[Entry]) -> None:
    story = [(0.0, entry) for entry in entries]
    assert all(line.isprintable() for line in lines(story))
    assert all(line.isascii() and line.isprintable() for line in jsonl(story))


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"])).map(lambda text: text + "\n"))
def test_any_plain_text_is_signed_and_opened_again(text: str) -> None:
    assert open_note(KEY.sign(text), KEY.verifier) == text


NOTE = KEY.sign("hoopx\n\nrecording\n")


@given(at=st.integers(0, len(NOTE) - 1), char=st.characters(exclude_categories=["Cs"]))
def test_no_character_of_a_note_is_free_to_vary(at: int, char: str) -> None:
    changed = NOTE[:at] + char + NOTE[at + 1 :]
    if changed != NOTE:
        with pytest.raises(BadNote):
            open_note(changed, KEY.verifier)


def test_the_clock_of_the_scene_moves() -> None:
    """The laws above would hold for a recording without times as well."""
    times = [found.t_us for found in Reader(io.BytesIO(WHOLE))]
    assert all(a <= b for a, b in pairwise(times))
    assert len(set(times)) == len(ENTRIES) + 2
