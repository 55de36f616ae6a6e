"""How recordings fail: while they are written, and when they are read."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed, BadInput, ExitCode, HoopxError


class RecordingFailed(BackendFailed):
    """What could not be recorded must not be sent: the session ends."""

    http_status = 503

    def __init__(self, reason: str) -> None:
        super().__init__(f"the recording failed: {reason}", "free or repair the broker's recordings directory")
        self.reason = reason


class Place(Struct, frozen=True):
    """Where in a recording: bytes from `start` up to `end`, and of version 2 the number of the block, from 1."""

    start: int
    end: int
    block: int | None = None

    def __str__(self) -> str:
        block = f"block {self.block}, " if self.block is not None else ""
        return f"{block}bytes {self.start} to {self.end}"


class BrokenEvidence(HoopxError):
    """A recording that does not hold. `entry` is the first bad entry, counted from 1 (0: before any); `reason` why.

    `place` says where it stands in the file, as far as that is known.
    """

    # Bad input: the file is at fault, never `unexpected`, which stands for a bug of ours.
    exit_code = ExitCode.USAGE

    def __init__(self, entry: int, reason: str, place: Place | None = None) -> None:
        hint = "keep this file as it is, and compare it with another copy or a fresh export of the session"
        where = f" ({place})" if place is not None else ""
        super().__init__(f"entry {entry}{where}: {reason}", hint)
        self.entry = entry
        self.reason = reason
        self.place = place


class TornEnd(BrokenEvidence):
    """The file ends inside an entry, as after a crash in the middle of a write."""


class Unsealed(BrokenEvidence):
    """Everything holds, and there is no seal: it is being written still, or was cut between two entries."""


class TooLarge(HoopxError):
    """An entry beyond the bound of the format."""


class Locked(BadInput):
    """A recording that is encrypted, and nothing at hand that opens it."""
