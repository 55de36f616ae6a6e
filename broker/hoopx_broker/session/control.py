"""Attend one session: open it as the CLI asks, tell what happens, and end it when the CLI is done or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import (
    Counts,
    Ended,
    Event,
    Hangup,
    Keys,
    Open,
    Opened,
    Refusal,
    Renew,
    Waiting,
)
from hoopx_broker.api.received import received
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.identity import Identity
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.counting import count
from hoopx_broker.session.links import ControlLink
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.loyalty import lost_by_renewal
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.presence import unless_left, until_the_end
from hoopx_broker.session.seat import Seat
from hoopx_broker.terms.entries import Notice
from hoopx_broker.terms.errors import BadInput, HoopxError, Unauthenticated
from hoopx_broker.tunnel.crew import Crew

# The CLI sends `Open` right after the upgrade.
FIRST_MESSAGE_SECONDS = 10.0
# Columns named in the greeting: a database may label more than a message of a megabyte holds.
MAX_TOLD = 1_000
# For so long a session stays whose CLI is gone without a word, where it asked for that: time enough to change networks.
# Longer, and what a killed CLI leaves behind would outlive it by more than anybody expects.
MAX_GRACE = 10

_UNEXPECTED = Refusal("the session failed inside hoopx", "ask whoever runs the broker to look at its log")
_decoder: msgspec.json.Decoder[Open | Renew | Hangup] = msgspec.json.Decoder(Open | Renew | Hangup)
_encode = msgspec.json.Encoder().encode

Identify = Callable[[], Awaitable[Applicant]]
Believe = Callable[[Renew], Awaitable[Identity]]


class Attendance(Struct, frozen=True):
    """What attending a session needs. `believe` says whose a renewed token is, or raises `Unauthenticated`."""

    identify: Identify
    believe: Believe
    opening: Opening
    crew: Crew
    clock: Callable[[], float]


async def attend(link: ControlLink, needs: Attendance) -> None:
    """Runs from the upgrade to the end of the session, and leaves no session behind, whatever happens."""
    seat = Seat(link)
    try:
        applicant = await needs.identify()
        ask = await _first(link)
        if ask is not None:
            await _attend(_Guest(seat, needs, applicant.identity), ask, applicant)
    except HoopxError as error:
        seat.send(_encode(Refusal.of(error)))
    except Exception as error:
        needs.crew.report("session", error)
        seat.send(_encode(_UNEXPECTED))
    finally:
        seat.close()


async def take_up(link: ControlLink, session: LiveSession, peer: str) -> None:
    """Whoever has the session's grant and key comes back to it by another link."""
    seat = session.seat
    if seat is None or seat.is_left or session.is_ending:
        link.close()
        return
    seat.take(link)
    session.record([Notice("", "NOTICE", "00000", f"the client came back from {peer}")])
    await _greet(seat, session)
    seat.tell_kept()


class _Guest:
    """The CLI at the other end. It is here until it hangs up, is gone, or is not who it was."""

    def __init__(self, seat: Seat, needs: Attendance, identity: Identity) -> None:
        self.seat = seat
        self.needs = needs
        self._identity = identity
        self._why = ""

    def tell(self, message: Waiting | Event | Keys | Counts) -> None:
        self.seat.send(_encode(message))

    async def left(self) -> None:
        """Returns when nobody is there any more to go on with."""
        while (message := await self.seat.receive()) is not None:
            said = _read(message)
            if not isinstance(said, Renew):
                return
            self._why = await self._renewed(said)
            if self._why:
                return

    def why_left(self) -> str:
        gone = f"the client was gone for {self.seat.grace:.0f} s" if self.seat.is_left and self.seat.grace else ""
        return self._why or gone or "the client left"

    async def _renewed(self, renewal: Renew) -> str:
        """Why the session cannot go on under the renewed token; empty where it can."""
        try:
            identity = await self.needs.believe(renewal)
        except Unauthenticated as error:
            return error.message
        why = lost_by_renewal(self._identity, identity)
        if not why:
            self._identity = identity
        return why


async def _attend(guest: _Guest, ask: Open, applicant: Applicant) -> None:
    """When the CLI leaves before the session is open, what was made until then is undone."""
    seat, needs = guest.seat, guest.needs
    opening = needs.opening.open(ask, applicant, guest.tell, guest.tell)
    session = await unless_left(guest.left, opening, needs.crew)
    if session is not None:
        await _see_through(guest, ask, session)
    elif guest.why_left():
        seat.send(_encode(Refusal(f"the session was not opened: {guest.why_left()}", "log in again, and try again")))


async def _first(link: ControlLink) -> Open | None:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            message = await link.receive()
    except TimeoutError:
        raise BadInput("no request to open a session came in time", "try again") from None
    if message is None:
        return None
    said = received(message, _decoder, "the request to open a session")
    return said if isinstance(said, Open) else None


def _read(message: bytes) -> Open | Renew | Hangup:
    try:
        return received(message, _decoder, "the message")
    except BadInput:
        return Hangup()  # not a peer to go on with


async def _see_through(guest: _Guest, ask: Open, session: LiveSession) -> None:
    """From the greeting to the end. What fails here ends the session; what fails in ending it, its crew reports."""
    seat, needs = guest.seat, guest.needs
    reason, conclusion = "hoopx failed", Conclusion(is_revoked=False)
    seat.grace, session.seat = max(0, min(ask.grace, MAX_GRACE)), seat
    counting = needs.crew.start(count(session, guest.tell), "counting") if ask.counts else None
    try:
        await _greet(seat, session)
        reason = await until_the_end(session, guest.left, guest.why_left, needs.crew, needs.clock)
    except asyncio.CancelledError:
        reason = "the broker stops"
        raise
    finally:
        if counting is not None:
            counting.cancel()
        with suppress(Exception):
            conclusion = await session.end(reason)
    seat.send(_encode(Ended(session.end_reason, conclusion.is_revoked, conclusion.fades_at or 0)))


async def _greet(seat: Seat, session: LiveSession) -> None:
    opened = session.opened
    message = Opened(
        opened.session,
        session.grant.reveal(),
        opened.target,
        opened.kind,
        opened.database,
        session.ends_at,
        opened.rules,
        session.masked[:MAX_TOLD],
        dict(islice(session.classified.items(), MAX_TOLD)),
        int(seat.grace),
    )
    seat.send(_encode(message))
    if (keys := session.hand_out()) is not None:
        await session.settled()
        seat.send(_encode(keys))
