"""Proofs that stand on their own, as c2sp.org/tlog-proof has them: index, inclusion and the checkpoint in one text."""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from hoopx_broker.tlog.failures import BadProof
from hoopx_broker.tlog.notes import unbase64
from hoopx_broker.tlog.proofs import MAX_PROOF
from hoopx_broker.tlog.tree import HASH_SIZE, MAX_SIZE

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_EXTRA = "extra "


class ProofFile(Struct, frozen=True):
    """`checkpoint` is the signed note with all its signatures. Nobody signed for what is in `extra`."""

    index: int
    inclusion: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        """What a file `.tlog-proof` holds."""
        extra = [] if self.extra is None else [_EXTRA + base64.b64encode(self.extra).decode()]
        hashes = [base64.b64encode(each).decode() for each in self.inclusion]
        return "\n".join([_FIRST, *extra, f"index {self.index}", *hashes, "", self.checkpoint])


def parse(text: str) -> ProofFile:
    """The inverse of `ProofFile.text`; raises `BadProof`. The checkpoint is not looked at."""
    head, _, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _FIRST or not checkpoint:
        raise BadProof(f"this is not a proof: it does not begin with the line `{_FIRST}`, or ends early")
    extra = unbase64(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else None
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if match is None or int(match[1]) > MAX_SIZE or len(lines) > MAX_PROOF:
        raise BadProof("the proof has no index, or more hashes than a log has levels")
    proof = ProofFile(int(match[1]), tuple(_hash(line) for line in lines), checkpoint, extra)
    if proof.text() != text:
        raise BadProof("the proof is not in the one form that it may have")
    return proof


def _hash(line: str) -> bytes:
    found = unbase64(line)
    if found is None or len(found) != HASH_SIZE:
        raise BadProof("a line of the proof is not a hash")
    return found
