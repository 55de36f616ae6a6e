"""Attend one session: open it as the CLI asks, tell what happens, and end it when the CLI is done or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Ended, Event, Hangup, Keys, Open, Opened, Refusal, Renew, Waiting
from hoopx_broker.api.received import received
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.identity import Identity
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.links import ControlLink
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.loyalty import lost_by_renewal
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.presence import unless_left, until_the_end
from hoopx_broker.terms.errors import BadInput, HoopxError, Unauthenticated
from hoopx_broker.tunnel.crew import Crew

# The CLI sends `Open` right after the upgrade.
FIRST_MESSAGE_SECONDS = 10.0
# Columns named in the greeting: a database may label more than a message of a megabyte holds.
MAX_TOLD = 1_000

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
    try:
        applicant = await needs.identify()
        ask = await _first(link)
        if ask is not None:
            await _attend(_Guest(link, needs, applicant.identity), ask, applicant)
    except HoopxError as error:
        link.send(_encode(Refusal.of(error)))
    except Exception as error:
        needs.crew.report("session", error)
        link.send(_encode(_UNEXPECTED))
    finally:
        link.close()


class _Guest:
    """The CLI at the other end. It is here until it hangs up, is gone, or is not who it was."""

    def __init__(self, link: ControlLink, needs: Attendance, identity: Identity) -> None:
        self.link = link
        self.needs = needs
        self._identity = identity
        self._why = ""

    async def left(self) -> None:
        """Returns when nobody is there any more to go on with."""
        while (message := await self.link.receive()) is not None:
            said = _read(message)
            if not isinstance(said, Renew):
                return
            self._why = await self._renewed(said)
            if self._why:
                return

    def why_left(self) -> str:
        return self._why or "the client left"

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
    link, needs = guest.link, guest.needs
    opening = needs.opening.open(ask, applicant, lambda w: _tell(link, w), lambda e: _tell(link, e))
    session = await unless_left(guest.left, opening, needs.crew)
    if session is not None:
        await _see_through(guest, session)
    elif guest.why_left():
        link.send(_encode(Refusal(f"the session was not opened: {guest.why_left()}", "log in again, and try again")))


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


async def _see_through(guest: _Guest, session: LiveSession) -> None:
    """From the greeting to the end. What fails here ends the session; what fails in ending it, its crew reports."""
    link, needs = guest.link, guest.needs
    reason, conclusion = "hoopx failed", Conclusion(is_revoked=False)
    try:
        await _greet(link, session)
        reason = await until_the_end(session, guest.left, guest.why_left, needs.crew, needs.clock)
    except asyncio.CancelledError:
        reason = "the broker stops"
        raise
    finally:
        with suppress(Exception):
            conclusion = await session.end(reason)
    link.send(_encode(Ended(session.end_reason, conclusion.is_revoked, conclusion.fades_at or 0)))


async def _greet(link: ControlLink, session: LiveSession) -> None:
    opened = session.opened
    message = Opened(
        opened.session,
        session.grant.reveal(),
        opened.target,
        opened.kind,
        opened.database,
        opened.expires_at,
        opened.rules,
        session.masked[:MAX_TOLD],
        dict(islice(session.classified.items(), MAX_TOLD)),
    )
    link.send(_encode(message))
    if (keys := session.hand_out()) is not None:
        await session.settled()
        link.send(_encode(keys))


def _tell(link: ControlLink, message: Waiting | Event | Keys) -> None:
    link.send(_encode(message))
