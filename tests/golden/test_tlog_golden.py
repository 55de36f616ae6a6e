"""What Go's packages and torchwood make of a log is what hoopx makes of it, and it takes theirs."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.cosignatures import COSIGNATURE, Cosigned, cosign, cosignatures, parse_witness
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Signer, Verifier, sign_by, split_note
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proof_file import parse as parse_proof
from hoopx_broker.tlog.proofs import check_consistency, check_inclusion, consistency, inclusion
from hoopx_broker.tlog.tiles import Bundle, Tile, new_bundles, new_tiles, pack_entries, parse_path
from hoopx_broker.tlog.tree import grown, leaf_hash, nothing, root_hash

LEAVES = [b"leaf %d" % n for n in range(600)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
READ = grown(0, HASHES, nothing)


class Shown(msgspec.Struct, frozen=True):
    of: int
    size: int
    hashes: list[str]

    @property
    def raw(self) -> tuple[bytes, ...]:
        return tuple(map(bytes.fromhex, self.hashes))


class Elsewhere(msgspec.Struct, frozen=True):
    origin: str
    roots: dict[int, str]
    inclusions: list[Shown]
    consistencies: list[Shown]
    tiles: dict[str, str]
    bundles: dict[str, str]
    paths: dict[str, tuple[int, int, int]]
    old_key: str
    next_key: str
    witness: str
    witnessed_at: int
    checkpoint: str
    proof: str


THERE = msgspec.json.decode(
    (Path(__file__).parent / "tlog" / "vectors.json").read_bytes(), type=Elsewhere, strict=False
)
OLD, NEXT = Verifier.parse(THERE.old_key), Verifier.parse(THERE.next_key)
WITNESS = parse_witness(THERE.witness)


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(bytes([seed])).digest())


def root(size: int) -> bytes:
    return bytes.fromhex(THERE.roots[size])


def test_the_roots_are_the_same() -> None:
    assert {size: root_hash(size, READ).hex() for size in THERE.roots} == THERE.roots


def test_the_proofs_of_inclusion_are_the_same() -> None:
    for there in THERE.inclusions:
        assert inclusion(there.of, there.size, READ) == there.raw
        check_inclusion(HASHES[there.of], there.of, there.size, root(there.size), there.raw)


def test_the_proofs_of_consistency_are_the_same() -> None:
    for there in THERE.consistencies:
        assert consistency(there.of, there.size, READ) == there.raw
        if there.of in THERE.roots:
            check_consistency(there.of, there.size, root(there.of), root(there.size), there.raw)


def test_the_tiles_and_bundles_of_a_growing_log_are_the_same() -> None:
    steps = [(0, 3), (3, 257), (257, 600)]
    made = {tile.path: sha256(content).hexdigest() for step in steps for tile, content in new_tiles(*step, READ)}
    assert made == THERE.tiles
    packed = {bundle.path: pack_entries(LEAVES[bundle.start : bundle.end]) for bundle in new_bundles(0, 600)}
    assert {path: sha256(content).hexdigest() for path, content in packed.items()} == THERE.bundles


def test_the_paths_are_the_same() -> None:
    for path, (level, n, width) in THERE.paths.items():
        assert parse_path(path) == (Bundle(n, width) if level == -1 else Tile(level, n, width))


def test_a_checkpoint_signed_and_cosigned_elsewhere_opens() -> None:
    checkpoint = Checkpoint(THERE.origin, 600, root(600))
    assert open_checkpoint(THERE.checkpoint, [OLD, NEXT], THERE.origin) == (checkpoint, [OLD, NEXT])
    assert open_checkpoint(THERE.checkpoint, [NEXT]) == (checkpoint, [NEXT])
    assert cosignatures(THERE.checkpoint, [WITNESS]) == [Cosigned(WITNESS, THERE.witnessed_at)]


def test_the_same_keys_sign_and_cosign_the_same_checkpoint() -> None:
    text = Checkpoint(THERE.origin, 600, root(600)).text()
    signers = [Signer(THERE.origin, private(1)), Signer(THERE.origin, private(2))]
    note = sign_by(text, signers)
    assert note + cosign(note, WITNESS.name, private(3), THERE.witnessed_at) == THERE.checkpoint
    assert [str(signer.verifier) for signer in signers] == [THERE.old_key, THERE.next_key]


def test_the_proof_file_is_the_same() -> None:
    made = ProofFile(255, inclusion(255, 600, READ), THERE.checkpoint, b"extra")
    assert made.text() == THERE.proof
    assert parse_proof(THERE.proof) == made


def test_a_cosignature_counts_for_its_own_witness_and_text_alone() -> None:
    ours = Verifier(WITNESS.name, WITNESS.public, COSIGNATURE)
    stranger = Verifier("witness.example.com/w2", WITNESS.public, COSIGNATURE)
    assert cosignatures(THERE.checkpoint, [stranger]) == []
    other_text = THERE.checkpoint.replace("\n600\n", "\n601\n")
    wrong_time = cosign(THERE.checkpoint, WITNESS.name, private(3), 7)
    signed = split_note(THERE.checkpoint[: THERE.checkpoint.index("— witness")] + wrong_time)[1][-1].signed
    moved = msgspec.structs.replace(split_note(THERE.checkpoint)[1][-1], signed=(8).to_bytes(8, "big") + signed[8:])
    head = THERE.checkpoint[: THERE.checkpoint.index("— witness")]
    for note in (other_text, head + moved.line(), head + msgspec.structs.replace(moved, signed=signed[:-1]).line()):
        with pytest.raises(BadNote, match="cosignature"):
            cosignatures(note, [ours])


def test_a_key_of_one_kind_is_never_taken_for_one_of_the_other() -> None:
    with pytest.raises(BadInput, match="not one of a witness"):
        parse_witness(THERE.old_key)
    with pytest.raises(BadInput, match="not one of the log"):
        Verifier.parse(THERE.witness)
    # A cosignature by the very key of the log is not the log's signature of the checkpoint.
    note = sign_by("o\n0\n\n", [Signer("x", private(3))]) + cosign("o\n0\n\n\n— x AAAAAAA=\n", "o", private(1), 7)
    with pytest.raises(BadNote, match="not signed by"):
        open_checkpoint(note, [Verifier("o", private(1).public_key().public_bytes_raw())])


def test_a_note_with_more_signatures_than_anybody_needs_is_refused() -> None:
    line = THERE.checkpoint.split("\n\n")[1].splitlines(keepends=True)[0]
    assert len(split_note("text\n\n" + line * 100)[1]) == 100
    with pytest.raises(BadNote, match="more than 100"):
        split_note("text\n\n" + line * 101)
