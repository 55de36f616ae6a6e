"""An exported file to play with: a recording, a log of a few leaves that holds its seal, keys and a witness."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.recording.bundle import SEALED, head
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.verify import prove
from hoopx_broker.storage.events import happened
from hoopx_broker.tlog.checkpoints import Checkpoint
from hoopx_broker.tlog.cosignatures import COSIGNATURE, cosign
from hoopx_broker.tlog.notes import Signer, Verifier, sign_by
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proofs import inclusion
from hoopx_broker.tlog.tree import grown, leaf_hash, nothing, root_hash
from tests.unit.recording_scene import KEY, record

ORIGIN = "broker.test/hoopx/0123abcd"


def signer(seed: int) -> Signer:
    return Signer("broker.test/evidence", Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


FIRST = Signer("broker.test/evidence", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))  # that of `KEY`
SECOND, THIRD, THIEF = signer(1), signer(2), signer(3)
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
WITNESS = Verifier("witness.test/w1", WITNESS_KEY.public_key().public_bytes_raw(), COSIGNATURE)


def sealed_event(recording: bytes, key: EvidenceKey = KEY, **other: object) -> bytes:
    """The leaf of a recording."""
    proof = prove(io.BytesIO(recording), key.verifier)
    key_id = Verifier.parse(key.verifier).key_id.hex()
    facts = {name: getattr(proof, name) for name in ("root", "entries", "blocks", "bytes", "unfinished", "format")} | {
        "key": key_id
    }
    event = happened(1_700_000_002.0, SEALED, session=proof.session, **facts)
    return msgspec.json.encode(msgspec.structs.replace(event, **other) if other else event, order="sorted")


def proved(leaf: bytes, signers: Sequence[Signer] = (FIRST,), origin: str = ORIGIN) -> ProofFile:
    """The proof that `leaf` stands in the middle of a small log."""
    hashes = [leaf_hash(each) for each in (b"a", b"b", leaf, b"c", b"d")]
    read = grown(0, hashes, nothing)
    note = sign_by(Checkpoint(origin, 5, root_hash(5, read)).text(), signers)
    return ProofFile(2, inclusion(2, 5, read), note + cosign(note, WITNESS.name, WITNESS_KEY, 1_700_000_003))


def exported(directory: Path, signers: Sequence[Signer] = (FIRST,), rotations: tuple[str, ...] = ()) -> bytes:
    return bundled(record(directory).read_bytes(), signers, rotations)


def bundled(recording: bytes, signers: Sequence[Signer] = (FIRST,), rotations: tuple[str, ...] = ()) -> bytes:
    """What `export` gives of a recording that `KEY` sealed."""
    leaf = sealed_event(recording)
    return head(leaf, proved(leaf, signers), rotations) + recording
