"""Make what keeps evidence: the store that the configuration names, the queue towards it, and who reads and deletes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import structlog

from hoopx_broker.daemon.keeping import Keeping
from hoopx_broker.daemon.plugins import store_class
from hoopx_broker.evidence.gc import Collector
from hoopx_broker.evidence.holds import Holds
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.recordings import Recordings
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.evidence.spool import Spool
from hoopx_broker.evidence.witness import Witness
from hoopx_broker.evidence.witnesses import Around, Witnesses
from hoopx_broker.recording.room import Room
from hoopx_broker.seams.store import EvidenceStore, StoreFailed
from hoopx_broker.session.services import Services
from hoopx_broker.storage.brokers import Presence
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import BrokerConfig
from hoopx_broker.tlog.cosignatures import parse_witness
from hoopx_broker.tunnel.crew import OnFailure

_log = structlog.get_logger()


def host_of(public_url: str) -> str:
    """By which the evidence key and a new log are called."""
    return urlsplit(public_url).hostname or "hoopx"


def store_of(settings: BrokerConfig) -> EvidenceStore:
    """Where evidence is kept. Whoever made it closes it."""
    place = settings.evidence.store
    if place is None:
        return LocalStore(settings.recordings)
    # A plugin's class takes what follows its scheme, and its options; `seams.store` says so.
    made: EvidenceStore = store_class(place.scheme)(place.place, settings.evidence.options)  # type: ignore[call-arg]
    return made


async def open_store(settings: BrokerConfig, stack: AsyncExitStack) -> EvidenceStore:
    """Raises `Unfit` where it is not what the configuration asks for. One that does not answer now may do so later."""
    store = store_of(settings)
    stack.push_async_callback(store.close)
    try:
        await store.check()
    except StoreFailed as error:
        _log.warning("store.not_reached", why=error.message, remedy=error.hint)
    return store


async def room_of(settings: BrokerConfig, store: EvidenceStore) -> Room:
    """What lies in the spool by now counts."""
    room = Room(settings.evidence.spool_limit, store.where) if store.is_remote else Room()
    await asyncio.to_thread(room.measure, settings.recordings)
    return room


def recordings_of(settings: BrokerConfig, state: Store, store: EvidenceStore, home: str) -> Recordings:
    retention = Retention(settings.evidence.retention, settings.targets)
    return Recordings(state, store, settings.recordings, home, retention)


def keeping_of(
    settings: BrokerConfig,
    services: Services,
    state: Store,
    store: EvidenceStore,
    presence: Presence,
    home: str,
    recordings: Recordings,
) -> Keeping:
    """The queue is still to be run."""
    directory = settings.recordings
    retention = Retention(settings.evidence.retention, settings.targets)
    spool = Spool(
        state,
        store,
        directory,
        retention,
        home=home,
        broker=lambda: presence.id,
        room=services.room,
        clock=services.clock,
        random=random.random,
    )
    collector = Collector(state, store, directory, retention, home=home, clock=services.clock, steady=services.steady)
    return Keeping(services, recordings, spool, Holds(state, services.clock), collector)


def witnesses_of(
    settings: BrokerConfig, state: Store, log: Log, broker: Callable[[], str], report: OnFailure, stack: AsyncExitStack
) -> Witnesses:
    """They are still to be run."""
    found = [Witness(parse_witness(each.key), each.url, each.ca, time.time) for each in settings.evidence.witnesses]
    for each in found:
        stack.push_async_callback(each.close)
    witnesses = Witnesses(state, log, found, Around(broker, time.time, time.monotonic, random.random, report))
    log.grew = witnesses.hear
    return witnesses
