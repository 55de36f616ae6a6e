"""Whoever changes a recording of version 2 is found out, encrypted or not, and the first bad entry is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from hoopx_broker.recording import codecs
from hoopx_broker.recording.blocks import HEADER as HEADER_2
from hoopx_broker.recording.blocks import MAX_CONTENT, MAX_ENTRIES, MAX_STORED
from hoopx_broker.recording.codecs import dictionary, press, unpress
from hoopx_broker.recording.failures import BrokenEvidence, Locked
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.locks import AgeIdentity, Lock
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import prove
from hoopx_broker.terms.entries import Entry, Notice, Rows, Seal
from hoopx_broker.terms.secret import Secret
from tests.unit.blocks_scene import (
    AGE,
    BATCHES,
    BEGIN,
    HEAD,
    RECIPIENT,
    SESSION_KEY,
    SMALL,
    TOLD,
    Piece,
    framed,
    lock,
    plain,
    record_2,
    recorder,
    signed,
)
from tests.unit.recording_scene import ENDED, ENTRIES, KEY, OPENED, OTHER_KEY, cut_up, data_row, record

NOTICE = Notice("t_1", "NOTICE", "00000", "hello")
KINDS = ("clear", "encrypted", "unfinished", "encrypted-unfinished")


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small recording of each kind: two entries in one write, and one alone."""
    made: dict[str, bytes] = {}
    for kind in KINDS:
        directory = tmp_path_factory.mktemp(kind)
        writing = recorder(directory, lock=Lock.make([RECIPIENT]) if "encrypted" in kind else None)
        writing.write(SMALL)
        writing.write([NOTICE])
        if "unfinished" in kind:
            path = directory / "crashed.hoopx"
            path.write_bytes(writing.path.read_bytes())
            Recorder.repair(path, KEY)
            made[kind] = path.read_bytes()
        else:
            writing.seal("bye")
            made[kind] = writing.path.read_bytes()
    return made


def blame(recording: bytes) -> BrokenEvidence:
    with pytest.raises(BrokenEvidence) as broken:
        prove(io.BytesIO(recording), KEY.verifier)
    return broken.value


def blame_reader(recording: bytes, identity: AgeIdentity | None = None) -> BrokenEvidence:
    with pytest.raises(BrokenEvidence) as broken:
        list(Reader(io.BytesIO(recording), identity))
    return broken.value


