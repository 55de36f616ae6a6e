"""A child process that cannot tell that hoopx stands behind it: same terminal, same signals, its own exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
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
    """A running child. `rest` is how we stop by a signal, where it has stopped: a shell sees us alone."""

    def __init__(self, process: subprocess.Popen[bytes], rest: Callable[[int], object] | None = None) -> None:
        self._process = process
        self._rest = rest
        self._is_to_rest = False
        self._loop = asyncio.get_running_loop()
        # A thread waits for it: that works on every system, and leaves SIGCHLD alone.
        self._end = self._loop.run_in_executor(None, self._follow)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code; 128 and the signal's number when a signal ended it."""
        code = await asyncio.shield(self._end)
        return code if code >= 0 else 128 - code

    def forward(self, number: int) -> None:
        """Pass on a signal, unless the terminal gave it to the child already: twice is more than once to a child."""
        if number in (signal.SIGTSTP, signal.SIGCONT):
            self._is_to_rest = number == signal.SIGTSTP
        if number in _BY_TERMINAL and _in_foreground():
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self) -> int:
        """End it and what it has started: first asked, then forced."""
        self._signal_family(signal.SIGTERM)
        self._signal_family(signal.SIGCONT)  # what is at rest would hear of it only then
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                return await self.wait()
        except TimeoutError:
            self._signal_family(signal.SIGKILL)
            return await self.wait()

    def _follow(self) -> int:
        """Its end. Where it stops before, the loop hears of it."""
        while True:
            try:
                _, status = os.waitpid(self._process.pid, os.WUNTRACED)
            except ChildProcessError:  # a signal was to be sent, and found it dead
                return self._process.wait()
            if not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            self._loop.call_soon_threadsafe(self._stopped, os.WSTOPSIG(status))

    def _stopped(self, number: int) -> None:
        """Rest as it does, where somebody is there to let us go on: whoever said it to us, or the terminal's shell.

        Where neither is (a program that slows a process down stops and continues it alone), its session goes on. What
        is told late, when both have been continued, is nothing any more.
        """
        if self._rest is not None and (self._is_to_rest or _in_foreground()) and _is_stopped(self._process.pid):
            self._is_to_rest = False
            self._rest(number)

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


def start(command: Sequence[str], environment: Mapping[str, str], rest: Callable[[int], object] | None = None) -> Child:
    """Standard input, output and error are the caller's own. Raises `NotStarted`."""
    try:
        return Child(subprocess.Popen(list(command), env=dict(environment)), rest)
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


def _is_stopped(pid: int) -> bool:
    """Whether it is at rest now, where the system tells (Linux does)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (OSError, IndexError):
        return not Path("/proc/self/stat").exists()


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C reaches us and the child alike, whatever standard input is."""
    with suppress(OSError):
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
