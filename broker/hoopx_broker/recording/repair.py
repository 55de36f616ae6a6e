"""After a crash: seal what a recording holds, and say that it is unfinished."""

from __future__ import annotations

import contextlib
import fcntl
import os
from copy import copy
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from hoopx_broker.recording import blocks, version1
from hoopx_broker.recording.committer import sync, sync_directory
from hoopx_broker.recording.failures import Locked, RecordingFailed, TornEnd
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.seals import Chain, Sealed, seal, sealed
from hoopx_broker.recording.sweep import Sweep
from hoopx_broker.recording.version2 import Scribe
from hoopx_broker.recording.whole import create_whole
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal, Statement

_REASON = "the broker stopped before the session was closed"


class Repaired(Struct, frozen=True):
    """What a recording turned out to hold. `cut` counts the bytes of a half-written end that were taken off.

    `statements` and `denied` are None where it is encrypted: nobody here can count them. `seal` is what its seal is
    about, by whoever it was sealed; `format` is the version of the file.
    """

    session: str
    statements: int | None
    denied: int | None
    ended_at: float
    was_sealed: bool
    seal: Sealed
    unfinished: bool
    format: int
    cut: int = 0


def repair(path: Path, key: EvidenceKey) -> Repaired:
    """Cut a torn end to the last whole entry or block and seal the rest; leave alone what is sealed already.

    Only an incomplete end counts as torn, and its bytes are kept beside the recording (`….torn-<offset>`).
    Anything else that is wrong is evidence of something else: `BrokenEvidence`, and the file stays as it is.
    What it gives is on the disk, at every level of durability: the log is told of this seal and no other.
    Raises `RecordingFailed` where the file cannot be used, or is still being written.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _repair(path, file, key)
    except BlockingIOError as error:
        raise RecordingFailed(f"`{path.name}` is still being written") from error
    except OSError as error:
        raise RecordingFailed(error.strerror or str(error)) from error


class _Survey(Struct):
    """What one reading of the whole file found, to its end or to where it is torn."""

    format: int
    session: str
    chain: Chain
    offset: int
    last: type[Entry] | None
    signed: Chain | None  # what a seal that is there is about
    ended_at: float
    unfinished: bool = True
    statements: int | None = None
    denied: int | None = None


def _survey(file: BinaryIO) -> _Survey:
    try:
        return _read_through(file)
    except Locked:
        file.seek(len(blocks.HEADER))
        return _swept(file)


def _read_through(file: BinaryIO) -> _Survey:
    reader = Reader(file)
    opened: Opened | None = None
    torn: TornEnd | None = None
    statements = denied = 0
    unfinished = True
    try:
        for recorded in reader:
            match recorded.entry:
                case Opened() as opened:
                    pass
                case Statement(ruling=ruling):
                    statements += 1
                    denied += ruling == "deny"
                case Seal() as found:
                    unfinished = found.unfinished
                case _:
                    pass
    except TornEnd as error:
        torn = error
    if opened is None:
        raise torn or TornEnd(1, "the file ends before the opening of a session")
    chain = reader.chain
    ended_at = opened.opened_at + chain.t_us / 1e6
    facts = (reader.version, reader.session, chain, reader.offset, reader.last, reader.before_seal)
    return _Survey(*facts, ended_at, unfinished, statements, denied)


def _swept(file: BinaryIO) -> _Survey:
    """Of an encrypted one: whole blocks are found without its key."""
    sweep = Sweep(file)
    with contextlib.suppress(TornEnd):
        sweep.run()
    head, ended, last = sweep.head, sweep.ended, sweep.last
    if head is None or last is None:
        raise TornEnd(1, "the file ends before the opening of a session")
    at = ended.entry.ended_at if ended and isinstance(ended.entry, Ended) else os.fstat(file.fileno()).st_mtime
    unfinished = sweep.seal is None or sweep.seal.unfinished
    return _Survey(2, head.session, sweep.chain, sweep.offset, last, sweep.before_seal, at, unfinished)


def _repair(path: Path, file: BinaryIO, key: EvidenceKey) -> Repaired:
    found = _survey(file)
    was_sealed = found.last is Seal
    cut = _cut(path, file, found.offset)
    size = found.offset
    if not was_sealed:
        ended = None if found.last is Ended else Ended(_REASON, found.ended_at)
        ending = _ending(found, ended, key)
        _append(file, found.offset, ending)
        size += len(ending)
    # One that is sealed already, too: whoever sealed it may have been cut off before its fsync.
    sync(file.fileno())
    sync_directory(path.parent)
    return Repaired(
        found.session,
        found.statements,
        found.denied,
        found.ended_at,
        was_sealed,
        sealed(found.signed or found.chain, size),
        found.unfinished,
        found.format,
        cut,
    )


def _cut(path: Path, file: BinaryIO, offset: int) -> int:
    file.seek(offset)
    tail = file.read()  # less than one entry or block, or the reader had gone on
    if tail:
        with contextlib.suppress(FileExistsError):  # this repair was itself cut short once
            os.close(create_whole(path.with_suffix(f".torn-{offset}"), tail, through_power_cuts=True))
        os.ftruncate(file.fileno(), offset)
    return len(tail)


def _ending(found: _Survey, ended: Ended | None, key: EvidenceKey) -> bytes:
    """What is missing at the end. It sets `found.signed`: the seal is about all before it."""
    chain = found.chain
    if isinstance(chain, version1.Chain):
        pieces = [*chain.add(chain.t_us, ended)] if ended else []
        found.signed = copy(chain)
        return b"".join([*pieces, *chain.add(chain.t_us, seal(found.session, chain, key, unfinished=True))])
    scribe = Scribe(found.session, None, chain)
    # Where it is encrypted, nobody here knows the time of the last entry: 0 says so.
    pieces = scribe.close(chain.t_us, ended) if ended else []
    found.signed = copy(chain)
    return b"".join([*pieces, *scribe.close(chain.t_us, seal(found.session, chain, key, unfinished=True))])


def _append(file: BinaryIO, offset: int, data: bytes) -> None:
    written = 0
    try:
        written = os.pwrite(file.fileno(), data, offset)
    finally:
        if written != len(data):
            os.ftruncate(file.fileno(), offset)
    if written != len(data):
        raise OSError("the seal could not be written whole; is the disk full?")
