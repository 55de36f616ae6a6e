"""A child process that cannot tell that hoopx stands behind it: same terminal, same signals, its own exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hoopx_broker.terms.errors import HoopxError

# How long a child may take to end by itself once its session is over; then it is killed.
GRACE_SECONDS = 5
# What a shell returns for a command that is not there, or cannot be executed.
NOT_FOUND, NOT_EXECUTABLE = 127, 126
# A terminal sends these to the whole foreground group, the child among it.
_BY_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
# What `timeout` returns for a command that took too long.
TIMED_OUT = 124


class NotStarted(HoopxError):
    """The command could not be started; `exit_code` is what a shell would return."""

    def __init__(self, message: str, hint: str, code: int) -> None:
        super().__init__(message, hint)
        self.code = code


class Child:
    """A running child."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        # A thread waits for it: that works on every system, and leaves SIGCHLD alone.
        self._end = asyncio.get_running_loop().run_in_executor(None, process.wait)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code; 128 and the signal's number when a signal ended it."""
        code = await asyncio.shield(self._end)
        return code if code >= 0 else 128 - code

    def forward(self, number: int) -> None:
        """Pass on a signal, unless the terminal gave it to the child already: twice is more than once to a child."""
        if number in _BY_TERMINAL and _in_foreground():
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self) -> int:
        """End it and what it has started: first asked, then forced."""
        self._signal_family(signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                return await self.wait()
        except TimeoutError:
            self._signal_family(signal.SIGKILL)
            return await self.wait()

    def _signal_family(self, number: int) -> None:
        """A pipe that a grandchild keeps open would hold up whoever reads what we print."""
        if self._process.poll() is not None:
            return
        for pid in _family(self._process.pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def demand(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raises `NotStarted` for what can be seen not to run, before anybody is asked for an approval of it."""
    name = command[0]
    folders = [""] if "/" in name else os.get_exec_path(environment)
    found = [path for path in (Path(folder, name) for folder in folders) if path.exists()] if name else []
    if not found:
        raise _missing(name)
    if not any(path.is_file() and os.access(path, os.X_OK) for path in found):
        raise _unfit(name, "is a directory" if found[0].is_dir() else "permission denied")


def start(command: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Standard input, output and error are the caller's own. Raises `NotStarted`."""
    try:
        return Child(subprocess.Popen(list(command), env=dict(environment)))
    except FileNotFoundError:
        raise _missing(command[0]) from None
    except (OSError, ValueError) as error:
        raise _unfit(command[0], (getattr(error, "strerror", None) or str(error)).lower()) from None


def _missing(name: str) -> NotStarted:
    return NotStarted(f"there is no command `{name}`", "give its path, or add it to PATH", NOT_FOUND)


def _unfit(name: str, reason: str) -> NotStarted:
    hint = "is it executable, and made for this system?"
    return NotStarted(f"`{name}` cannot be run: {reason}", hint, NOT_EXECUTABLE)


def _family(pid: int) -> list[int]:
    """A process and those below it, where the system tells (Linux does)."""
    found = [pid]
    for one in found:  # it grows meanwhile
        with suppress(OSError, ValueError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C reaches us and the child alike."""
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False
