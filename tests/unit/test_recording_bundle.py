"""The exported file proves what it says, and nothing that was changed, stolen or made up is taken for it."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import pytest

from hoopx_broker.recording.bundle import HEADER, BrokenPart, head, verify_file
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.tlog.notes import Signer, Verifier, sign_by
from hoopx_broker.tlog.rotation import Rotation, rotate
from tests.unit.bundle_scene import FIRST, ORIGIN, SECOND, THIEF, THIRD, WITNESS, exported, proved, sealed_event
from tests.unit.recording_scene import KEY, record

NOW = 1_700_000_010


def check(content: bytes, key: Signer = FIRST, *witnesses: Verifier) -> object:
    return verify_file(io.BytesIO(content), str(key.verifier), witnesses).logged


def test_an_exported_file_is_proved_with_its_place_in_the_log_and_its_witness(tmp_path: Path) -> None:
    verified = verify_file(io.BytesIO(exported(tmp_path)), KEY.verifier, (WITNESS,))
    assert verified.logged is not None
    assert (verified.logged.index, verified.logged.size, verified.logged.origin) == (2, 5, ORIGIN)
    assert [(one.witness, one.at) for one in verified.logged.cosigned] == [(WITNESS, 1_700_000_003)]


def test_a_bare_recording_is_proved_without_the_log(tmp_path: Path) -> None:
    bare = record(tmp_path).read_bytes()
    assert check(bare) is None
    with pytest.raises(BrokenPart, match="no checkpoint"):
        check(bare, FIRST, WITNESS)


def test_every_flipped_byte_is_found_and_located(tmp_path: Path) -> None:
    whole = exported(tmp_path)
    start = len(whole) - len((next(tmp_path.glob("*.hoopx"))).read_bytes())
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BrokenEvidence) as broken:
            check(bytes(changed))
        assert isinstance(broken.value, BrokenPart) == (17 <= at < start)


def test_every_cut_is_found(tmp_path: Path) -> None:
    whole = exported(tmp_path)
    for size in range(0, len(whole), 11):
        with pytest.raises(BrokenEvidence):
            check(whole[:size])


@pytest.mark.parametrize(
    "part", [b"\xff", b'{"leaf":"\xff","proof":""}', b'{"leaf":"","proof":' + b"[" * 100_000, b'{"leaf":"\\ud800"}']
)
def test_a_proof_part_that_is_no_json_is_said_to_be_none_whatever_its_hash_says(part: bytes) -> None:
    framed = HEADER + len(part).to_bytes(4, "big") + part
    with pytest.raises(BrokenPart, match="cannot be read"):
        check(framed + sha256(framed).digest())


def test_the_proof_of_another_recording_or_with_other_facts_is_refused(tmp_path: Path) -> None:
    recording = record(tmp_path).read_bytes()
    for wrong in (
        sealed_event(recording, session="s_another"),
        sealed_event(recording, type="session.viewed"),
        sealed_event(recording).replace(b'"unfinished":false', b'"unfinished":true'),
        sealed_event(recording).replace(b'"root":"', b'"root":"0'),
    ):
        with pytest.raises(BrokenPart):
            check(head(wrong, proved(wrong)) + recording)


def test_a_leaf_that_is_not_in_the_log_is_refused(tmp_path: Path) -> None:
    recording = record(tmp_path).read_bytes()
    with pytest.raises(BrokenPart, match="root does not come out"):
        check(head(sealed_event(recording), proved(b"another")) + recording)


def test_a_missing_witness_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenPart, match=r"not cosigned by `witness\.test/w2`"):
        check(exported(tmp_path), FIRST, Verifier("witness.test/w2", WITNESS.public, WITNESS.kind))


@pytest.mark.parametrize("pinned", [FIRST, SECOND, THIRD])
def test_an_export_after_rotations_is_proved_with_any_key_of_the_chain(tmp_path: Path, pinned: Signer) -> None:
    notes = (rotate(ORIGIN, FIRST, SECOND, NOW), rotate(ORIGIN, SECOND, THIRD, NOW + 1))
    assert check(exported(tmp_path, [THIRD], notes), pinned)


def test_a_stolen_old_key_makes_nothing_that_holds_for_who_pinned_the_new_one(tmp_path: Path) -> None:
    real = rotate(ORIGIN, FIRST, SECOND, NOW)
    one_sided = sign_by(Rotation(ORIGIN, SECOND.verifier, THIEF.verifier, NOW).text(), [THIEF])
    for at, (signers, notes) in enumerate(
        [
            ([FIRST], ()),  # a recording and a log of the thief's own
            ([FIRST], (real,)),  # a checkpoint of the old key after its end
            ([THIEF], (rotate(ORIGIN, FIRST, THIEF, NOW),)),
            ([THIEF], (real, rotate(ORIGIN, FIRST, THIEF, NOW))),
            ([THIEF], (real, one_sided)),
            ([FIRST], (real, sign_by(Rotation(ORIGIN, SECOND.verifier, FIRST.verifier, NOW).text(), [FIRST]))),
        ]
    ):
        with pytest.raises(BrokenPart):
            check(exported(tmp_path / str(at), signers, notes), SECOND)


def test_rotation_notes_of_another_log_or_in_a_circle_are_refused(tmp_path: Path) -> None:
    there, back = rotate(ORIGIN, FIRST, SECOND, NOW), rotate(ORIGIN, SECOND, FIRST, NOW)
    for at, (notes, why) in enumerate(
        [
            ((rotate("broker.test/hoopx/other", FIRST, SECOND, NOW),), "is of the log"),
            ((there, back), "in a circle"),
            ((rotate(ORIGIN, SECOND, THIRD, NOW), there), "do not follow"),
            (("no note",), "not a signed note"),
        ]
    ):
        with pytest.raises(BrokenPart, match=why):
            check(exported(tmp_path / str(at), [SECOND], notes))


def test_an_old_seal_counts_under_the_log_alone(tmp_path: Path) -> None:
    with pytest.raises(BrokenEvidence, match="not signed by"):
        check(record(tmp_path).read_bytes(), SECOND)
