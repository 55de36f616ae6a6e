"""The exported file of a session: the proof that it is in the broker's log, then the recording as it is.

The line `hoopx evidence 1`, the length of the proof part (four bytes), the proof part (JSON), the SHA-256 over all
of these, and the recording to the end of the file.
"""

from __future__ import annotations

from hashlib import sha256
from typing import BinaryIO

import msgspec
from msgspec import Struct

from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.verify import Proof, prove
from hoopx_broker.terms.audit import Event
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.checkpoints import parse as parse_checkpoint
from hoopx_broker.tlog.cosignatures import Cosigned, cosignatures
from hoopx_broker.tlog.failures import BadNote, BadProof
from hoopx_broker.tlog.notes import Verifier, split_note
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proof_file import parse as parse_proof
from hoopx_broker.tlog.proofs import check_inclusion
from hoopx_broker.tlog.rotation import chain_of_keys
from hoopx_broker.tlog.tree import leaf_hash

HEADER = b"hoopx evidence 1\n"
# A leaf of 64 KiB, a checkpoint of 1 MiB and a thousand rotation notes fit, and a laptop holds it easily.
MAX_PART = 4 << 20
SEALED = "session.sealed"

_LENGTH = 4
_HASH = 32


class BrokenPart(BrokenEvidence):
    """The part before the recording does not hold; nothing is said about the entries."""

    def __init__(self, reason: str) -> None:
        super().__init__(0, reason)
        self.message = f"the proof part: {reason}"


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """`leaf` is the event as it stands in the log, `proof` a `tlog-proof@v1`, `rotations` notes from old to new."""

    leaf: str
    proof: str
    rotations: tuple[str, ...] = ()


class Logged(Struct, frozen=True):
    """What the log proves: the seal is leaf `index` of the log `origin` as it was with `size` leaves.

    `signed_by` is the key that signed the checkpoint, `sealed_by` the one that sealed the recording.
    """

    origin: str
    index: int
    size: int
    signed_by: Verifier
    sealed_by: Verifier
    cosigned: tuple[Cosigned, ...]


class Verified(Struct, frozen=True):
    """`logged` is None for a bare recording, which nothing but its seal speaks for."""

    recording: Proof
    logged: Logged | None


def head(leaf: bytes, proof: ProofFile, rotations: tuple[str, ...] = ()) -> bytes:
    """What stands before the recording in the exported file."""
    part = msgspec.json.encode(Part(leaf.decode(), proof.text(), rotations))
    framed = HEADER + len(part).to_bytes(_LENGTH, "big") + part
    return framed + sha256(framed).digest()


def read_part(stream: BinaryIO) -> Part | None:
    """The proof part; `stream` stands at the recording then. None for a bare one. Raises `BrokenPart`."""
    start = stream.tell()
    first = stream.read(len(HEADER))
    if first != HEADER:
        stream.seek(start)
        return None
    length = stream.read(_LENGTH)
    size = int.from_bytes(length, "big")
    if len(length) < _LENGTH or size > MAX_PART:
        raise BrokenPart(f"the file ends early, or the part claims {size} bytes; the bound is {MAX_PART}")
    content, digest = stream.read(size), stream.read(_HASH)
    if sha256(first + length + content).digest() != digest:
        raise BrokenPart("its hash does not come out: it was changed, or the file was cut")
    try:
        part = msgspec.json.decode(content, type=Part)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenPart(f"it cannot be read: {error}") from error
    if msgspec.json.encode(part) != content:
        raise BrokenPart("it is not in the one form that it may have")
    return part


def verify_file(
    stream: BinaryIO, vkey: str, witnesses: tuple[Verifier, ...] = (), identity: AgeIdentity | None = None
) -> Verified:
    """Prove an exported file or a bare recording. Raises `BrokenEvidence` with what is broken, `BadInput` for a key.

    An encrypted one is proved without its key as well; `identity` only lets it name user and target.
    """
    pinned = Verifier.parse(vkey)
    part = read_part(stream)
    if part is None:
        if witnesses:
            raise BrokenPart("missing: a bare recording has no checkpoint that a witness could have cosigned")
        return Verified(prove(stream, vkey, identity), None)
    event = _event(part.leaf)
    try:
        logged = _logged(part, event, pinned, witnesses)
    except (BadNote, BadProof) as error:
        raise BrokenPart(error.message) from error
    proof = prove(stream, str(logged.sealed_by), identity)
    _check_same(event, proof)
    return Verified(proof, logged)


def _event(leaf: str) -> Event:
    try:
        event = msgspec.json.decode(leaf, type=Event)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenPart(f"its leaf cannot be read: {error}") from error
    if event.type != SEALED:
        raise BrokenPart(f"its leaf is no `{SEALED}`")
    return event


def _logged(part: Part, event: Event, pinned: Verifier, witnesses: tuple[Verifier, ...]) -> Logged:
    proof = parse_proof(part.proof)
    origin = parse_checkpoint(split_note(proof.checkpoint)[0]).origin
    keys = chain_of_keys(pinned, part.rotations, origin)
    # Only the newest key: who stole an older one could otherwise sign another log for those who pinned a newer one.
    checkpoint, _ = open_checkpoint(proof.checkpoint, keys[-1:], origin)
    _check_included(part.leaf, proof, checkpoint)
    cosigned = tuple(cosignatures(proof.checkpoint, witnesses))
    missing = [witness.name for witness in witnesses if witness not in [one.witness for one in cosigned]]
    if missing:
        raise BadNote(f"the checkpoint is not cosigned by {', '.join(f'`{name}`' for name in missing)}")
    sealed_by = next((key for key in keys if key.key_id.hex() == event.facts.get("key")), None)
    if sealed_by is None:
        raise BadNote("the recording was sealed by a key that the rotation notes do not tell of")
    return Logged(origin, proof.index, checkpoint.size, keys[-1], sealed_by, cosigned)


def _check_included(leaf: str, proof: ProofFile, checkpoint: Checkpoint) -> None:
    check_inclusion(leaf_hash(leaf.encode()), proof.index, checkpoint.size, checkpoint.root, proof.inclusion)


def _check_same(event: Event, proof: Proof) -> None:
    """The log is about this very recording, to the last byte."""
    if event.session != proof.session:
        raise BrokenPart(f"it is about the session `{event.session}`, the recording is of `{proof.session}`")
    for name in ("root", "entries", "blocks", "bytes", "unfinished", "format"):
        told, found = event.facts.get(name), getattr(proof, name)
        if told != found or type(told) is not type(found):
            raise BrokenPart(f"the log has {name} {told!r} of this session, the recording {found!r}")
