"""A child process that cannot tell that hoopx stands behind it: same terminal, same signals, its own exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from hoopx_broker.terms.errors import HoopxError

# How long a child may take to end by itself once its session is over; then it is killed.
GRACE_SECONDS = 5
# What a shell returns for a command that is not there, or cannot be executed.
NOT_FOUND, NOT_EXECUTABLE = 127, 126
# A terminal sends these to the whole foreground group, the child among it.
_BY_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})


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
        """End it: first asked, then forced."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                return await self.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            return await self.wait()


def start(command: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Standard input, output and error are the caller's own. Raises `NotStarted`."""
    try:
        return Child(subprocess.Popen(list(command), env=dict(environment)))
    except FileNotFoundError:
        raise NotStarted(f"there is no command `{command[0]}`", "give its path, or add it to PATH", NOT_FOUND) from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "is it executable, and made for this system?"
        raise NotStarted(f"`{command[0]}` cannot be run: {reason}", hint, NOT_EXECUTABLE) from None


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C reaches us and the child alike."""
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False
