"""Write a session's recording: every entry is in the kernel's hands before `write` returns, or the recorder is dead."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from hoopx_broker.recording.committer import Committer, Durable, Failed, Settled
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.locks import Lock
from hoopx_broker.recording.order import path_of
from hoopx_broker.recording.repair import Repaired, repair
from hoopx_broker.recording.seals import Sealed, seal, sealed
from hoopx_broker.recording.version2 import Scribe
from hoopx_broker.recording.whole import create_whole, ensure_private_directory
from hoopx_broker.terms.entries import Columns, Ended, Entry, Opened, Seal, Statement

__all__ = ["Recorder", "RecordingFailed"]

# One session must not be able to fill the disk for all others unseen. Room for days of heavy reading; the seal is
# still written beyond it.
QUOTA = 64 << 30
_PIECES = 1024  # that one `writev` takes, at least
_OWN = frozenset({Opened, Ended, Seal})


class Recorder:
    """The open recording of one session; used from one thread.

    Each `write` is one append. That survives the end of this process by any signal; with a committer, what is settled
    survives a power cut as well. The first failure of any kind is final: the file is cut back to its last whole entry,
    and everything after is refused.
    """

    __slots__ = (
        "_clock",
        "_durable",
        "_fd",
        "_key",
        "_opened",
        "_origin",
        "_refusal",
        "_scribe",
        "denied",
        "masked",
        "path",
        "size",
        "statements",
    )

    def __init__(
        self, path: Path, opened: Opened, key: EvidenceKey, clock: Callable[[], float], lock: Lock | None = None
    ) -> None:
        self.path = path
        self.size = 0
        self.statements = 0
        self.denied = 0
        self.masked = 0  # results with masked columns
        self._opened = opened
        self._key = key
        self._clock = clock
        self._origin = clock()
        self._scribe = Scribe(opened.session, lock)
        self._refusal: str | None = None
        self._fd = -1
        self._durable: Durable | None = None

    @classmethod
    def create(
        cls,
        directory: Path,
        opened: Opened,
        key: EvidenceKey,
        clock: Callable[[], float],
        *,
        encrypt_to: Sequence[str] = (),
        committer: Committer | None = None,
    ) -> Self:
        """Begin the recording of `opened.session`. `clock` gives seconds; a steady one is best (`time.monotonic`).

        With age recipients in `encrypt_to`, only their keys read it again.
        """
        path = path_of(directory, opened.session)
        return cls.begun(path, opened, key, clock, Lock.make(encrypt_to) if encrypt_to else None, committer)

    @classmethod
    def begun(
        cls,
        path: Path,
        opened: Opened,
        key: EvidenceKey,
        clock: Callable[[], float],
        lock: Lock | None,
        committer: Committer | None = None,
    ) -> Self:
        """As `create`, encrypted by `lock`, which serves this recording and no other."""
        recorder = cls(path, opened, key, clock, lock)
        try:
            first = b"".join([*recorder._scribe.begin(), *recorder._scribe.add(0, [recorder._opened])])
            ensure_private_directory(path.parent)
            recorder._fd = create_whole(recorder.path, first, through_power_cuts=False)
            recorder.size = len(first)
            # Held until the file is closed, by the kernel too: `repair` leaves alone what is still being written.
            fcntl.flock(recorder._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if committer is not None:
                recorder._durable = committer.follow(recorder.path, recorder._fd, recorder._lost)
        except Exception as error:
            raise recorder._fail(error) from error
        return recorder

    @staticmethod
    def repair(path: Path, key: EvidenceKey) -> Repaired:
        """See `hoopx_broker.recording.repair`."""
        return repair(path, key)

    @property
    def entries(self) -> int:
        return self._scribe.chain.count

    def write(self, entries: Sequence[Entry]) -> None:
        """Append entries, all in one write. Raises `RecordingFailed`; then nothing they tell of may be sent."""
        if self._refusal is not None:
            raise RecordingFailed(self._refusal)
        try:
            for entry in entries:
                if type(entry) is Statement:
                    self.statements += 1
                    self.denied += entry.ruling == "deny"
                elif type(entry) is Columns:
                    self.masked += bool(entry.masked)
                elif type(entry) in _OWN:
                    raise ValueError(f"`{type(entry).__name__}` is the recorder's own entry")
            self._append(self._scribe.add(self._now(), entries), QUOTA)
        # Whatever the reason, an entry that is not on record ends the session; nothing is to be told apart here.
        except Exception as error:
            raise self._fail(error) from error

    @property
    def is_durable(self) -> bool:
        """Whether what is written is settled by the disk, later."""
        return self._durable is not None

    def settle(self, settled: Settled, failed: Failed) -> None:
        """Call one of them: when what is written by now may be told to others, or when it never may.

        At once, unless each entry has to be on the disk first. Those who ask are called in their order.
        """
        if self._durable is None:
            settled()
        else:
            self._durable.settle(settled, failed)

    async def settled(self) -> None:
        """As `settle`. Raises `RecordingFailed`."""
        if self._durable is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._durable.settle(
            lambda: None if done.done() else done.set_result(None),
            lambda error: None if done.done() else done.set_exception(error),
        )
        await done

    def seal(self, reason: str) -> Sealed:
        """Close the recording in order. Raises `RecordingFailed`; `repair` can still seal what is there, later."""
        if self._refusal is not None:
            raise RecordingFailed(self._refusal)
        scribe, t_us = self._scribe, self._now()
        try:
            pieces = scribe.close(t_us, Ended(reason, self._opened.opened_at + t_us / 1e6))
            facts = sealed(scribe.chain, self.size)
            pieces += scribe.close(t_us, seal(self._opened.session, scribe.chain, self._key, unfinished=False))
            self._append(pieces, None)
        except Exception as error:
            raise self._fail(error) from error
        self._refuse("it is sealed")
        return msgspec.structs.replace(facts, bytes=self.size)

    def _now(self) -> int:
        """Microseconds since the beginning; a clock that is set back stands still."""
        return max(self._scribe.chain.t_us, int((self._clock() - self._origin) * 1_000_000))

    def _append(self, pieces: list[bytes], quota: int | None) -> None:
        size = sum(map(len, pieces))
        if quota is not None and self.size + size > quota:
            raise OSError(f"it has reached its quota of {quota} bytes")
        if not pieces:
            return
        # Beyond what one `writev` takes there are only blocks that were split; they are joined.
        written = os.writev(self._fd, pieces if len(pieces) <= _PIECES else [b"".join(pieces)])
        if written != size:
            raise OSError(f"only {written} of {size} bytes could be written; is the disk full?")
        self.size += written

    def _fail(self, error: Exception) -> RecordingFailed:
        if self._fd >= 0:
            # What is torn off here would only be torn off by `repair`, so this may fail.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._refuse(reason)
        return RecordingFailed(reason)

    def _lost(self, error: RecordingFailed) -> None:
        """The disk does not have what was written."""
        if self._refusal is None:
            self._refuse(error.reason)

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._durable is not None:
            self._durable.close()
