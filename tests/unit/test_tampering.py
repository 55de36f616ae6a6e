"""A sample of `make tamper`, and whether it would notice a verifier that does not look, or a reader that takes all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.evidence.findings import Finding
from hoopx_broker.recording import bundle
from hoopx_broker.recording.failures import BrokenEvidence
from tests.tampering import directory, lane, large
from tests.tampering.lane import LawBroken, Subject


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, ...]:
    return lane.subjects(tmp_path_factory.mktemp("tampering"))


def test_whatever_is_changed_is_found_and_named_where_it_is(subjects: tuple[Subject, ...]) -> None:
    found = lane.run(subjects, 1_000, 7)
    assert sum(found.values()) > 950


def test_a_part_that_is_not_compared_with_its_hash_is_noticed(
    subjects: tuple[Subject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_check_same", lambda *_: None)
    monkeypatch.setattr(bundle, "_check_included", lambda *_: None)
    with pytest.raises(LawBroken, match="seed 7"):
        lane.run(tuple(each for each in subjects if each.is_export), 20_000, 7)


def test_a_wrong_place_is_noticed(subjects: tuple[Subject, ...]) -> None:
    def careless(content: bytes) -> bundle.Verified:
        try:
            return lane.verified(content)
        except BrokenEvidence as broken:
            raise BrokenEvidence(broken.entry + 1, broken.reason) from None

    with pytest.raises(LawBroken, match="is the first bad one"):
        lane.run(subjects, 10, 7, careless)


def test_whatever_is_changed_in_a_directory_is_found_and_named(tmp_path: Path) -> None:
    made = directory.made(tmp_path)
    assert sum(directory.run(made, 100, 7).values()) > 80
    told = iter([[], *[[Finding("tile", "`log/tile/0/7` is missing")]] * 100])
    with pytest.raises(LawBroken, match="seed 7, case"):
        directory.run(made, 100, 7, lambda _: next(told))
    with pytest.raises(LawBroken, match="it verifies"):
        directory.run(made, 100, 7, lambda _: [])


def test_a_large_recording_is_read_piece_by_piece(tmp_path: Path) -> None:
    path = large.of_noise(tmp_path, 64)
    for way in ("verify", "replay"):
        assert large.measured(way, path)[1] < 64, f"MiB at the most, to {way}"
