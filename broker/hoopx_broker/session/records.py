"""The row and the recording of a session: begun together, closed together, whatever part fails."""

from __future__ import annotations

from hoopx_broker.evidence.index import Trace
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.services import Services
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import HoopxError, Unknown
from hoopx_broker.terms.ids import SessionId


async def begin_record(services: Services, opened: Opened) -> tuple[Recorder, Trace]:
    """First the row, then the file: after a crash in between, the next start looks for files by their rows."""
    recorder: Recorder | None = None
    try:
        await services.stored.add(opened)
        recorder = Recorder.create(
            services.recordings,
            opened,
            services.evidence,
            services.steady,
            encrypt_to=services.encrypt_to,
            committer=services.committer,
        )
        trace = services.index.begin(opened, recorder)
    except BaseException:
        await close_record(services, opened, recorder, "it did not open")
        raise
    return recorder, trace


async def close_record(services: Services, opened: Opened, recorder: Recorder | None, reason: str) -> None:
    """Everything is tried, whatever part of it fails."""
    statements, denied = (recorder.statements, recorder.denied) if recorder else (0, 0)
    try:
        if recorder is not None:
            recorder.seal(reason)
            await recorder.settled()
    except HoopxError as error:
        services.crew.report("recording", error)
    await services.index.finish(SessionId(opened.session))
    try:
        await services.stored.finish(SessionId(opened.session), reason, services.clock(), statements, denied)
    except Unknown:
        pass  # it was not added yet
    except HoopxError as error:
        services.crew.report("session row", error)
