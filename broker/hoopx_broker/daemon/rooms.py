"""What the broker works with behind its door: services, state and evidence, made and started in their order."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

import structlog
from msgspec import Struct

from hoopx_broker.approvals.desk import Desk
from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.daemon.evidence import host_of, keeping_of, open_store, recordings_of, room_of, witnesses_of
from hoopx_broker.daemon.keeping import Keeping
from hoopx_broker.daemon.keyring import keyring_of
from hoopx_broker.daemon.neighbours import Home, Neighbours, end_all
from hoopx_broker.daemon.place import Place
from hoopx_broker.daemon.plugins import issuer_class
from hoopx_broker.daemon.seated import Seated, measure
from hoopx_broker.daemon.story import Story
from hoopx_broker.evidence.chronicle import Chronicle
from hoopx_broker.evidence.index import Index
from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.readings import Readings
from hoopx_broker.evidence.sequencer import Who
from hoopx_broker.evidence.witnesses import Witnesses
from hoopx_broker.identity.standing import Standing
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load as load_policies
from hoopx_broker.recording.committer import Committer, make_durable_directory
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.parting import PostgresParting
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.records import key_id
from hoopx_broker.session.services import Services
from hoopx_broker.storage import brokers
from hoopx_broker.storage.hold import Hold
from hoopx_broker.storage.marks import Marks
from hoopx_broker.storage.sessions import Sessions as StoredSessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import new_request_id
from hoopx_broker.terms.leases import Lease
from hoopx_broker.terms.settings import BrokerConfig
from hoopx_broker.tunnel.crew import Crew

_log = structlog.get_logger()


class Rooms(Struct, frozen=True):
    """In the order in which they are needed."""

    services: Services
    store: Store
    neighbours: Neighbours
    story: Story
    keeping: Keeping
    log: Log
    witnesses: Witnesses
    readings: Readings


async def rooms_of(
    settings: BrokerConfig,
    sessions: Sessions,
    place: Place,
    stack: AsyncExitStack,
    hold: Hold | None,
    seated: Seated | None,
) -> Rooms:
    policies = load_policies(settings.policies)
    judge = CedarJudge(policies)
    ring = keyring_of(settings)
    evidence = ring.key
    store = await Store.open(settings.state, hold=hold)
    stack.push_async_callback(store.close)
    committer = _committer(settings, stack)
    home = Home.take(settings.keys, seated.seat.is_alone if seated is not None else None)
    former = seated.seat.former if seated is not None else ""
    presence = await store.join(
        brokers.Place(home.id, place.public_url, evidence.verifier, home.is_alone, former),
        partial(end_all, sessions),
    )
    story = Story(store, presence.id, place.public_url, key_id(evidence.verifier))
    await story.begin(settings, policies, time.time())
    evidence_store = await open_store(settings, stack)
    crew = Crew(_task_failed)
    stack.push_async_callback(crew.close)
    reader = StatementReader()
    stack.push_async_callback(reader.close)
    issuers = {name: issuer_class(target.source)() for name, target in settings.targets.items()}
    keeper = Keeper(
        store,
        issuers,
        settings.targets,
        clock=time.time,
        sleep=asyncio.sleep,
        random=random.random,
        on_alarm=_lease_stays,
        partings={"postgres": PostgresParting()},
        broker=lambda: presence.id,
    )
    recordings = recordings_of(settings, store, evidence_store, home.id)
    readings = Readings(recordings.open)
    stack.callback(readings.close)
    index = Index(Marks(store), readings, home.id, _task_failed, keeps_words=not settings.evidence.encrypt_to)
    services = Services(
        targets=settings.targets,
        judge=lambda: judge,
        keeper=keeper,
        desk=Desk(
            store,
            time.time,
            new_request_id,
            link=lambda request: f"{place.public_url}/requests/{request}",
            hear=Ear(settings.notify, settings.targets),
            accounts=settings.accounts,
        ),
        reader=reader,
        stored=StoredSessions(store, lambda: presence.id, keeps_words=not settings.evidence.encrypt_to),
        recordings=settings.recordings,
        evidence=evidence,
        index=index,
        chronicle=Chronicle(store, crew, time.time),
        standing=await Standing.load(store, time.time),
        crew=crew,
        clock=time.time,
        steady=time.monotonic,
        encrypt_to=settings.evidence.encrypt_to,
        committer=committer,
        room=await room_of(settings, evidence_store),
        older_keys=ring.older,
    )
    first = seated is None or seated.seat.number == 0
    adopts = first and (seated is None or seated.seat.births == 0)
    if seated is not None and evidence_store.is_remote:
        crew.start(measure(services.room, settings.recordings), "spool")
    neighbours = Neighbours(services, sessions, presence, store, home.id, seals=first, adopts=adopts)
    await neighbours.start()
    keeping = keeping_of(settings, services, store, evidence_store, presence, home.id, recordings)
    crew.start(keeper.run(), "leases")
    crew.start(index.run(), "index")
    crew.start(keeping.spool.run(), "recordings")
    who = Who(evidence, lambda: presence.id, host_of(place.public_url), time.time, ring.notes)
    chronicle = Log(store, evidence_store, who)
    witnesses = witnesses_of(settings, store, chronicle, lambda: presence.id, crew.report, stack)
    crew.start(chronicle.run(), "log")
    crew.start(witnesses.run(), "witnesses")
    return Rooms(services, store, neighbours, story, keeping, chronicle, witnesses, readings)


def _committer(settings: BrokerConfig, stack: AsyncExitStack) -> Committer | None:
    """What brings recordings to the disk, where the configuration wants that."""
    if settings.evidence.durability != "disk":
        return None
    with suppress(OSError):  # which each session that cannot be recorded tells
        make_durable_directory(settings.recordings)
    committer = Committer()
    stack.push_async_callback(committer.close)
    return committer


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task.failed", task=name, error=type(error).__name__, exc_info=error)


def _lease_stays(lease: Lease) -> None:
    _log.error("lease.not_revoked", lease=lease.id, target=lease.target, attempts=lease.attempts, why=lease.last_error)
