"""What a stream waits for before it takes up more of what its client says: a ruling, people, the name of a function."""

from __future__ import annotations

import asyncio

from hoopx_broker.terms.facts import Fault
from hoopx_broker.terms.rulings import Deny

# What a client may say ahead while a statement of it is held: what comes then is read on, so that its end is noticed.
AHEAD_BYTES = 256 * 1024

CALLED_OFF = Deny(
    "it was called off while people were asked",
    "judge",
    fault=Fault("57014", "canceling statement due to user request"),
)


class Wait:
    """One thing at a time. `is_asking` while it is people; `is_called_off` when their answer is not wanted any more."""

    __slots__ = ("_ahead", "is_asking", "is_called_off", "is_on", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.is_on = self.is_asking = self.is_called_off = False
        self._ahead = 0

    def begin(self, task: asyncio.Task[None]) -> None:
        self.is_on, self.task, self._ahead = True, task, 0

    def over(self) -> None:
        self.is_on, self.task = False, None
        self.is_asking = self.is_called_off = False

    def is_far_behind(self, more: int) -> bool:
        """Whether the client has said too much ahead, with `more` bytes now."""
        self._ahead += more
        return self._ahead > AHEAD_BYTES

    def call_off(self) -> None:
        """Nobody wants the answer of those who are asked any more."""
        if self.task is not None and not self.is_called_off:
            self.is_called_off = True
            self.task.cancel()

    def close(self) -> None:
        """Nobody is left to hear it."""
        if self.task is not None:
            self.task.cancel()
