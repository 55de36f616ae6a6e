"""Cosignatures as c2sp.org/tlog-cosignature has them (`cosignature/v1`): a witness saw a log grow, and says when."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Signature, Verifier, split_note

COSIGNATURE = b"\x04"

_TIME_SIZE = 8
_SIGNATURE_SIZE = 64
_MAX_TIME = (1 << 63) - 1


class Cosigned(Struct, frozen=True):
    """`witness` saw this checkpoint, consistent with all it had seen of the log, at `at` seconds after 1970."""

    witness: Verifier
    at: int


def parse_witness(vkey: str) -> Verifier:
    """The verifier key of a witness; raises `BadInput`."""
    return Verifier.parse(vkey, kind=COSIGNATURE)


def cosign(note: str, name: str, private: Ed25519PrivateKey, at: int) -> str:
    """The signature line, with its newline, by which a witness called `name` cosigns a note."""
    text, _ = split_note(note)
    witness = Verifier(name, private.public_key().public_bytes_raw(), COSIGNATURE)
    signed = at.to_bytes(_TIME_SIZE, "big") + private.sign(_message(text, at))
    return Signature(name, witness.key_id, signed).line()


def cosignatures(note: str, witnesses: Sequence[Verifier]) -> list[Cosigned]:
    """Which of the witnesses cosigned, and when. Raises `BadNote` if one of them is said to have and has not."""
    text, signatures = split_note(note)
    known = {(witness.name, witness.key_id): witness for witness in witnesses}
    found: dict[Verifier, Cosigned] = {}
    for signature in signatures:
        witness = known.get((signature.name, signature.key_id))
        if witness is not None:
            cosigned = Cosigned(witness, _checked(text, signature, witness))
            found.setdefault(witness, cosigned)
    return list(found.values())


def _checked(text: str, signature: Signature, witness: Verifier) -> int:
    """When it was signed."""
    at = int.from_bytes(signature.signed[:_TIME_SIZE], "big")
    if len(signature.signed) != _TIME_SIZE + _SIGNATURE_SIZE or at > _MAX_TIME:
        raise BadNote(f"the cosignature of `{witness.name}` is malformed")
    try:
        Ed25519PublicKey.from_public_bytes(witness.public).verify(signature.signed[_TIME_SIZE:], _message(text, at))
    except InvalidSignature as error:
        raise BadNote(f"the cosignature of `{witness.name}` does not hold") from error
    return at


def _message(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
