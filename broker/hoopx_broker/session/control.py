"""Attend one session: open it as the CLI asks, tell what happens, and end it when the CLI is done or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from hoopx_broker.api.messages import Ended, Event, Hangup, Open, Opened, Refusal, Waiting
from hoopx_broker.session.links import ControlLink
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.opening import Applicant, Opening
from hoopx_broker.terms.errors import BadInput, HoopxError

# The CLI sends `Open` right after the upgrade.
FIRST_MESSAGE_SECONDS = 10.0

_decode = msgspec.json.Decoder(Open | Hangup).decode
_encode = msgspec.json.Encoder().encode

Identify = Callable[[], Awaitable[Applicant]]


async def attend(link: ControlLink, identify: Identify, opening: Opening, clock: Callable[[], float]) -> None:
    """Runs from the upgrade to the end of the session."""
    try:
        session = await _open(link, identify, opening)
    except HoopxError as error:
        link.send(_encode(Refusal.of(error)))
        link.close()
        return
    if session is None:
        return
    try:
        reason = await _until_the_end(link, session, clock)
    except asyncio.CancelledError:
        session.end_soon("the broker stops")
        raise
    revoked = await session.end(reason)
    link.send(_encode(Ended(session.end_reason, revoked)))
    link.close()


async def _open(link: ControlLink, identify: Identify, opening: Opening) -> LiveSession | None:
    applicant = await identify()
    ask = await _first(link)
    if ask is None:
        return None
    work = asyncio.ensure_future(opening.open(ask, applicant, lambda w: _tell(link, w), lambda e: _tell(link, e)))
    gone = asyncio.ensure_future(_gone(link))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            await _abandon(work)
            return None
        session = work.result()
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
    _greet(link, session)
    return session


async def _abandon(work: asyncio.Future[LiveSession]) -> None:
    """Nobody waits for this session any more; if it opened in the same moment, end it."""
    work.cancel()
    try:
        session = await work
    except (asyncio.CancelledError, HoopxError):
        return
    await session.end("the client left while the session opened")


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
        session.masked,
    )
    link.send(_encode(message))


async def _until_the_end(link: ControlLink, session: LiveSession, clock: Callable[[], float]) -> str:
    """Returns why the session ends: the client is done or gone, its time is over, or someone ended it."""
    gone = asyncio.ensure_future(_gone(link))
    over = asyncio.ensure_future(session.over.wait())
    left = max(0.0, session.opened.expires_at - clock())
    try:
        done, _ = await asyncio.wait({gone, over}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        over.cancel()
    if over in done:
        return session.end_reason
    return "the client left" if gone in done else "its time is over"


def _tell(link: ControlLink, message: Waiting | Event) -> None:
    link.send(_encode(message))
