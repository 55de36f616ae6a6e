"""Sessions of native clients: connections of one person and purpose share one, which ends soon after the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import Struct

from hoopx_broker.api.messages import Open, Waiting
from hoopx_broker.identity.passes import Passes
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.database_session import MAX_STREAMS
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.presence import unless_left, until_the_end
from hoopx_broker.terms.errors import Denied, Unreachable
from hoopx_broker.terms.people import Principal
from hoopx_broker.tunnel.crew import Crew

# A pool that replaces its one connection, or a script that runs psql again and again, needs no new lease each time.
LINGER_SECONDS = 5.0
# What `hoopx connect` waits for people by itself. Most native clients have a limit of their own, or none at all.
WAIT_SECONDS = 15 * 60

OnWaiting = Callable[[Waiting], None]


class Purpose(Struct, frozen=True):
    """What connections must have in common to share a session: nobody joins one that he could not have opened.

    `who` is all that the token said. `host` is the address they come from, because the recording names one. `pass_` is
    the id of the pass that opens it, empty where a token does. `sid` and `client` are those of the login: what ends one
    login must not leave its connections in the session of another.
    """

    who: Principal
    target: str
    reason: str
    ticket: str
    host: str
    pass_: str = ""
    sid: str = ""
    client: str = ""


class _Shared:
    """One session, from the first connection that wants it until it is over."""

    def __init__(self, purpose: Purpose) -> None:
        self.purpose = purpose
        self.opened: asyncio.Future[LiveSession] = asyncio.get_running_loop().create_future()
        self.deserted = asyncio.Event()
        self.guests: list[OnWaiting] = []
        self._waiting: Waiting | None = None
        self._linger: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        if self.deserted.is_set() or not self.opened.done():
            return self.deserted.is_set()
        return self.opened.cancelled() or self.opened.exception() is not None or self.opened.result().is_ending

    def enter(self, guest: OnWaiting) -> None:
        if len(self.guests) >= MAX_STREAMS:
            raise Denied(f"{MAX_STREAMS} connections share this session already", "close some")
        self.guests.append(guest)
        self.stop_linger()
        if self._waiting is not None and not self.opened.done():
            guest(self._waiting)

    def leave(self, guest: OnWaiting) -> None:
        self.guests.remove(guest)
        if not self.guests:
            # While people are still asked, nobody is left to hear their answer.
            seconds = LINGER_SECONDS if self.opened.done() else 0
            self._linger = asyncio.get_running_loop().call_later(seconds, self.deserted.set)

    def waits(self, waiting: Waiting) -> None:
        self._waiting = waiting
        for guest in list(self.guests):
            guest(waiting)

    def stop_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None


class SharedSessions:
    """`joined` is the only way in: the place is given back whatever happens."""

    def __init__(self, opening: Opening, passes: Passes, crew: Crew, clock: Callable[[], float]) -> None:
        self._opening = opening
        self._passes = passes
        self._crew = crew
        self._clock = clock
        self._by_purpose: dict[Purpose, _Shared] = {}

    @asynccontextmanager
    async def joined(self, purpose: Purpose, applicant: Applicant, on_waiting: OnWaiting) -> AsyncIterator[LiveSession]:
        """The session for this purpose, opened if need be. Raises what the opening raises."""
        shared = self._by_purpose.get(purpose)
        if shared is None or shared.is_over:
            if purpose.pass_:
                self._passes.open_with(purpose.pass_)
            shared = self._by_purpose[purpose] = _Shared(purpose)
            self._crew.start(self._host(shared, applicant), "shared session")
        shared.enter(on_waiting)
        try:
            yield await asyncio.shield(shared.opened)
        finally:
            shared.leave(on_waiting)

    async def _host(self, shared: _Shared, applicant: Applicant) -> None:
        """Open the session and see it to its end, and leave none behind, whatever happens."""
        try:
            session = await self._open(shared, applicant)
            if session is not None:
                await self._see_through(shared, session)
        except asyncio.CancelledError:
            _fail(shared, Unreachable("the broker stops", "try again in a moment"))
            raise
        except Exception as error:
            _fail(shared, error)
        finally:
            shared.stop_linger()
            self._passes.is_over(shared.purpose.pass_)
            if self._by_purpose.get(shared.purpose) is shared:
                del self._by_purpose[shared.purpose]

    async def _open(self, shared: _Shared, applicant: Applicant) -> LiveSession | None:
        """None when every connection left before the session was open; what was made until then is undone."""
        purpose = shared.purpose
        ask = Open(purpose.target, purpose.reason, purpose.ticket, wait=WAIT_SECONDS)
        opening = self._opening.open(ask, applicant, shared.waits, lambda _: None)
        session = await unless_left(shared.deserted.wait, opening, self._crew)
        if session is None:
            shared.opened.cancel()
        return session

    async def _see_through(self, shared: _Shared, session: LiveSession) -> None:
        reason = "hoopx failed"
        try:
            shared.opened.set_result(session)
            reason = await until_the_end(
                session, shared.deserted.wait, lambda: "its last connection is gone", self._crew, self._clock
            )
        except asyncio.CancelledError:
            reason = "the broker stops"
            raise
        finally:
            with suppress(Exception):  # its crew reports what fails in ending it
                await session.end(reason)


def _fail(shared: _Shared, error: Exception) -> None:
    if not shared.opened.done():
        shared.opened.set_exception(error)
        shared.opened.exception()  # where every connection has left, nobody else asks for it
