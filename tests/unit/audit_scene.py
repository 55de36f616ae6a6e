"""Evidence of a broker with one recording of every fate: proved, running, deleted, and older than the log."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from hoopx_broker.approvals import journal
from hoopx_broker.evidence.auditing import Audited, Wanted, audit
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import Look, seen_by
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.storage import session_events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.looking import look
from hoopx_broker.storage.sessions import Sessions
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.entries import Opened, Statement
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.tlog.notes import Verifier
from tests.unit.log_stage import NOW, LogStage, played
from tests.unit.recording_scene import ENTRIES, KEY, OPENED, HandClock, record_1

PROVED, RUNNING, DELETED, OLD, NEW = (f"s_{number:016x}" for number in range(1, 6))
KEYS = [Verifier.parse(KEY.verifier)]
DAY = 86_400.0
SOON = NOW + 300.0  # when people look
USUAL = Wanted(now=lambda: SOON)


def opened(session: str, at: float = NOW + 1.0) -> Opened:
    return replace(OPENED, session=session, opened_at=at, expires_at=at + 3_600.0)


def recorder_of(
    directory: Path, session: str, at: float = NOW + 1.0, sql: str = "select 1", key: EvidenceKey = KEY
) -> Recorder:
    """With some statements, large enough that the middle is in neither end."""
    recorder = Recorder.create(directory, opened(session, at), key, HandClock())
    for n in range(40):
        recorder.write([Statement("t_1", n, sql, "allow")])
    return recorder


def seal(recorder: Recorder, session: str, at: float = NOW + 20.0) -> Event:
    sealed = recorder.seal("over")
    return session_events.sealed(
        at,
        session,
        OPENED.target,
        "over",
        root=sealed.root,
        entries=sealed.entries,
        blocks=sealed.blocks,
        bytes_=sealed.bytes,
        unfinished=False,
        format_=2,
        key=KEY.verifier.split("+")[1],
    )


def deletion(session: str, at: float = NOW + 60.0, by: str = "sam", **facts: float) -> Event:
    told = {"sealed_at": NOW + 20.0, "kept_until": NOW + 50.0} | facts
    return happened(at, "recording.deleted", session=session, target=OPENED.target, by=by, **told)


async def notes(stage: LogStage, *events: Event) -> None:
    def work(connection: Connection) -> None:
        for event in events:
            note(connection, event)

    await stage.state.run(work)


async def takes_place(stage: LogStage, session: str) -> None:
    """From the opening to the seal."""
    sessions = Sessions(stage.state)
    await sessions.add(opened(session))
    event = seal(recorder_of(stage.directory, session), session)
    await sessions.finish(SessionId(session), "over", NOW + 20.0, 40, 0, event)


async def asks(stage: LogStage, number: int) -> None:
    """An entry of the journal of requests, and its event, as approvals write them."""

    def work(connection: Connection) -> None:
        added = journal.append(connection, Happening(f"r_{number}", "asked", NOW + number))
        note(connection, happened(NOW + number, "request.asked", chain=added.chain, number=added.number))

    await stage.state.run(work)


async def all_fates(stage: LogStage) -> None:
    await stage.signs()
    for session in (PROVED, DELETED):
        await takes_place(stage, session)
    await notes(stage, deletion(DELETED))
    (stage.directory / f"{DELETED}.hoopx").unlink()
    await Sessions(stage.state).add(opened(RUNNING))
    recorder_of(stage.directory, RUNNING)
    for number in range(1, 4):
        await asks(stage, number)
    record_1(stage.directory, ENTRIES, opened(OLD, NOW - DAY))
    await stage.state.run(lambda connection: _older_row(connection, OLD))
    await stage.signs()


def _older_row(connection: Connection, session: str) -> None:
    who = OPENED.principal.user
    connection.execute(
        'INSERT INTO sessions (id, "user", target, state, opened_at, expires_at, ended_at, reason, ticket, lease)'
        " VALUES (?, ?, ?, 'ended', ?, ?, ?, '', '', '')",
        (session, who, OPENED.target, NOW - DAY, NOW - DAY + 60, NOW - DAY + 5),
    )


def state_of(folder: Path) -> Look:
    return partial(look, folder / "state.db", seen_by(""))


def audited(folder: Path, *, with_state: bool = True, wanted: Wanted = USUAL) -> Audited:
    """As people have it done; `wanted` says whatever else they want."""
    state = wanted.look or (state_of(folder) if with_state else None)
    return asyncio.run(audit(LocalStore(folder / "recordings"), KEYS, lambda _: None, replace(wanted, look=state)))


def goes_on(folder: Path, *events: Event) -> None:
    """The broker notes them and signs for them."""

    async def scene(stage: LogStage) -> None:
        await notes(stage, *events)
        await stage.signs()

    played(scene, folder)
