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
        self._rests_with_receiver = False
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
    def handed_to(self, receiver: Callable[[int], None], *, rests: bool = False) -> Iterator[None]:
        """As long as this lasts, signals are somebody else's; with `rests`, so is it whether we stop at Ctrl-Z."""
        self._receiver, self._rests_with_receiver = receiver, rests
        try:
            yield
        finally:
            self._receiver, self._rests_with_receiver = None, False

    def paused(self) -> None:
        """Ctrl-Z. A child may ignore it, or tidy the terminal up before it stops; then we do."""
        if self._receiver is not None:
            self._receiver(signal.SIGTSTP)
        if not self._rests_with_receiver:
            self.rest(signal.SIGTSTP)

    def rest(self, number: int) -> None:
        """Stop by this signal, as if there were nothing to tidy up; CONT comes back to here."""
        loop = asyncio.get_running_loop()
        is_ours = loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(number)
        if is_ours:
            loop.add_signal_handler(signal.SIGTSTP, self.paused)


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
        loop.add_signal_handler(signal.SIGTSTP, signals.paused)
        ours.append(signal.SIGTSTP)
    try:
        yield signals
    finally:
        for number in ours:
            loop.remove_signal_handler(number)
