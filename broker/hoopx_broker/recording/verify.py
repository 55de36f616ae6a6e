"""Prove a recording offline: nothing but the file and the broker's public key is needed."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from hoopx_broker.recording import blocks, version1
from hoopx_broker.recording.failures import BrokenEvidence, Unsealed
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.seals import Chain, seal_text
from hoopx_broker.recording.sweep import Sweep
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.notes import BadNote, Verifier, open_note

__all__ = ["BrokenEvidence", "Proof", "prove", "verify"]

# Fewer, larger reads: recordings are read from end to end.
_BUFFER = 1 << 20


class Proof(Struct, frozen=True):
    """What is proved: this key sealed exactly these entries. `root` is the hash over all but the seal, hexadecimal.

    `unfinished`: the broker crashed, and sealed later what it found; nothing is proved about what came before that.
    An agent acted `on_behalf_of` a human. `user` and `target` are empty where they are encrypted and no identity was
    given. `entries` and `blocks` (of version 2) are those before the seal. `ended_at` is in seconds
    since the Unix epoch.
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
    blocks: int = 0
    format: int = 2
    encrypted: bool = False
    ended_at: float = 0.0


class _Found(Struct):
    """What a recording of any version turned out to hold, before its seal is opened."""

    session: str
    opened: Opened | None
    signed: Chain
    seal: Seal
    bytes: int
    format: int
    encrypted: bool = False
    ended_at: float = 0.0


def verify(path: Path, vkey: str, identity: AgeIdentity | None = None) -> Proof:
    """Raises `BrokenEvidence`, naming the first bad entry, as `Unsealed` where nothing is wrong but a missing seal.

    Raises `BadInput` for an unusable file or key.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            return prove(file, vkey, identity)
    except OSError as error:
        raise BadInput(
            f"`{path}` cannot be read: {error.strerror}", "give the path of an exported recording"
        ) from error


def prove(stream: BinaryIO, vkey: str, identity: AgeIdentity | None = None) -> Proof:
    """`verify` for anything that can be read; `stream` must give all bytes asked for unless it is at its end.

    It is over what is stored: an encrypted recording is proved without its key, which is only asked for to name user
    and target. What a `Reader` refuses beyond that, the broker itself has written and sealed so.
    """
    key = Verifier.parse(vkey)
    match stream.read(len(blocks.HEADER)):
        case version1.HEADER:
            found = _found_in_1(stream)
        case blocks.HEADER:
            found = _found_in_2(stream, identity)
        case _:
            raise BrokenEvidence(0, "not a recording: it does not begin with the line `hoopx recording 2` (or 1)")
    _check_seal(found, vkey)
    signed, opened = found.signed, found.opened
    return Proof(
        session=found.session,
        user=opened.principal.user if opened else "",
        target=opened.target if opened else "",
        entries=signed.count,
        bytes=found.bytes,
        root=signed.root.hex(),
        unfinished=found.seal.unfinished,
        key=key.name,
        on_behalf_of=opened.principal.on_behalf_of if opened else None,
        blocks=signed.blocks if isinstance(signed, blocks.Chain) else 0,
        format=found.format,
        encrypted=found.encrypted,
        ended_at=found.ended_at,
    )


def _found_in_1(stream: BinaryIO) -> _Found:
    reading = version1.Reading(stream)
    opened: Entry | None = None
    last: Entry | None = None
    ended_at = 0.0
    for recorded in reading:
        last = recorded.entry
        if isinstance(last, Ended):
            ended_at = last.ended_at
        if opened is None:
            opened = last
    if not isinstance(opened, Opened) or not isinstance(last, Seal) or reading.before_seal is None:
        raise _unsealed(reading.chain)
    return _Found(opened.session, opened, reading.before_seal, last, reading.offset, 1, ended_at=ended_at)


def _found_in_2(stream: BinaryIO, identity: AgeIdentity | None) -> _Found:
    sweep = Sweep(stream, identity)
    sweep.run()
    if sweep.head is None or sweep.seal is None or sweep.before_seal is None:
        raise _unsealed(sweep.chain)
    head, ended = sweep.head, sweep.ended.entry if sweep.ended else None
    ended_at = ended.ended_at if isinstance(ended, Ended) else 0.0
    is_encrypted = bool(head.recipients)
    return _Found(head.session, sweep.opened, sweep.before_seal, sweep.seal, sweep.offset, 2, is_encrypted, ended_at)


def _unsealed(chain: Chain) -> Unsealed:
    return Unsealed(chain.count + 1, "missing: the recording ends without its seal")


def _check_seal(found: _Found, vkey: str) -> None:
    number, seal = found.signed.count + 1, found.seal
    try:
        said = open_note(seal.note, vkey)
    except BadNote as error:
        raise BrokenEvidence(number, f"the seal does not hold: {error.message}") from error
    meant = seal_text(found.session, found.signed, seal.unfinished)
    if said != meant:
        pairs = zip(said.split("\n"), meant.split("\n"), strict=False)
        differs = next(((a, b) for a, b in pairs if a != b), (said, meant))
        raise BrokenEvidence(number, f"the seal is not of this recording: it says {differs[0]!r}, not {differs[1]!r}")
    # A signature of someone else would be ignored, and so could come and go unnoticed.
    if seal.note.count("\n", len(said)) != 2:
        raise BrokenEvidence(number, "the seal has more than one signature")
