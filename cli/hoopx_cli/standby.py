"""A session that is open only while somebody uses it: opened by its first client, ended some time after its last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from hoopx_broker.api.messages import Open, Waiting
from hoopx_broker.terms.errors import StillPending, Unreachable
from hoopx_broker.tunnel.client import Near, Stream, UpgradeRefused
from hoopx_cli.output import Output, moment
from hoopx_cli.session import Entrance, Session, open_session

# The broker is asked as whoever it is then: a token may have ended since the last session did.
Enter = Callable[[], Awaitable[Entrance]]


class Guest(Near, Protocol):
    """A client that waits for the session."""

    def tell(self, text: str, detail: str, hint: str) -> None:
        """Something to know meanwhile."""


class _Stay:
    """One session, from the first client that wants it until it is over."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self.deserted = asyncio.Event()
        self.is_over = False
        self._guests: list[Guest] = []
        self._waiting: Waiting | None = None

    @contextmanager
    def awaited_by(self, guest: Guest) -> Iterator[None]:
        self._guests.append(guest)
        if self._waiting is not None:
            _tell(guest, self._waiting)
        try:
            yield
        finally:
            self._guests.remove(guest)

    def waits(self, waiting: Waiting) -> None:
        self._waiting = waiting
        for guest in self._guests:
            _tell(guest, waiting)

    def fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # where every client has left, nobody else asks for it


class Standby:
    """Stands behind a local socket. `idle` is how many seconds a session without clients is kept."""

    def __init__(self, enter: Enter, order: Open, idle: float, out: Output) -> None:
        self._enter = enter
        self._order = order
        self._idle = idle
        self._out = out
        self._stay: _Stay | None = None
        self._host: asyncio.Task[None] | None = None
        self._streams = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Is there a session that could have something to cancel?"""
        stay = self._stay
        return stay is not None and not stay.is_over and stay.opened.done()

    async def dial(self, near: Guest) -> Stream:
        """A stream of the session, which is opened if need be. Raises what its opening raises."""
        stay = self._present()
        try:
            return await self._joined(stay, near)
        except UpgradeRefused:
            # It ended a moment ago, and the broker knew first.
            if self._present() is stay:
                raise
            return await self._joined(self._present(), near)

    def count(self, streams: int) -> None:
        """So many clients are here from now on."""
        self._streams = streams
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        stay = self._stay
        if streams or stay is None or stay.is_over:
            return
        # While people are still asked, nobody is left to hear their answer.
        seconds = self._idle if stay.opened.done() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, stay.deserted.set)

    async def close(self) -> None:
        """End the session, and wait until the broker has heard of it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._stay is not None:
            self._stay.deserted.set()
        if self._host is not None:
            await asyncio.gather(self._host, return_exceptions=True)

    async def _joined(self, stay: _Stay, near: Guest) -> Stream:
        with stay.awaited_by(near):
            session = await asyncio.shield(stay.opened)
        return await session.dial(near)

    def _present(self) -> _Stay:
        stay = self._stay
        if stay is None or stay.is_over or stay.deserted.is_set():
            stay = self._stay = _Stay()
            self._host = asyncio.get_running_loop().create_task(self._see_through(stay, self._host))
        return stay

    async def _see_through(self, stay: _Stay, before: asyncio.Task[None] | None) -> None:
        """Open the session and see it to its end, and leave none behind, whatever happens."""
        if before is not None:  # its credential is being revoked
            await asyncio.gather(before, return_exceptions=True)
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._open(stay))
        deserted = loop.create_task(stay.deserted.wait())
        try:
            await asyncio.wait({work, deserted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deserted.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            stay.is_over = True
            stay.fail(Unreachable("nobody waited for this session any more", "connect again"))

    async def _open(self, stay: _Stay) -> None:
        try:
            entrance = await self._enter()
            async with open_session(entrance, self._order, stay.waits) as session:
                await self._use(stay, session)
        except StillPending as error:
            stay.fail(StillPending(error.message, "connect again once it is approved"))
        except Exception as error:
            # Whatever it is, it ends this session and is said; the clients hear it from `dial`.
            stay.fail(error)

    async def _use(self, stay: _Stay, session: Session) -> None:
        name = f"{self._order.target}: session {session.opened.session}"
        self._out.detail(f"{name} is open until {moment(session.opened.expires_at)}")
        stay.opened.set_result(session)
        self.count(self._streams)
        try:
            ended = await session.over()
        except asyncio.CancelledError:
            self._out.detail(f"{name} ends: nobody uses it")
            raise
        stay.is_over = True
        self._out.say(f"{name} ended: {ended.reason if ended is not None else 'the broker was lost'}")


def _tell(guest: Guest, waiting: Waiting) -> None:
    people = " and ".join(f"{count} of `{group}`" for group, count in sorted(waiting.approvers.items()))
    text = f"this session waits for {people}: request `{waiting.request}`"
    guest.tell(text, waiting.reason, f"an approver runs `hoopx approve {waiting.request}`")
