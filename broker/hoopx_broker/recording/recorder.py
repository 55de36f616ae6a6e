"""Write a session's recording: every entry is in the kernel's hands before `write` returns, or the recorder is dead."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.format import HEADER, Chain, path_of
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.repair import Repaired, repair
from hoopx_broker.recording.seals import seal
from hoopx_broker.recording.whole import create_whole, ensure_private_directory
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal, Statement

__all__ = ["Recorder", "RecordingFailed"]

# One session must not be able to fill the disk for all others unseen. Room for days of heavy reading; the seal is
# still written beyond it.
QUOTA = 64 << 30
_OWN = frozenset({Opened, Ended, Seal})


class Recorder:
    """The open recording of one session; used from one thread.

    Each `write` is one append. That survives the end of this process by any signal, not a power cut. The first
    failure of any kind is final: the file is cut back to its last whole entry, and everything after is refused.
    """

    __slots__ = (
        "_chain",
        "_clock",
        "_fd",
        "_key",
        "_opened",
        "_origin",
        "_refusal",
        "denied",
        "path",
        "size",
        "statements",
    )

    def __init__(self, path: Path, opened: Opened, key: EvidenceKey, clock: Callable[[], float]) -> None:
        self.path = path
        self.size = 0
        self.statements = 0
        self.denied = 0
        self._opened = opened
        self._key = key
        self._clock = clock
        self._origin = clock()
        self._chain = Chain()
        self._refusal: str | None = None
        self._fd = -1

    @classmethod
    def create(cls, directory: Path, opened: Opened, key: EvidenceKey, clock: Callable[[], float]) -> Self:
        """Begin the recording of `opened.session`. `clock` gives seconds; a steady one is best (`time.monotonic`)."""
        recorder = cls(path_of(directory, opened.session), opened, key, clock)
        try:
            first = HEADER + b"".join(recorder._chain.add(0, opened))
            ensure_private_directory(directory)
            recorder._fd = create_whole(recorder.path, first, through_power_cuts=False)
            recorder.size = len(first)
            # Held until the file is closed, by the kernel too: `repair` leaves alone what is still being written.
            fcntl.flock(recorder._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except Exception as error:
            raise recorder._fail(error) from error
        return recorder

    @staticmethod
    def repair(path: Path, key: EvidenceKey) -> Repaired:
        """See `hoopx_broker.recording.repair`."""
        return repair(path, key)

    @property
    def entries(self) -> int:
        return self._chain.count

    def write(self, entries: Sequence[Entry]) -> None:
        """Append entries, all in one write. Raises `RecordingFailed`; then nothing they tell of may be sent."""
        if self._refusal is not None:
            raise RecordingFailed(self._refusal)
        t_us = self._now()
        pieces: list[bytes] = []
        try:
            for entry in entries:
                if type(entry) is Statement:
                    self.statements += 1
                    self.denied += entry.ruling == "deny"
                elif type(entry) in _OWN:
                    raise ValueError(f"`{type(entry).__name__}` is the recorder's own entry")
                pieces += self._chain.add(t_us, entry)
            self._append(b"".join(pieces), QUOTA)
        # Whatever the reason, an entry that is not on record ends the session; nothing is to be told apart here.
        except Exception as error:
            raise self._fail(error) from error

    def seal(self, reason: str) -> None:
        """Close the recording in order. Raises `RecordingFailed`; `repair` can still seal what is there, later."""
        if self._refusal is not None:
            raise RecordingFailed(self._refusal)
        t_us = self._now()
        try:
            ended = self._chain.add(t_us, Ended(reason, self._opened.opened_at + t_us / 1e6))
            sealed = self._chain.add(t_us, seal(self._opened.session, self._chain, self._key, unfinished=False))
            self._append(b"".join(ended + sealed), None)
        except Exception as error:
            raise self._fail(error) from error
        self._refuse("it is sealed")

    def _now(self) -> int:
        """Microseconds since the beginning; a clock that is set back stands still."""
        return max(self._chain.t_us, int((self._clock() - self._origin) * 1_000_000))

    def _append(self, data: bytes, quota: int | None) -> None:
        if quota is not None and self.size + len(data) > quota:
            raise OSError(f"it has reached its quota of {quota} bytes")
        written = os.write(self._fd, data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written; is the disk full?")
        self.size += written

    def _fail(self, error: Exception) -> RecordingFailed:
        if self._fd >= 0:
            # What is torn off here would only be torn off by `repair`, so this may fail.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._refuse(reason)
        return RecordingFailed(reason)

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
