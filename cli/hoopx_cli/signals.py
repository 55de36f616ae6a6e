"""What signals mean while a session is open: to the child if there is one, else an orderly end, or nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# A child hears of these too; without one they go on meaning nothing, or a rest.
_PASSING = (signal.SIGWINCH, signal.SIGCONT)


class Signals:
    """Cancels the task that it was made in, and remembers which signal it was; or hands signals on."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._receiver: Callable[[int], None] | None = None
        self.received: int | None = None

    def take(self, number: int) -> None:
        if self._receiver is not None:
            self._receiver(number)
            return
        self.leave(number)

    def leave(self, number: int) -> None:
        """Come to an orderly end, whoever has signals handed to; at those that mean nothing by themselves, do not."""
        if number in _PASSING or number == signal.SIGTSTP:
            return
        self.received = number
        self._task.cancel()

    @contextmanager
    def handed_to(self, receiver: Callable[[int], None]) -> Iterator[None]:
        """As long as this lasts, signals are somebody else's."""
        self._receiver = receiver
        try:
            yield
        finally:
            self._receiver = None

    def rest(self) -> None:
        """Ctrl-Z: the child first, then we, as if there were nothing to tidy up; CONT comes back to here."""
        if self._receiver is not None:
            self._receiver(signal.SIGTSTP)
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self.rest)


@contextmanager
def caught() -> Iterator[Signals]:
    """Handle signals in the current task. What was ignored from outside (`nohup`, a job in the background) stays so."""
    task = asyncio.current_task()
    assert task is not None
    signals = Signals(task)
    loop = asyncio.get_running_loop()
    ours = [number for number in (*_ENDING, *_PASSING) if signal.getsignal(number) is not signal.SIG_IGN]
    for number in ours:
        loop.add_signal_handler(number, signals.take, int(number))
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGTSTP, signals.rest)
        ours.append(signal.SIGTSTP)
    try:
        yield signals
    finally:
        for number in ours:
            loop.remove_signal_handler(number)
