"""Recordings whose seal is in no event yet: of crashed sessions, of brokers cut off at the end, of earlier versions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.format import path_of
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import Proof, verify
from hoopx_broker.session.records import key_id
from hoopx_broker.session.services import Services
from hoopx_broker.storage import session_events
from hoopx_broker.storage.sessions import CRASHED
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.tlog.notes import Verifier

MAX_WHY = 2_000

_log = structlog.get_logger()


async def seal_left(services: Services, session: SessionId, target: str) -> None:
    """The recording of a session that was cut by a crash: sealed as unfinished, and noted once."""
    path, at = path_of(services.recordings, session), services.clock()
    event = await asyncio.to_thread(_repaired, path, services.evidence, services.older_keys, at, session, target)
    await services.stored.sealed(event)


async def adopt(services: Services, home: str) -> None:
    """One after another, beside everything else: an earlier version may have left terabytes."""
    missing = 0
    for session, target in await services.stored.unproved(home):
        if path_of(services.recordings, session).exists():
            await seal_left(services, session, target)
        else:
            missing += 1
    if missing:
        _log.warning(
            "recordings.not_here", recordings=missing, why="they are of sessions that no event tells the end of"
        )


def _repaired(
    path: Path, key: EvidenceKey, older: Sequence[Verifier], at: float, session: SessionId, target: str
) -> Event:
    """Whatever is not as it should be stays as it is: evidence for people to look at.

    It may have been sealed before the key was replaced, by a broker that could not note so.
    """
    try:
        repaired = Recorder.repair(path, key)
        if not repaired.was_sealed:
            _log.warning("recording.unfinished", session=session, statements=repaired.statements)
        proof, sealed_by = _proved(path, [key.verifier, *map(str, older)])
    except HoopxError as error:
        kind = "recording.broken" if isinstance(error, BrokenEvidence) else "recording.not_sealed"
        _log.error(kind, session=session, why=error.message)
        return session_events.broken(at, session, target, error.message[:MAX_WHY])
    return session_events.sealed(
        at,
        session,
        target,
        CRASHED if proof.unfinished else "",
        root=proof.root,
        entries=proof.entries,
        blocks=proof.blocks,
        bytes_=proof.bytes,
        unfinished=proof.unfinished,
        format_=proof.format,
        key=key_id(sealed_by),
    )


def _proved(path: Path, keys: Sequence[str]) -> tuple[Proof, str]:
    """By the first key that fits; raises what the first one says."""
    first: HoopxError | None = None
    for key in keys:
        try:
            return verify(path, key), key
        except BrokenEvidence as error:
            first = first or error
    assert first is not None
    raise first
