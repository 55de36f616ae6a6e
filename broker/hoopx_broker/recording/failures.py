"""How recordings fail: while they are written, and when they are read."""

from __future__ import annotations

from hoopx_broker.terms.errors import ExitCode, HoopxError


class RecordingFailed(HoopxError):
    """What could not be recorded must not be sent: the session ends."""

    http_status = 503

    def __init__(self, reason: str) -> None:
        super().__init__(f"the recording failed: {reason}", "free or repair the broker's recordings directory")
        self.reason = reason


class BrokenEvidence(HoopxError):
    """A recording that does not hold. `entry` is the first bad entry, counted from 1 (0: before any); `reason` why."""

    # Bad input: the file is at fault, never `unexpected`, which stands for a bug of ours.
    exit_code = ExitCode.USAGE

    def __init__(self, entry: int, reason: str) -> None:
        hint = "keep this file as it is, and compare it with another copy or a fresh export of the session"
        super().__init__(f"entry {entry}: {reason}", hint)
        self.entry = entry
        self.reason = reason


class TornEnd(BrokenEvidence):
    """The file ends inside an entry, as after a crash in the middle of a write."""


class TooLarge(HoopxError):
    """An entry beyond the bound of the format."""
