"""How much recordings may take on a disk from which a store has to fetch them first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.terms.entries import Entry
from hoopx_broker.terms.errors import BackendFailed

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


class SpoolFull(BackendFailed):
    """Nothing more can be recorded until the store has taken something. Nothing of what is there is given up."""

    http_status = 503


class Room:
    """Of one directory; used from the event loop. Without a `limit` there is always room."""

    def __init__(self, limit: int | None = None, waits_for: str = "") -> None:
        self._limit = limit
        self._waits_for = waits_for
        self.used = 0

    def check(self) -> None:
        """Raises `SpoolFull`."""
        if self._limit is not None and self.used >= self._limit:
            raise SpoolFull(
                f"the spool is full: `evidence.spool_limit` is {spoken_size(self._limit)}, and {spoken_size(self.used)}"
                f" of recordings wait for `{self._waits_for}`",
                "look at `recordings_waiting` in /healthz, and in the broker's log at why the store does not take them",
            )

    def grow(self, size: int) -> None:
        self.used = max(0, self.used + size)

    def measure(self, directory: Path) -> None:
        """Look at what there is; before the first recording of this process."""
        try:
            with os.scandir(directory) as entries:
                self.used = sum(each.stat().st_size for each in entries if each.is_file(follow_symlinks=False))
        except FileNotFoundError:
            self.used = 0


class Spooled(Recorder):
    """A recorder that ends when its room does. It may go beyond it by one write, and by its seal."""

    __slots__ = ("_room",)

    _room: Room

    def within(self, room: Room) -> Spooled:
        """From now on it takes from `room`, and what it has already too."""
        self._room = room
        room.grow(self.size)
        return self

    def write(self, entries: Sequence[Entry]) -> None:
        """As a recorder's. Raises `RecordingFailed`, which says which limit it was."""
        before = self.size
        if self._refusal is None:
            try:
                self._room.check()
            except SpoolFull as full:
                raise self._fail(full) from full
        try:
            super().write(entries)
        finally:
            self._room.grow(self.size - before)


def spoken_size(size: int) -> str:
    """Rounded to what people read: `1.5 GiB`."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
