"""After a crash: seal what a recording holds, and say that it is unfinished."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from hoopx_broker.recording.failures import RecordingFailed, TornEnd
from hoopx_broker.recording.format import Chain, Reader
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.seals import seal
from hoopx_broker.recording.whole import create_whole
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal, Statement

_REASON = "the broker stopped before the session was closed"


class Repaired(Struct, frozen=True):
    """What a recording turned out to hold. `cut` counts the bytes of a half-written entry that were taken off."""

    session: str
    statements: int
    denied: int
    ended_at: float
    was_sealed: bool
    cut: int = 0


def repair(path: Path, key: EvidenceKey) -> Repaired:
    """Cut a torn end to the last whole entry and seal the rest; leave alone what is sealed already.

    Only an incomplete last entry counts as torn, and its bytes are kept beside the recording (`….torn-<offset>`).
    Anything else that is wrong is evidence of something else: `BrokenEvidence`, and the file stays as it is.
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


class _Survey:
    """One reading of the whole file, to its end or to where it is torn."""

    def __init__(self, file: BinaryIO) -> None:
        reader = Reader(file)
        self.statements = 0
        self.denied = 0
        self.torn: TornEnd | None = None
        self.opened: Opened | None = None
        self.last: Entry | None = None
        try:
            for recorded in reader:
                self._note(recorded.entry)
        except TornEnd as torn:
            self.torn = torn
        self.chain = reader.chain
        self.offset = reader.offset

    def _note(self, entry: Entry) -> None:
        self.last = entry
        match entry:
            case Opened():
                self.opened = entry
            case Statement(ruling=ruling):
                self.statements += 1
                self.denied += ruling == "deny"
            case _:
                pass


def _repair(path: Path, file: BinaryIO, key: EvidenceKey) -> Repaired:
    found = _Survey(file)
    if found.opened is None:
        raise found.torn or TornEnd(1, "the file ends before the opening of a session")
    sealed = isinstance(found.last, Seal)
    cut = _cut(path, file, found.offset)
    ended_at = found.opened.opened_at + found.chain.t_us / 1e6
    if not sealed:
        ended = None if isinstance(found.last, Ended) else Ended(_REASON, ended_at)
        _append(file, found.offset, _ending(found.opened.session, found.chain, ended, key))
    return Repaired(found.opened.session, found.statements, found.denied, ended_at, sealed, cut)


def _cut(path: Path, file: BinaryIO, offset: int) -> int:
    file.seek(offset)
    tail = file.read()  # less than one entry, or the reader had gone on
    if tail:
        with contextlib.suppress(FileExistsError):  # this repair was itself cut short once
            os.close(create_whole(path.with_suffix(f".torn-{offset}"), tail, through_power_cuts=False))
        os.ftruncate(file.fileno(), offset)
    return len(tail)


def _ending(session: str, chain: Chain, ended: Ended | None, key: EvidenceKey) -> bytes:
    pieces: tuple[bytes, ...] = chain.add(chain.t_us, ended) if ended else ()
    return b"".join(pieces + chain.add(chain.t_us, seal(session, chain, key, unfinished=True)))


def _append(file: BinaryIO, offset: int, data: bytes) -> None:
    written = 0
    try:
        written = os.pwrite(file.fileno(), data, offset)
    finally:
        if written != len(data):
            os.ftruncate(file.fileno(), offset)
    if written != len(data):
        raise OSError("the seal could not be written whole; is the disk full?")
