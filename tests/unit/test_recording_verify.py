"""Whoever changes a recording of version 1 is found out, and the first bad entry is named."""

from __future__ import annotations

import base64
import io
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.order import HASH_SIZE, MAX_BODY, Recorded
from hoopx_broker.recording.seals import seal_text
from hoopx_broker.recording.verify import Proof, prove, verify
from hoopx_broker.recording.version1 import HEADER, Chain
from hoopx_broker.terms.entries import Entry, Notice, Opened, Seal
from hoopx_broker.terms.errors import BadInput
from tests.unit.recording_scene import ENDED, ENTRIES, KEY, OPENED, OTHER_KEY, chained, pieces, record_1, sealed

NOTICE = Notice("t_1", "NOTICE", "00000", "hello")
OTHER = msgspec.structs.replace(OPENED, session="s_another")


def blame(recording: bytes, vkey: str = KEY.verifier) -> BrokenEvidence:
    with pytest.raises(BrokenEvidence) as broken:
        prove(io.BytesIO(recording), vkey)
    return broken.value


def test_an_untouched_recording_is_proved(tmp_path: Path) -> None:
    path = record_1(tmp_path)
    whole = path.read_bytes()
    assert verify(path, KEY.verifier) == Proof(
        session=OPENED.session,
        user="ann@example.com",
        target="prod-db",
        entries=len(ENTRIES) + 2,
        bytes=len(whole),
        root=pieces(whole)[-2][-HASH_SIZE:].hex(),
        unfinished=False,
        key=KEY.name,
        format=1,
        ended_at=OPENED.opened_at + 4.25,
    )


def test_every_single_flipped_bit_of_a_small_recording_is_found(tmp_path: Path) -> None:
    whole = record_1(tmp_path, entries=[NOTICE]).read_bytes()
    starts = [len(HEADER)]
    for piece in pieces(whole):
        starts.append(starts[-1] + len(piece))
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        assert blame(changed).entry == sum(start <= at for start in starts), f"byte {at}"


def test_a_recording_cut_at_any_byte_is_found(tmp_path: Path) -> None:
    whole = record_1(tmp_path, entries=[NOTICE]).read_bytes()
    for size in range(len(whole)):
        assert blame(whole[:size]).entry <= 4, f"cut to {size} bytes"


def test_a_recording_without_its_last_entries_misses_its_seal(tmp_path: Path) -> None:
    whole = record_1(tmp_path).read_bytes()
    parts = pieces(whole)
    for kept in range(1, len(parts)):
        broken = blame(HEADER + b"".join(parts[:kept]))
        assert (broken.entry, "missing" in broken.reason) == (kept + 1, True)


def test_dropped_doubled_and_swapped_entries_are_named(tmp_path: Path) -> None:
    parts = pieces(record_1(tmp_path).read_bytes())
    for at in range(len(parts)):
        doubled = blame(HEADER + b"".join([*parts[: at + 1], *parts[at:]]))
        assert doubled.entry == at + 2
        if at < len(parts) - 1:
            assert blame(HEADER + b"".join(parts[:at] + parts[at + 1 :])).entry == at + 1
            swapped = [*parts[:at], parts[at + 1], parts[at], *parts[at + 2 :]]
            assert blame(HEADER + b"".join(swapped)).entry == at + 1


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"\0\0\0\1", b"hello world " * 10])
def test_nothing_may_follow_the_seal(tmp_path: Path, extra: bytes) -> None:
    broken = blame(record_1(tmp_path).read_bytes() + extra)
    assert broken.entry == len(ENTRIES) + 4
    assert "follows the seal" in broken.reason


def test_two_recordings_end_to_end_are_not_one(tmp_path: Path) -> None:
    whole = record_1(tmp_path).read_bytes()
    assert "follows the seal" in blame(whole + whole).reason


def test_a_rewritten_and_rechained_recording_lacks_a_fitting_signature(tmp_path: Path) -> None:
    original = sealed(OPENED.session, OPENED, NOTICE, ENDED)
    note = msgspec.msgpack.decode(pieces(original)[-1][4:-HASH_SIZE])[2]["note"]
    lie = chained(OPENED, msgspec.structs.replace(NOTICE, message="goodbye"), ENDED, Seal(note))
    broken = blame(lie)
    assert broken.entry == 4
    assert "not of this recording: it says 'root" in broken.reason


def test_the_seal_of_another_session_does_not_fit() -> None:
    broken = blame(sealed(OTHER.session, OPENED, NOTICE, ENDED))
    assert "'session s_another', not 'session s_0123456789abcdef'" in broken.reason


def test_a_seal_by_another_key_of_the_same_name_does_not_count() -> None:
    assert "not signed by" in blame(sealed(OPENED.session, OPENED, ENDED, key=OTHER_KEY)).reason


def test_crashed_cannot_be_passed_off_as_ended_in_order() -> None:
    honest = sealed(OPENED.session, OPENED, ENDED, said_unfinished=True)
    assert prove(io.BytesIO(honest), KEY.verifier).unfinished
    note = msgspec.msgpack.decode(pieces(honest)[-1][4:-HASH_SIZE])[2]["note"]
    assert "'end unfinished', not 'end finished'" in blame(chained(OPENED, ENDED, Seal(note, unfinished=False))).reason


def test_a_signature_over_something_else_is_no_seal() -> None:
    note = KEY.sign("broker.test/log\n7\nAAAA\n")
    assert "not of this recording" in blame(chained(OPENED, ENDED, Seal(note))).reason


