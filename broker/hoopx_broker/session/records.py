"""The row and the recording of a session: begun together, closed together, whatever part fails."""

from __future__ import annotations

import asyncio

from hoopx_broker.evidence.index import Trace
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.room import Spooled
from hoopx_broker.session.services import Services
from hoopx_broker.storage import session_events
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import HoopxError, Unknown
from hoopx_broker.terms.ids import SessionId

FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0  # seconds, doubled each time


async def begin_record(services: Services, opened: Opened) -> tuple[Recorder, Trace]:
    """First the row, then the file: after a crash in between, the next start looks for files by their rows."""
    recorder: Recorder | None = None
    services.room.check()
    try:
        await services.stored.add(opened)
        made = Spooled.create(
            services.recordings,
            opened,
            services.evidence,
            services.steady,
            encrypt_to=services.encrypt_to,
            committer=services.committer,
        )
        recorder = made.within(services.room)
        trace = services.index.begin(opened, recorder)
    except BaseException:
        await close_record(services, opened, recorder, "it did not open")
        raise
    return recorder, trace


async def close_record(services: Services, opened: Opened, recorder: Recorder | None, reason: str) -> None:
    """Everything is tried, whatever part of it fails; what the state does not take now, it takes later."""
    statements, denied = (recorder.statements, recorder.denied) if recorder else (0, 0)
    sealed: Event | None = None
    try:
        if recorder is not None:
            sealed = await _sealed(services, opened, recorder, reason)
    except HoopxError as error:
        services.crew.report("recording", error)
    await services.index.finish(SessionId(opened.session))
    ending = _Ending(services, SessionId(opened.session), reason, services.clock(), statements, denied, sealed)
    try:
        await ending.write()
    except Unknown:
        pass  # it was not added yet
    except StateFailed as error:
        services.crew.report("session row", error)
        services.crew.start(ending.write_for_sure(), "session row")
    except HoopxError as error:
        services.crew.report("session row", error)


class _Ending:
    """The end of a session as the state is to have it."""

    def __init__(
        self,
        services: Services,
        session: SessionId,
        reason: str,
        at: float,
        statements: int,
        denied: int,
        sealed: Event | None,
    ) -> None:
        self._stored = services.stored
        self._session = session
        self._facts = (reason, at, statements, denied, sealed)

    async def write(self) -> None:
        """Safe to repeat: the first one counts."""
        await self._stored.finish(self._session, *self._facts)

    async def write_for_sure(self) -> None:
        """Until it is written, or the broker stops: its next start finds the row open, and the recording sealed."""
        pause = FIRST_RETRY
        while True:
            await asyncio.sleep(pause)
            try:
                return await self.write()
            except StateFailed:
                pause = min(LONGEST_RETRY, pause * 2)
            except Unknown:
                return None


async def _sealed(services: Services, opened: Opened, recorder: Recorder, reason: str) -> Event:
    """Noted once the seal is on disk, with the end of the session."""
    sealed = recorder.seal(reason)
    await recorder.settled()
    return session_events.sealed(
        services.clock(),
        opened.session,
        opened.target,
        reason,
        root=sealed.root,
        entries=sealed.entries,
        blocks=sealed.blocks,
        bytes_=sealed.bytes,
        unfinished=False,
        format_=2,
        key=key_id(services.evidence.verifier),
    )


def key_id(vkey: str) -> str:
    """The part of a verifier key that names the key."""
    return vkey.split("+", 2)[1]
