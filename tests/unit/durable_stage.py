"""A disk whose fsync the test holds, and recorders on it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from msgspec import structs

from hoopx_broker.recording.committer import Committer
from hoopx_broker.recording.recorder import Recorder
from tests.unit.recording_scene import KEY, OPENED, HandClock


class Disk:
    """A double of `fsync`: it says when it has begun, and ends when it may."""

    def __init__(self, patience: float = 20) -> None:
        self.synced: list[str] = []  # the names of the files, in the order in which their fsync began
        self.fault: OSError | None = None
        self.committer = Committer(self._sync, patience)
        self._names: dict[int, str] = {}
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        self.synced.clear()
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def recorder(self, directory: Path, session: str = OPENED.session) -> Recorder:
        opened = structs.replace(OPENED, session=session)
        recorder = Recorder.create(directory, opened, KEY, HandClock(), committer=self.committer)
        for path in (recorder.path, directory):
            self._names[path.stat().st_ino] = path.name
        return recorder

    def _sync(self, fd: int) -> None:
        self.synced.append(self._names[os.fstat(fd).st_ino])
        self._open.wait(20)
        if self.fault is not None:
            raise self.fault
        os.fsync(fd)
