"""Have the whole terminal for a while: a second screen painted line by line, and keys as they are typed."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from hoopx_cli.inert import width
from hoopx_cli.keys import Keyboard, Typed
from hoopx_cli.screen import Line

_SETTLE_SECONDS = 0.05  # what an Escape may be followed by comes with it, over slow lines too
_CHUNK = 4096
# The other screen, without a cursor; pasted text is marked as such, so that it is never taken for commands.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J"
_LEAVE = "\x1b[?2004l\x1b[?25h\x1b[?1049l"
# Where a terminal knows these, it shows what stands between them at once.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class Terminal:
    """Made by `whole_terminal`. Only lines that changed are written, all of them in one go: nothing flickers."""

    def __init__(self, write: Callable[[str], None], *, has_colour: bool) -> None:
        self._write = write
        self._has_colour = has_colour
        self._input = sys.stdin.fileno()
        self._keyboard = Keyboard()
        self._painted: list[Line] = []
        self._is_stale = self._is_to_stop = False
        self._before: list[Any] = []
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        return shutil.get_terminal_size()

    def paint(self, lines: Sequence[Line], cursor: tuple[int, int] | None) -> None:
        columns, _ = self.size()
        if self._is_stale:
            self._painted, self._is_stale = [], False
            self._write("\x1b[2J")
        changed = [
            f"\x1b[{row + 1};1H{self._styled(line)}{_rest(line, columns)}"
            for row, line in enumerate(lines)
            if row >= len(self._painted) or self._painted[row] != line
        ]
        shown = f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H\x1b[?25h" if cursor else "\x1b[?25l"
        self._write("".join([_BEGIN, "\x1b[?25l", *changed, shown, _END]))
        self._painted = list(lines)

    def forget(self) -> None:
        """Paint everything anew the next time: something else may have written into the window."""
        self._is_stale = True

    def ring(self) -> None:
        self._write("\a")

    def wake(self) -> None:
        """Have `typed` return now; from another thread, or out of a signal."""
        try:
            os.write(self._waker, b"!")
        except BlockingIOError:
            return  # woken often enough

    def typed(self, seconds: float) -> list[Typed]:
        """What is typed, as soon as there is something; after so many seconds, or when woken, nothing.

        Raises `OSError` where the terminal is gone.
        """
        if self._is_to_stop:
            self._stop()
        patience = _SETTLE_SECONDS if self._keyboard.is_in_doubt else seconds
        ready, _, _ = select.select([self._input, self._woken], [], [], patience)
        if self._woken in ready:
            os.read(self._woken, _CHUNK)
        if self._input not in ready:
            return [] if ready else self._keyboard.settle()
        data = os.read(self._input, _CHUNK)
        if not data:
            raise OSError(errno.EIO, "the terminal is gone")
        return self._keyboard.feed(data)

    def enter(self) -> None:
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input, termios.TCSADRAIN)
        self._painted = []
        self._write(_ENTER)

    def leave(self) -> None:
        with suppress(termios.error, OSError):  # it may be gone
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
            self._write(_LEAVE)

    def close(self) -> None:
        os.close(self._woken)
        os.close(self._waker)

    # Out of a signal nothing is written: it may have come in the middle of a line.

    def resized(self, number: int, frame: FrameType | None) -> None:
        self._is_stale = True
        self.wake()

    def stopped(self, number: int, frame: FrameType | None) -> None:
        self._is_to_stop = True
        self.wake()

    def _stop(self) -> None:
        """Ctrl-Z: the shell has the terminal until it lets us go on."""
        self._is_to_stop = False
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.enter()

    def _styled(self, line: Line) -> str:
        if not self._has_colour:
            return line.text
        return "".join(map(_in_style, line.runs or ((line.text, line.style.value),)))


@contextmanager
def whole_terminal(write: Callable[[str], None], *, has_colour: bool) -> Iterator[Terminal]:
    """The terminal is as it was afterwards, and while the process is stopped by Ctrl-Z."""
    terminal = Terminal(write, has_colour=has_colour)

    handlers = ((signal.SIGWINCH, terminal.resized), (signal.SIGTSTP, terminal.stopped))
    before = {number: signal.signal(number, act) for number, act in handlers}
    try:
        terminal.enter()
        try:
            yield terminal
        finally:
            terminal.leave()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        terminal.close()


def _in_style(run: tuple[str, str]) -> str:
    text, code = run
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _rest(line: Line, columns: int) -> str:
    """Clears what stood behind a line; behind one that fills its row there is nothing, and its end would go."""
    return "\x1b[K" if width(line.text) < columns else ""