def firsts(whole: bytes) -> Iterator[tuple[int, int]]:
    """Where each block begins, and the number of its first entry; 0 for the first line and the head."""
    at, entry = len(HEADER_2), 0
    yield 0, 0
    for block in cut_up(whole):
        yield at, entry
        at, entry = at + len(block), max(1, entry + int.from_bytes(block[5:9], "big"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_untouched_recording_is_proved_without_any_key(wholes: dict[str, bytes], kind: str) -> None:
    proof = prove(io.BytesIO(wholes[kind]), KEY.verifier)
    assert (proof.session, proof.entries, proof.blocks, proof.format) == (OPENED.session, 5, 5, 2)
    assert (proof.unfinished, proof.bytes) == ("unfinished" in kind, len(wholes[kind]))
    assert proof.root == cut_up(wholes[kind])[-2][-32:].hex()
    assert (proof.user, proof.encrypted) == (("", True) if "encrypted" in kind else ("ann@example.com", False))
    named = prove(io.BytesIO(wholes[kind]), KEY.verifier, AGE)
    assert (named.user, named.target) == ("ann@example.com", "prod-db")
    told = [recorded.entry for recorded in Reader(io.BytesIO(wholes[kind]), AGE)]
    assert told[:4] == [OPENED, *SMALL, NOTICE]


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_is_found_at_its_entry(wholes: dict[str, bytes], kind: str) -> None:
    whole = wholes[kind]
    starts = list(firsts(whole))
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        found = blame(changed)
        assert found.entry == [entry for start, entry in starts if start <= at][-1], f"byte {at}: {found}"
        assert found.place is None or found.place.start <= at < found.place.end or at < len(HEADER_2)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_found_where_it_is(wholes: dict[str, bytes], kind: str) -> None:
    whole = wholes[kind]
    starts = list(firsts(whole))
    for size in range(len(whole)):
        expected = [entry for start, entry in starts if start <= size][-1]
        # At the end of a block it is the next that misses; a head that misses leaves the opening missing.
        assert blame(whole[:size]).entry == (expected if size != len(HEADER_2) else 1), f"cut to {size} bytes"


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_doubled_and_swapped_blocks_are_named(wholes: dict[str, bytes], kind: str) -> None:
    parts = cut_up(wholes[kind])
    numbers = [entry for _, entry in firsts(wholes[kind])][1:]
    for at in range(len(parts)):
        after = numbers[at] + max(1, int.from_bytes(parts[at][5:9], "big"))
        doubled = blame(HEADER_2 + b"".join([*parts[: at + 1], *parts[at:]]))
        assert doubled.entry == after
        assert doubled.place is not None
        assert doubled.place.block == at + 2
        if at < len(parts) - 1:
            assert blame(HEADER_2 + b"".join(parts[:at] + parts[at + 1 :])).entry == numbers[at]
            swapped = [*parts[:at], parts[at + 1], parts[at], *parts[at + 2 :]]
            assert blame(HEADER_2 + b"".join(swapped)).entry == numbers[at]


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0\1\0\0\0\0\1", b"hello world " * 10])
def test_nothing_may_follow_the_seal(wholes: dict[str, bytes], extra: bytes) -> None:
    for kind in KINDS:
        assert "follows the seal" in blame(wholes[kind] + extra).reason
        assert "follows the seal" in blame_reader(wholes[kind] + extra, AGE).reason


def rechained(whole: bytes, change: Callable[[list[Piece]], list[Piece]]) -> bytes:
    """What somebody makes of it who has no signing key, and chains it again."""
    pieces = [Piece(block[4], int.from_bytes(block[5:9], "big"), block[9:-32]) for block in cut_up(whole)]
    return framed(*change(pieces))


def test_a_rechained_recording_lacks_a_fitting_signature(wholes: dict[str, bytes]) -> None:
    for kind in KINDS:
        shorter = rechained(wholes[kind], lambda pieces: [*pieces[:3], *pieces[4:]])
        assert blame(shorter).entry == 5  # the numbers of what is after no longer fit either
        other = rechained(
            wholes[kind], lambda pieces: [Piece(0, 0, msgspec.msgpack.encode({"session": "s_another"})), *pieces[1:]]
        )
        assert blame(other).entry in (1, 6)


def test_a_head_of_another_session_is_found_by_readers_too() -> None:
    other = Piece(0, 0, msgspec.msgpack.encode({"session": "s_another"}))
    assert "not the one of the head" in blame_reader(signed(other, BEGIN[1])).reason
    assert "not the one of the head" in blame(signed(other, BEGIN[1], session="s_another")).reason


def test_an_encrypted_block_opens_at_its_own_place_alone(tmp_path: Path) -> None:
    whole = record_2(tmp_path, [[NOTICE], [NOTICE], [NOTICE]], lock=Lock.make([RECIPIENT]))
    moved = rechained(whole, lambda p: [*p[:2], p[3], p[2], *p[4:]])
    assert (blame_reader(moved, AGE).entry, "cannot be decrypted" in blame_reader(moved, AGE).reason) == (2, True)
    twice = rechained(whole, lambda p: [*p[:3], p[2], *p[4:]])
    assert (blame_reader(twice, AGE).entry, "cannot be decrypted" in blame_reader(twice, AGE).reason) == (3, True)
    claims = rechained(whole, lambda p: [*p[:2], Piece(p[2].codec ^ 1, 1, p[2].payload), *p[3:]])
    assert "cannot be decrypted" in blame_reader(claims, AGE).reason


# Content of how many bytes is pressed how.
_CODECS = (
    (255, codecs.PLAIN),
    (256, codecs.ZSTD_WITH_DICTIONARY),
    (8192, codecs.ZSTD_WITH_DICTIONARY),
    (8193, codecs.ZSTD),
)


def test_small_blocks_stay_as_they_are_and_others_are_pressed() -> None:
    for size, codec in _CODECS:
        content = (b"SELECT name FROM people WHERE id = 7; " * 256)[:size]
        told, pressed = press(content)
        assert (told, unpress(told, pressed, size)) == (codec, content)
        assert (len(pressed) < size) == (codec != codecs.PLAIN)


def test_a_block_of_another_recording_under_the_same_key_does_not_open(tmp_path: Path) -> None:
    key = AGE_LOCK()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours = record_2(tmp_path / "a", [[NOTICE]], lock=key)
    theirs = record_2(tmp_path / "b", [[NOTICE]], msgspec.structs.replace(OPENED, session="s_another"), lock=key)
    stranger = Piece(cut_up(theirs)[2][4], 1, cut_up(theirs)[2][9:-32])
    mixed = rechained(ours, lambda pieces: [*pieces[:2], stranger, *pieces[3:]])
    broken = blame_reader(mixed, AGE)
    assert (broken.entry, "another recording" in broken.reason) == (2, True)


def AGE_LOCK() -> Lock:
    from hoopx_broker.recording.locks import wrap

    return Lock((RECIPIENT,), wrap(bytes.fromhex(SESSION_KEY.reveal()), (RECIPIENT,)), SESSION_KEY)


def test_without_a_fitting_identity_nothing_is_read(wholes: dict[str, bytes]) -> None:
    with pytest.raises(Locked, match="encrypted to age1"):
        list(Reader(io.BytesIO(wholes["encrypted"])))
    other = AgeIdentity((Secret("AGE-SECRET-KEY-1" + "Q" * 58),))
    with pytest.raises(Exception, match="identity"):
        list(Reader(io.BytesIO(wholes["encrypted"]), other))


def test_nothing_recorded_stands_in_the_clear(tmp_path: Path) -> None:
    whole = record_2(tmp_path, [[NOTICE]], lock=lock())
    assert b"ann@example.com" not in whole
    assert b"hello" not in whole
    assert OPENED.session.encode() in whole


ENTRY_2 = msgspec.msgpack.encode([(2, 0, NOTICE)])
ZSTD = zstandard.ZstdCompressor(write_checksum=False)


def frames_of(content: bytes) -> dict[str, Piece]:
    """Blocks around `content` that no recorder writes."""
    good = ZSTD.compress(content)
    known = zstandard.ZstdCompressionDict(dictionary(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    by_dictionary = zstandard.ZstdCompressor(dict_data=known).compress(content)
    return {
        "junk behind": Piece(1, 1, good + b"\0"),
        "two frames": Piece(1, 1, good + ZSTD.compress(b"")),
        "skippable behind": Piece(1, 1, good + b"\x50\x2a\x4d\x18\0\0\0\0"),
        "skippable alone": Piece(1, 1, b"\x50\x2a\x4d\x18\0\0\0\0"),
        "cut": Piece(1, 1, good[:-1]),
        "empty": Piece(1, 1, b""),
        "no size": Piece(1, 1, zstandard.ZstdCompressor(write_content_size=False).compress(content)),
        "checksum": Piece(1, 1, zstandard.ZstdCompressor(write_checksum=True).compress(content)),
        "other codec": Piece(2, 1, b"\0" + good),
        "dictionary missed": Piece(1, 1, by_dictionary),
        "not pressed": Piece(1, 1, content),
        "pressed, called plain": Piece(0, 1, good),
        "bomb": Piece(1, 1, _bomb()),
        "encrypted": Piece(0x80, 1, content + bytes(16)),
        "no such codec": Piece(3, 1, content),
        "fewer than claimed": Piece(0, 2, content),
        "more than claimed": Piece(0, 1, b"\x92" + content[1:] + content[1:]),
        "long form": Piece(0, 1, b"\xdc\0\1" + content[1:]),
        "more behind": Piece(0, 1, content + b"\xc0"),
        "none": Piece(0, 0, content),
        "too many": Piece(0, MAX_ENTRIES + 1, content),
        "a second head": Piece(0, 0, HEAD.payload),
    }


def _bomb() -> bytes:
    """Claims more than the bound, in a few bytes: a frame of one repeated byte."""
    size = MAX_CONTENT + 1
    block = (1 | 1 << 1 | (1 << 17) << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little") + block


@pytest.mark.parametrize("form", list(frames_of(ENTRY_2)))
def test_a_block_in_any_other_form_is_refused_even_if_sealed(form: str) -> None:
    piece = frames_of(ENTRY_2)[form]
    assert blame_reader(signed(*BEGIN, piece)).entry in (2, 3)
    good = signed(*BEGIN, Piece(1, 1, ZSTD.compress(ENTRY_2)))
    assert len(list(Reader(io.BytesIO(good)))) == 4
    assert prove(io.BytesIO(good), KEY.verifier).entries == 3


def test_a_bomb_is_not_even_unpressed() -> None:
    found = blame_reader(signed(*BEGIN, Piece(1, 1, _bomb())))
    assert "bound" in found.reason


HEADS: dict[str, bytes] = {
    "long": b"\xde\0\1" + HEAD.payload[1:],
    "more": msgspec.msgpack.encode({"session": OPENED.session, "by": "mallory"}),
    "default written": msgspec.msgpack.encode({"session": OPENED.session, "key": b""}),
    "no session": b"\x80",
    "bad session": msgspec.msgpack.encode({"session": "../etc"}),
    "key for nobody": msgspec.msgpack.encode({"session": OPENED.session, "key": b"x"}),
    "nobody's key": msgspec.msgpack.encode({"session": OPENED.session, "recipients": [RECIPIENT]}),
    "bad recipient": msgspec.msgpack.encode({"session": OPENED.session, "recipients": ["\x1b[2J"], "key": b"x"}),
    "large": msgspec.msgpack.encode({"session": OPENED.session, "recipients": [RECIPIENT], "key": bytes(20_000)}),
    "garbage": b"\xc1",
    "deep": b"\x91" * 10_000,
}


@pytest.mark.parametrize("form", list(HEADS))
def test_the_head_has_one_form_down_to_the_byte(form: str) -> None:
    recording = signed(Piece(0, 0, HEADS[form]), BEGIN[1])
    for found in (blame(recording), blame_reader(recording)):
        assert (found.entry, "head" in found.reason) == (0, True)
    pressed = signed(Piece(1, 0, ZSTD.compress(HEAD.payload)), BEGIN[1])
    assert blame(pressed).entry == 0


def test_the_seal_has_one_form_down_to_the_byte() -> None:
    """The chain hash of the seal is no secret, so what the signature does not cover must not be free to vary."""
    whole = signed(*BEGIN, t_us=7)
    note = msgspec.msgpack.decode(cut_up(whole)[-1][9:-32])[0][2]["note"]
    assert prove(io.BytesIO(whole), KEY.verifier).entries == 2
    extra = OTHER_KEY.sign("x\n").rpartition("\n\n")[2]
    seal = msgspec.msgpack.encode([(3, 7, Seal(note))])
    forms = [
        Piece(0, 1, msgspec.msgpack.encode([(3, 8, Seal(note))])),
        Piece(0, 1, msgspec.msgpack.encode([(3, 7, Seal(note, unfinished=True))])),
        Piece(0, 1, msgspec.msgpack.encode([(3, 7, {"type": "seal", "note": note, "unfinished": False})])),
        Piece(0, 1, msgspec.msgpack.encode([(3, 7, {"type": "seal", "note": note, "by": "mallory"})])),
        Piece(0, 1, msgspec.msgpack.encode([(3, 7, {"note": note, "type": "seal"})])),
        Piece(0, 1, msgspec.msgpack.encode([(3, 7, Seal(note + extra))])),
        Piece(0, 1, msgspec.msgpack.encode([(4, 7, Seal(note))])),
        Piece(0, 1, b"\xdc\0\1" + seal[1:]),
        Piece(1, 1, ZSTD.compress(seal)),
        Piece(0, 2, seal),
    ]
    for form in forms:
        found = blame(rechained(whole, lambda pieces, form=form: [*pieces[:-1], form]))  # type: ignore[misc]
        assert found.entry in (3, 4), form


@pytest.mark.parametrize(
    ("pieces", "number", "reason"),
    [
        ([HEAD], 1, "begins with the opening"),
        ([HEAD, plain(1, NOTICE)], 1, "begins with the opening"),
        ([*BEGIN, plain(2, OPENED)], 2, "no second one"),
        ([*BEGIN, plain(2, NOTICE, ENDED)], 3, "stand alone"),
        ([*BEGIN, plain(2, ENDED)], 3, "the seal follows"),
        ([*BEGIN, plain(2, ENDED), plain(3, NOTICE)], 3, "the seal follows"),
        ([*BEGIN, plain(3, NOTICE)], 2, "numbered 3"),
        ([*BEGIN, plain(2, NOTICE, t_us=5)], 3, "time"),
        ([*BEGIN, Piece(0, 2, msgspec.msgpack.encode([(2, 0, NOTICE), (3, 0, {"type": "unheard-of"})]))], 3, "read"),
    ],
)
def test_a_recording_goes_head_opened_told_ended_sealed(pieces: list[Piece], number: int, reason: str) -> None:
    found = blame_reader(signed(*pieces))
    assert (found.entry, reason in found.reason) == (number, True), found


def test_a_length_beyond_the_bound_is_not_even_read() -> None:
    class Watched(io.BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size or 0)
            return super().read(size)

    stream = Watched(framed(*BEGIN) + (MAX_STORED + 1).to_bytes(4, "big") + b"\0\0\0\0\1" + b"x" * 100)
    with pytest.raises(BrokenEvidence, match="bound"):
        list(Reader(stream))
    assert stream.largest < 1000


def test_a_reader_goes_on_where_a_growing_file_ended(tmp_path: Path) -> None:
    writing = recorder(tmp_path)
    with writing.path.open("rb") as file:
        reader = Reader(file)
        seen: list[Entry] = [recorded.entry for recorded in reader]
        for batch in BATCHES:
            writing.write(batch)
            seen += [recorded.entry for recorded in reader]
    assert seen == TOLD


def test_many_and_large_entries_are_parted_into_blocks_in_one_append(tmp_path: Path) -> None:
    writing = recorder(tmp_path)
    large: list[Entry] = [Notice("t_1", "NOTICE", "00000", str(n) * 1_000_000) for n in range(9)]
    writing.write(large)
    whole = writing.path.read_bytes()
    assert 2 < len(cut_up(whole)) <= 2 + 9
    assert [recorded.entry for recorded in Reader(io.BytesIO(whole))] == [OPENED, *large]


def test_rows_that_look_like_ends_and_seals_from_outside_close_nothing(tmp_path: Path) -> None:
    """Only what stands in the frames is looked at, and in what may be an end or a seal, what it is."""
    marks = b"\xa4type\xa4seal\xa4type\xa5ended"
    rows = [Rows("t", 1, 1, data_row(marks * n)) for n in (1, 2, 0, 3, 0, 40)]
    whole = record(tmp_path, [*ENTRIES, *rows, *ENTRIES]).read_bytes()
    proof = prove(io.BytesIO(whole), KEY.verifier)
    assert proof.entries == len(list(Reader(io.BytesIO(whole)))) - 1
    at = whole.index(marks) + 3
    assert "its hash does not follow" in blame(whole[:at] + b"!" + whole[at + 1 :]).reason
