"""A recording is read from any place in it, and what is found there is what reading it all would have found."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hoopx_broker.recording import places
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.places import Played, Tape
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.terms.entries import Columns, Entry, Finished, Rows, Statement, StreamOpened
from hoopx_broker.terms.errors import BadInput
from tests.unit.recording_scene import KEY, OPENED, HandClock, data_row, record_1

STATEMENTS = 40


def entries() -> list[Entry]:
    story: list[Entry] = [StreamOpened("t_1"), StreamOpened("t_2")]
    for n in range(1, STATEMENTS + 1):
        stream = f"t_{1 + n % 2}"
        rows = [Rows(stream, n, 1, data_row(str(n).encode())) for _ in range(3)]
        story += [Statement(stream, n, f"select {n}", "allow"), Columns(stream, n, ("a",), (25,), (0,)), *rows]
        story.append(Finished(stream, n, "SELECT 3", 3))
    return story


@pytest.fixture(params=["version 1", "version 2"])
def recording(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(places, "ENTRIES_APART", 7)
    if request.param == "version 1":
        return record_1(tmp_path, entries()).read_bytes()
    recorder, story = Recorder.create(tmp_path, OPENED, KEY, HandClock()), entries()
    for at in range(0, len(story), 5):  # blocks of several entries, so that places are within them
        recorder.write(story[at : at + 5])
    recorder.seal("over")
    return recorder.path.read_bytes()


def all_of(recording: bytes) -> list[tuple[int, float, Entry]]:
    return [(each.seq, each.t_us / 1e6, each.entry) for each in Reader(io.BytesIO(recording))]


def test_reading_from_any_place_gives_what_follows_there(recording: bytes) -> None:
    tape, whole = Tape(io.BytesIO(recording)), all_of(recording)
    assert len(tape.places) > 20
    assert (tape.seconds, tape.statements) == (whole[-1][1], STATEMENTS)
    for place in reversed(tape.places):
        rest = list(tape.read(place))
        before, after = whole[: len(whole) - len(rest)], whole[len(whole) - len(rest) :]
        assert [(each.seq, each.seconds, each.entry) for each in rest] == after
        assert place.statements == sum(isinstance(entry, Statement) for _, _, entry in before)


def test_a_reading_tells_where_it_is_and_can_go_on_from_there(recording: bytes) -> None:
    tape, whole = Tape(io.BytesIO(recording)), all_of(recording)
    here = tape.places[3]
    for at in range(next(tape.read(here)).seq - 1, 60):
        reading = tape.read(here)
        assert next(reading) == _played(whole, at)
        here = reading.here()


def _played(whole: list[tuple[int, float, Entry]], at: int) -> Played:
    seq, seconds, entry = whole[at]
    return Played(seq, seconds, entry, sum(isinstance(each, Statement) for _, _, each in whole[: at + 1]))


def test_the_place_before_a_moment_or_a_statement_is_before_it(recording: bytes) -> None:
    tape = Tape(io.BytesIO(recording))
    for number in (1, 17, STATEMENTS):
        place = tape.before(statement=number)
        assert place.statements < number
        assert next(each for each in tape.read(place) if each.statement == number).entry == Statement(
            f"t_{1 + number % 2}", number, f"select {number}", "allow"
        )
    assert tape.before(seconds=tape.seconds / 2).seconds < tape.seconds / 2


def test_places_are_few_however_many_entries(recording: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_PLACES", 8)
    monkeypatch.setattr(places, "ENTRIES_APART", 1)
    tape, whole = Tape(io.BytesIO(recording)), all_of(recording)
    assert 4 <= len(tape.places) <= 8
    assert [each.seq for each in tape.read(tape.places[-1])][-1] == len(whole)


def test_a_statement_is_found_by_its_name(recording: bytes) -> None:
    assert Tape(io.BytesIO(recording), "t_2#17").found == 17
    assert Tape(io.BytesIO(recording), "17").found == 17
    for wanted, told in (("99", "no statement `99`"), ("t_1#17", "no statement"), ("one", "no number")):
        with pytest.raises(BadInput, match=told):
            Tape(io.BytesIO(recording), wanted)


def test_what_does_not_hold_is_told_before_anything_is_played(recording: bytes) -> None:
    broken = bytearray(recording)
    broken[-400] ^= 1
    with pytest.raises(BrokenEvidence):
        Tape(io.BytesIO(bytes(broken)))
