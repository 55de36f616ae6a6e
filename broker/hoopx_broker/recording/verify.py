"""Prove a recording offline: nothing but the file and the broker's public key is needed."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.format import Chain, Reader
from hoopx_broker.recording.seals import seal_text
from hoopx_broker.terms.entries import Entry, Opened, Seal
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.notes import BadNote, Verifier, open_note

__all__ = ["BrokenEvidence", "Proof", "prove", "verify"]

# Fewer, larger reads: recordings are read from end to end.
_BUFFER = 1 << 20


class Proof(Struct, frozen=True):
    """What is proved: this key sealed exactly these entries. `root` is the hash over all but the seal, hexadecimal.

    `unfinished`: the broker crashed, and sealed later what it found; nothing is proved about what came before that.
    An agent acted `on_behalf_of` a human.
    """

    session: str
    user: str
    target: str
    entries: int
    bytes: int
    root: str
    unfinished: bool
    key: str
    on_behalf_of: str | None = None


def verify(path: Path, vkey: str) -> Proof:
    """Raises `BrokenEvidence`, naming the first bad entry; `BadInput` for an unusable file or key."""
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            return prove(file, vkey)
    except OSError as error:
        raise BadInput(
            f"`{path}` cannot be read: {error.strerror}", "give the path of an exported recording"
        ) from error


def prove(stream: BinaryIO, vkey: str) -> Proof:
    """`verify` for anything that can be read; `stream` must give all bytes asked for unless it is at its end."""
    key = Verifier.parse(vkey)
    reader = Reader(stream)
    opened: Entry | None = None
    last: Entry | None = None
    for recorded in reader:
        last = recorded.entry
        if opened is None:
            opened = last
    signed = reader.before_seal
    if not isinstance(opened, Opened) or not isinstance(last, Seal) or signed is None:
        raise BrokenEvidence(reader.chain.count + 1, "missing: the recording ends without its seal")
    _check_seal(opened.session, signed, last, vkey)
    return Proof(
        session=opened.session,
        user=opened.principal.user,
        target=opened.target,
        entries=signed.count,
        bytes=reader.offset,
        root=signed.root.hex(),
        unfinished=last.unfinished,
        key=key.name,
        on_behalf_of=opened.principal.on_behalf_of,
    )


def _check_seal(session: str, signed: Chain, seal: Seal, vkey: str) -> None:
    number = signed.count + 1
    try:
        said = open_note(seal.note, vkey)
    except BadNote as error:
        raise BrokenEvidence(number, f"the seal does not hold: {error.message}") from error
    meant = seal_text(session, signed, seal.unfinished)
    if said != meant:
        pairs = zip(said.split("\n"), meant.split("\n"), strict=False)
        differs = next(((a, b) for a, b in pairs if a != b), (said, meant))
        raise BrokenEvidence(number, f"the seal is not of this recording: it says {differs[0]!r}, not {differs[1]!r}")
    # A signature of someone else would be ignored, and so could come and go unnoticed.
    if seal.note.count("\n", len(said)) != 2:
        raise BrokenEvidence(number, "the seal has more than one signature")
