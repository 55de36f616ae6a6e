"""One broker, one state: a second one would revoke the first one's leases as left behind. It may wait its turn."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hoopx_broker.storage.errors import StateUnusable

# What stands between the death of one broker and the start of the next; looking costs a few microseconds.
LOOK_SECONDS = 0.25


class StateHeld(StateUnusable):
    """Another broker is using it."""


class Hold:
    """The lock beside the state file. The kernel lets go of it when the process dies, however it dies."""

    def __init__(self, state: Path) -> None:
        real = state.resolve()  # SQLite follows links too: one state by two names is one state
        self._file = os.open(real.with_name(real.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # POSIX record locks, not flock: a child process that outlives a killed broker does not inherit them.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StateHeld(
                f"another broker (process {holder or 'unknown'}) is using `{state}`",
                "stop it first, name another file in `state`, or wait for its end with `hoopx broker run --standby`",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def let_go(self) -> None:
        os.close(self._file)


def take(state: Path) -> Hold:
    """Make or tighten the file before SQLite sees it: its journals get its mode. Raises `StateUnusable`."""
    try:
        state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(state, os.O_RDWR | os.O_CREAT, 0o600))
        state.chmod(0o600)
        return Hold(state)
    except OSError as error:
        raise StateUnusable(
            f"the broker's state `{state}` cannot be opened: {error.strerror}",
            "make the file and its directory writable for the broker's user, or name another file in `state`",
        ) from error


async def take_over(state: Path, stop: asyncio.Event, on_waiting: Callable[[str], None]) -> Hold | None:
    """Wait until no other broker uses it; `on_waiting` hears once who does. None when told to stop before.

    Raises `StateUnusable` where waiting is of no use.
    """
    is_told = False
    while not stop.is_set():
        try:
            return take(state)
        except StateHeld as error:
            if not is_told:
                on_waiting(error.message)
            is_told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
    return None
