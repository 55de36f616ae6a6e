"""One broker, one state: a second one would revoke the first one's leases as left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hoopx_broker.storage.errors import StateUnusable


class Hold:
    """The lock beside the state file. The kernel lets go of it when the process dies, however it dies."""

    def __init__(self, state: Path) -> None:
        self._file = os.open(state.with_name(state.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # POSIX record locks, not flock: a child process that outlives a killed broker does not inherit them.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StateUnusable(
                f"another broker (process {holder or 'unknown'}) is using `{state}`",
                "stop it first, or name another file in `state`",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def let_go(self) -> None:
        os.close(self._file)
