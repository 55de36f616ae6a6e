"""Which cosigned checkpoints are kept: of each witness its newest, and whatever more of them signed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.evidence.cosigned import best_note, newest_note
from hoopx_broker.storage import cosigned
from hoopx_broker.storage.cosigned import CosignedRow, _useless, _with_line
from hoopx_broker.storage.log import LogRow
from hoopx_broker.tlog.cosignatures import COSIGNATURE, cosign, cosignatures
from hoopx_broker.tlog.notes import Verifier
from tests.unit.bundle_scene import ORIGIN
from tests.unit.log_stage import LogStage, played
from tests.unit.witness_stage import PlayedLog

LOG = PlayedLog(ORIGIN)
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (11, 12, 13)]
NAMES = ["w.test/1", "w.test/2", "w.test/3"]
WITNESSES = [
    Verifier(name, private.public_key().public_bytes_raw(), COSIGNATURE)
    for name, private in zip(NAMES, PRIVATE, strict=True)
]
# Cosignatures are costly to make, and which there are is all that matters here.
LINES = [cosign(LOG.checkpoint(1), name, private, 5) for name, private in zip(NAMES, PRIVATE, strict=True)]
NOTES = {size: LOG.checkpoint(size) for size in range(1, 9)}


def row(size: int, of: Iterable[int], key: str = LOG.key) -> CosignedRow:
    return CosignedRow(size, key, NOTES[size] + "".join(LINES[number] for number in sorted(of)))


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2)), max_size=20))
def test_what_is_let_go_is_wanted_by_nobody(came: list[tuple[int, int]]) -> None:
    """Whoever wants some witnesses and a leaf gets them as long as any checkpoint ever had them."""
    ever: dict[int, set[int]] = {}
    for size, witness in came:
        ever.setdefault(size, set()).add(witness)
    rows = [row(size, of) for size, of in ever.items()]
    useless = _useless(rows, LOG.key, WITNESSES)
    kept = [each for each in rows if each not in useless]
    for size, of in ever.items():
        wanted = {WITNESSES[number] for number in of}
        assert any(each.size >= size and wanted <= each.those_of(WITNESSES) for each in kept)
    for one in kept:
        rest = [each for each in kept if each != one and each.size > one.size]
        assert not any(one.those_of(WITNESSES) <= each.those_of(WITNESSES) for each in rest)


def test_what_an_older_key_signed_goes_once_the_witness_cosigned_under_the_new_one() -> None:
    old, new = row(5, {0, 1}, "old"), row(5, {0})
    assert _useless([old, new], LOG.key, WITNESSES) == []  # the second witness has seen so much, for sure
    assert _useless([old, row(5, {0, 1})], LOG.key, WITNESSES) == [old]
    assert _useless([old, row(6, {0, 1})], LOG.key, WITNESSES) == [old]
    assert _useless([old, row(6, {0, 1}, "old")], LOG.key, WITNESSES) == []
    assert _useless([old], LOG.key, WITNESSES[2:]) == [old]  # nobody is asked any more who cosigned it


def test_a_witness_that_cosigns_again_has_one_line_the_later() -> None:
    note = NOTES[3]
    for number, at in ((0, 5), (1, 6), (0, 7)):
        note = _with_line(note, cosign(NOTES[3], NAMES[number], PRIVATE[number], at))
    assert {(one.witness.name, one.at) for one in cosignatures(note, WITNESSES)} == {(NAMES[1], 6), (NAMES[0], 7)}
    assert note.startswith(NOTES[3])


def test_a_proof_is_under_the_most_cosignatures_and_the_present_key_alone() -> None:
    log = LogRow(ORIGIN, LOG.key, "", 8, NOTES[8])
    rows = [row(7, {0}), row(7, {0, 1, 2}, "old"), row(6, {0, 1}), row(5, {0, 1})]
    assert [best_note(log, rows, index) for index in (0, 5, 6, 7)] == [
        rows[2].note,
        rows[2].note,
        rows[0].note,
        NOTES[8],
    ]
    assert newest_note(log, rows) == NOTES[8]
    assert newest_note(log, [row(8, {1}, "old"), *rows]) == NOTES[8]
    assert newest_note(log, [row(8, {1}), *rows]) == row(8, {1}).note


def test_it_is_kept_in_either_database_and_two_that_come_at_once_both_stay(tmp_path: Path, each_state: str) -> None:
    async def scene(stage: LogStage) -> None:
        signed = await stage.signs()
        lines = [cosign(signed.checkpoint, name, private, 5) for name, private in zip(NAMES, PRIVATE, strict=True)]
        await asyncio.gather(
            *(stage.state.run(lambda c, line=line: cosigned.add(c, "", signed, line, WITNESSES)) for line in lines)  # type: ignore[misc]
        )
        [kept] = await stage.state.run(cosigned.listed)
        assert (kept.size, kept.key) == (signed.size, signed.key)
        assert kept.those_of(WITNESSES) == frozenset(WITNESSES), each_state
        assert len(cosignatures(kept.note, WITNESSES)) == 3
        assert await stage.state.run(lambda c: cosigned.noted_at(c, 0)) is not None
        assert await stage.state.run(lambda c: cosigned.noted_at(c, 99)) is None

    played(scene, tmp_path)
