"""Where the person of a session sits: one link at a time, which may be lost for a moment and taken up again."""

from __future__ import annotations

import asyncio
from collections import deque

from hoopx_broker.session.links import ControlLink

# What a CLI that comes back is told of the time when it was gone; nobody reads more.
MAX_KEPT = 100


class Seat:
    """`grace` is how many seconds a lost link is waited for; none until the session is open."""

    def __init__(self, link: ControlLink) -> None:
        self.grace = 0.0
        self.is_left = False
        self._link = link
        self._came = asyncio.Event()
        self._kept: deque[bytes] = deque(maxlen=MAX_KEPT)

    def send(self, message: bytes) -> None:
        """Kept for whoever comes back, where nobody is there now."""
        if self._link.is_gone and self.grace:
            self._kept.append(message)
        else:
            self._link.send(message)

    def take(self, link: ControlLink) -> None:
        """The newest link counts: the one before may be lost without anybody having noticed."""
        before, self._link = self._link, link
        self._came.set()
        before.give_up()

    def tell_kept(self) -> None:
        """What was said while nobody was there."""
        while self._kept:
            self._link.send(self._kept.popleft())

    async def receive(self) -> bytes | None:
        """The next message; None when the link is lost and nobody has come back in time."""
        while True:
            link = self._link
            message = await link.receive()
            if message is not None:
                return message
            if link is self._link and not await self._is_taken_again():
                self.is_left = True
                return None

    async def _is_taken_again(self) -> bool:
        self._came.clear()
        try:
            async with asyncio.timeout(self.grace):
                await self._came.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self.is_left = True
        self._link.close()
