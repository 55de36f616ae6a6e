"""Bring recordings to the disk: one fsync for all who wait, in a thread, and the next for who came meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.whole import ensure_private_directory

Settled = Callable[[], None]
Failed = Callable[[RecordingFailed], None]
Sync = Callable[[int], None]

# A healthy disk takes milliseconds, a busy one seconds. Who has waited for it so long is told that it does not work.
PATIENCE_SECONDS = 30.0
# The files of one group at once: the file system then brings what they have in common to the disk only once.
_LANES = 8
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)


def sync(fd: int) -> None:
    """To the disk itself, which takes a word more on macOS."""
    if _FULL_SYNC is not None:
        fcntl.fcntl(fd, _FULL_SYNC)
    else:
        os.fsync(fd)


def make_durable_directory(directory: Path) -> None:
    """It is there, and stays. Raises `OSError`. To be called where nobody waits."""
    ensure_private_directory(directory)
    sync_directory(directory.parent)


class Committer:
    """Used from one event loop, which it never makes wait."""

    def __init__(self, sync: Sync = sync, patience: float = PATIENCE_SECONDS) -> None:
        self._sync = sync
        self._patience = patience
        self._forming: dict[Durable, None] = {}
        self._running: tuple[Durable, ...] = ()
        self._runner = ThreadPoolExecutor(1, "hoopx-commit")
        self._lanes = ThreadPoolExecutor(_LANES, "hoopx-fsync")
        self._late: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """How many recordings hold what is not known to be on the disk."""
        return len({*self._forming, *self._running})

    def follow(self, path: Path, fd: int, lost: Failed) -> Durable:
        """A file that was just made: its name goes to the disk with it. `lost` hears, once, that it does not work."""
        return Durable(self, path, os.dup(fd), lost)

    def want(self, file: Durable) -> None:
        self._forming[file] = None
        if not self._running:
            self._begin()

    async def close(self) -> None:
        """When all that was asked for is done, or the disk does not answer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._patience)
        self._runner.shutdown(wait=False)
        self._lanes.shutdown(wait=False)

    def _begin(self) -> None:
        """For all who have asked by now: what they have written was written before this fsync."""
        self._idle.clear()
        self._running, self._forming = tuple(self._forming), {}
        for file in self._running:
            file.begin()
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(self._patience, self._is_late)
        work = self._runner.submit(self._sync_all, self._running)
        work.add_done_callback(lambda done: loop.call_soon_threadsafe(self._end, done))

    def _sync_all(self, files: Sequence[Durable]) -> list[str]:
        """In a thread: what went wrong with each, empty where nothing did."""
        return [self._try(files[0])] if len(files) == 1 else list(self._lanes.map(self._try, files))

    def _try(self, file: Durable) -> str:
        try:
            file.sync(self._sync)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _end(self, done: Future[list[str]]) -> None:
        if self._late is not None:
            self._late.cancel()
        for file, wrong in zip(self._running, done.result(), strict=True):
            file.end(wrong)
        self._running = ()
        if self._forming:
            self._begin()
        else:
            self._idle.set()

    def _is_late(self) -> None:
        """Whoever waits behind it has no more to hope for. The thread goes on, and so does the next group after it."""
        self._late = asyncio.get_running_loop().call_later(self._patience, self._is_late)
        for file in (*self._running, *self._forming):
            file.give_up(f"the disk has confirmed nothing for {self._patience:g} s")


class Durable:
    """One recording on its way to the disk. It has a descriptor of its own, so that nobody closes what is synced.

    A failure is final: the kernel may have dropped what it could not write, and another fsync would say all is well.
    """

    def __init__(self, committer: Committer, path: Path, fd: int, lost: Failed) -> None:
        self._committer = committer
        self._fd = fd
        self._lost = lost
        self._unnamed: Path | None = path.parent
        self._asked: list[tuple[Settled, Failed]] = []
        self._begun: list[tuple[Settled, Failed]] = []
        self._wrong: RecordingFailed | None = None
        self._is_last = self._is_wanted = False

    def settle(self, settled: Settled, failed: Failed) -> None:
        """Call one of them, once: when all that is written by now is on the disk, or when it will never be known to."""
        if self._wrong is not None:
            failed(self._wrong)
        elif self._fd < 0:
            settled()
        else:
            self._asked.append((settled, failed))
            self._want()

    def close(self) -> None:
        """Nothing more is written; what was goes to the disk, whether or not anybody waits for it."""
        if not self._is_last:
            self._is_last = True
            self._want()

    def _want(self) -> None:
        self._is_wanted = True
        self._committer.want(self)

    # What the committer calls.

    def begin(self) -> None:
        self._is_wanted = False
        self._begun, self._asked = self._asked, []

    def sync(self, sync: Sync) -> None:
        """In a thread. Raises `OSError`."""
        sync(self._fd)
        if self._unnamed is not None:
            sync_directory(self._unnamed, sync)
            self._unnamed = None

    def end(self, wrong: str) -> None:
        """`wrong` tells those who came meanwhile, too."""
        if wrong:
            self.give_up(wrong)
        begun, self._begun = self._begun, []
        if self._is_last and not self._is_wanted:
            os.close(self._fd)
            self._fd = -1
        for settled, _ in begun:
            settled()

    def give_up(self, why: str) -> None:
        if self._wrong is None:
            self._wrong = RecordingFailed(why)
            self._lost(self._wrong)
        told, self._begun, self._asked = [*self._begun, *self._asked], [], []
        for _, failed in told:
            failed(self._wrong)


def sync_directory(directory: Path, sync: Sync = sync) -> None:
    """The names in it."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)
