"""What a log sends to a witness, and what comes back, as c2sp.org/tlog-witness has it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from hoopx_broker.tlog.cosignatures import Cosigned, cosignatures
from hoopx_broker.tlog.failures import BadNote, BadProof
from hoopx_broker.tlog.notes import Verifier, split_note
from hoopx_broker.tlog.tree import MAX_SIZE

ADD_CHECKPOINT = "add-checkpoint"  # below the submission prefix of the witness
SIZE_TYPE = "text/x.tlog.size"
MAX_HASHES = 63  # the specification's own limit

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


def add_checkpoint(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of the request: `proof` shows that the log of the note goes on from the one of `old` leaves."""
    if len(proof) > MAX_HASHES:
        raise BadProof(f"a witness takes proofs of at most {MAX_HASHES} hashes")
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof), ""]
    return "".join(f"{line}\n" for line in lines).encode() + note.encode()


def cosignature_in(answer: bytes, note: str, witness: Verifier) -> tuple[str, Cosigned]:
    """The line by which the witness cosigned the note, out of its answer, and what it says; raises `BadNote`.

    Lines of other keys are passed over, as the specification wants it.
    """
    try:
        whole = note + answer.decode()
    except UnicodeDecodeError:
        raise BadNote("the answer is no text") from None
    text, signatures = split_note(whole)
    # An answer with an empty line in it would move where the text ends, and a signature over more than the checkpoint
    # would seem to be one of it.
    if text != split_note(note)[0]:
        raise BadNote("the answer holds more than signature lines")
    found = cosignatures(whole, [witness])
    if not found:
        raise BadNote(f"the answer holds no cosignature of `{witness.name}` with the key id {witness.key_id.hex()}")
    line = next(each.line() for each in signatures if (each.name, each.key_id) == (witness.name, witness.key_id))
    return line, found[0]


def known_size(content_type: str, answer: bytes) -> int:
    """How many leaves the witness has seen of the log, out of an answer that says so; raises `BadNote`."""
    found = _SIZE.fullmatch(answer)
    if content_type != SIZE_TYPE or found is None or int(found[1]) > MAX_SIZE:
        raise BadNote(f"the answer is no size of a log, which would be one number of the type `{SIZE_TYPE}`")
    return int(found[1])