def _seal_note() -> str:
    chain = Chain()
    for entry in (OPENED, ENDED):
        chain.add(0, entry)
    return KEY.sign(seal_text(OPENED.session, chain, unfinished=False))


def test_a_stranger_cannot_add_a_signature_to_the_seal() -> None:
    extra = OTHER_KEY.sign("x\n").rpartition("\n\n")[2]
    assert "more than one signature" in blame(chained(OPENED, ENDED, Seal(_seal_note() + extra))).reason


def test_the_seal_has_one_form_down_to_the_byte() -> None:
    """The chain hash of the seal is no secret, so what the signature does not cover must not be free to vary."""
    chain = Chain()
    prefix = HEADER + b"".join(b"".join(chain.add(0, entry)) for entry in (OPENED, ENDED))
    good = msgspec.msgpack.encode(Recorded(3, 0, Seal(_seal_note())))
    late = msgspec.msgpack.encode(Recorded(3, 1, Seal(_seal_note())))
    wordy = msgspec.msgpack.encode([3, 0, {"type": "seal", "note": _seal_note(), "unfinished": False}])
    graffiti = msgspec.msgpack.encode([3, 0, {"type": "seal", "note": _seal_note(), "by": "mallory"}])
    assert prove(io.BytesIO(prefix + _framed(chain, good)), KEY.verifier).entries == 2
    for body in (late, wordy, graffiti):
        assert "one permitted form" in blame(prefix + _framed(chain, body)).reason


def _framed(chain: Chain, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body + sha256(chain.root + body).digest()


@pytest.mark.parametrize(
    ("entries", "number", "reason"),
    [
        ([NOTICE], 1, "begins with the opening"),
        ([OPENED, OTHER], 2, "no second one"),
        ([OPENED, ENDED, NOTICE], 3, "the seal follows"),
        ([OPENED, ENDED, ENDED], 3, "the seal follows"),
        ([OPENED, Seal("")], 2, "the seal follows"),
        ([OPENED, NOTICE, Seal("")], 3, "the seal follows"),
        ([OPENED, ENDED, Seal("")], 3, "not a signed note"),
        ([OPENED, ENDED, Seal(""), Seal("")], 4, "follows the seal"),
        ([Seal("")], 1, "begins with the opening"),
        ([], 1, "missing"),
    ],
)
def test_a_recording_goes_opened_told_ended_sealed(entries: list[Entry], number: int, reason: str) -> None:
    broken = blame(chained(*entries))
    assert broken.entry == number
    assert reason in broken.reason


def test_time_does_not_run_backwards() -> None:
    broken = blame(chained(OPENED, NOTICE, NOTICE, times=(0, 5, 4)))
    assert (broken.entry, "time" in broken.reason) == (3, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc0",
        b"\x93\x02\x00",
        msgspec.msgpack.encode([2, 0, {"type": "unheard-of"}]),
        msgspec.msgpack.encode([2, 0, {"type": "notice"}]),
        msgspec.msgpack.encode([2, 0, {"type": "ended", "reason": 7, "ended_at": 0.0}]),
        msgspec.msgpack.encode([2, 0, ENDED, "more"]),
        msgspec.msgpack.encode([2, 0, ENDED]) + b"\xc0",
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        msgspec.msgpack.encode([2, 0, {"type": "ended", "reason": "X"}]).replace(b"X", b"\xff"),
    ],
)
def test_a_body_that_no_recorder_writes_is_refused_even_if_chained(body: bytes) -> None:
    chain = Chain()
    prefix = HEADER + b"".join(chain.add(0, OPENED))
    broken = blame(prefix + _framed(chain, body))
    assert (broken.entry, "cannot be read" in broken.reason) == (2, True)


def test_a_wrong_number_is_refused_even_if_chained() -> None:
    chain = Chain()
    prefix = HEADER + b"".join(chain.add(0, OPENED))
    assert "numbered 7" in blame(prefix + _framed(chain, msgspec.msgpack.encode(Recorded(7, 0, NOTICE)))).reason


def test_a_length_beyond_the_bound_is_not_even_read() -> None:
    class Watched(io.BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size or 0)
            return super().read(size)

    stream = Watched(HEADER + (MAX_BODY + 1).to_bytes(4, "big") + b"x" * 100)
    with pytest.raises(BrokenEvidence, match="bound"):
        prove(stream, KEY.verifier)
    assert stream.largest < 100


@pytest.mark.parametrize(
    "start", [b"", b"hoopx", b"hoopx recording 3\n", b"hoopx recording 1\r\n", b"\x7fELF", b"\0" * 50]
)
def test_what_is_not_a_recording_is_said_to_be_none(start: bytes) -> None:
    broken = blame(start)
    assert (broken.entry, "not a recording" in broken.reason) == (0, True)


def test_a_missing_file_and_a_bad_key_are_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        verify(tmp_path / "none.hoopx", KEY.verifier)
    with pytest.raises(BadInput, match="verifier key"):
        verify(record_1(tmp_path), base64.b64encode(b"not a key").decode())


def test_a_verifier_needs_to_know_no_session_to_name_it(tmp_path: Path) -> None:
    opened: Opened = msgspec.structs.replace(OPENED, session="s_zzzz", target="other-db")
    proof = verify(record_1(tmp_path, opened=opened), KEY.verifier)
    assert (proof.session, proof.target) == ("s_zzzz", "other-db")
