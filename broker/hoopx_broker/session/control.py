"""Attend one session: open it as the CLI asks, tell what happens, and end it when the CLI is done or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import islice

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Ended, Event, Hangup, Open, Opened, Refusal, Waiting
from hoopx_broker.session.links import ControlLink
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.opening import Applicant, Opening
from hoopx_broker.session.presence import unless_left, until_the_end
from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_broker.tunnel.crew import Crew

# The CLI sends `Open` right after the upgrade.
FIRST_MESSAGE_SECONDS = 10.0
# Columns named in the greeting: a database may label more than a message of a megabyte holds.
MAX_TOLD = 1_000

_UNEXPECTED = Refusal("the session failed inside hoopx", "ask whoever runs the broker to look at its log")
_decode = msgspec.json.Decoder(Open | Hangup).decode
_encode = msgspec.json.Encoder().encode

Identify = Callable[[], Awaitable[Applicant]]


class Attendance(Struct, frozen=True):
    """What attending a session needs."""

    identify: Identify
    opening: Opening
    crew: Crew
    clock: Callable[[], float]


async def attend(link: ControlLink, needs: Attendance) -> None:
    """Runs from the upgrade to the end of the session, and leaves no session behind, whatever happens."""
    try:
        session = await _open(link, needs)
        if session is not None:
            await _see_through(link, session, needs)
    except HoopxError as error:
        link.send(_encode(Refusal.of(error)))
    except Exception as error:
        needs.crew.report("session", error)
        link.send(_encode(_UNEXPECTED))
    finally:
        link.close()


async def _open(link: ControlLink, needs: Attendance) -> LiveSession | None:
    """None when the CLI left before the session was open; what was made until then is undone."""
    applicant = await needs.identify()
    ask = await _first(link)
    if ask is None:
        return None
    opening = needs.opening.open(ask, applicant, lambda w: _tell(link, w), lambda e: _tell(link, e))
    return await unless_left(partial(_gone, link), opening, needs.crew)


async def _first(link: ControlLink) -> Open | None:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            message = await link.receive()
    except TimeoutError:
        raise BadInput("no request to open a session came in time", "try again") from None
    if message is None:
        return None
    try:
        said = _decode(message)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the request to open a session is malformed: {error}", "upgrade hoopx") from error
    return said if isinstance(said, Open) else None


async def _gone(link: ControlLink) -> None:
    """Returns when the CLI hangs up or is gone."""
    while (message := await link.receive()) is not None:
        if _is_hangup(message):
            return


def _is_hangup(message: bytes) -> bool:
    try:
        return isinstance(_decode(message), Hangup)
    except msgspec.MsgspecError:
        return True  # not a peer to go on with


async def _see_through(link: ControlLink, session: LiveSession, needs: Attendance) -> None:
    """From the greeting to the end. What fails here ends the session; what fails in ending it, its crew reports."""
    reason, revoked = "hoopx failed", False
    try:
        _greet(link, session)
        reason = await until_the_end(session, partial(_gone, link), "the client left", needs.crew, needs.clock)
    except asyncio.CancelledError:
        reason = "the broker stops"
        raise
    finally:
        with suppress(Exception):
            revoked = await session.end(reason)
    link.send(_encode(Ended(session.end_reason, revoked)))


def _greet(link: ControlLink, session: LiveSession) -> None:
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


def _tell(link: ControlLink, message: Waiting | Event) -> None:
    link.send(_encode(message))
