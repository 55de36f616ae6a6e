"""Run a broker: compose its rooms, open the port, and close everything in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiofastnet
import structlog
import uvloop
from msgspec import Struct

from hoopx_broker import __version__
from hoopx_broker.api.messages import About, Jobs, SignIn
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.credentials.holdings import Holdings
from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.daemon import certificate, config, log, notify, web
from hoopx_broker.daemon.evidence import host_of, keeping_of, open_store, recordings_of, room_of, witnesses_of
from hoopx_broker.daemon.keeping import Keeping
from hoopx_broker.daemon.keyring import keyring_of
from hoopx_broker.daemon.leases import Leases
from hoopx_broker.daemon.linking import Linking
from hoopx_broker.daemon.neighbours import Home, Neighbours, end_all
from hoopx_broker.daemon.pages.paper import Paper
from hoopx_broker.daemon.pages.requests import Pages
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.daemon.people import People
from hoopx_broker.daemon.plugins import issuer_class
from hoopx_broker.daemon.presented import origins
from hoopx_broker.daemon.requests import Requests
from hoopx_broker.daemon.searching import Search
from hoopx_broker.daemon.seated import Seated, check_workers, measure, take_seat
from hoopx_broker.daemon.sparing import Sparing
from hoopx_broker.daemon.story import Story
from hoopx_broker.daemon.tunnels import Behind, Tunnels
from hoopx_broker.daemon.workers import lead
from hoopx_broker.evidence.arrivals import Arrivals
from hoopx_broker.evidence.chronicle import Chronicle
from hoopx_broker.evidence.index import Index
from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.readings import Readings
from hoopx_broker.evidence.sequencer import Who
from hoopx_broker.evidence.witnesses import Witnesses
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.embedded.exchange import Identify, Subject
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.owners import is_everybodys
from hoopx_broker.identity.passes import Passes
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.spent import SpentEverywhere
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate, Trust, trust
from hoopx_broker.identity.visiting.trips import Trips
from hoopx_broker.identity.visiting.visits import Visits
from hoopx_broker.identity.visiting.ways import Ways
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load as load_policies
from hoopx_broker.recording.committer import Committer, make_durable_directory
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.parting import PostgresParting
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.records import key_id
from hoopx_broker.session.services import Services
from hoopx_broker.storage import brokers
from hoopx_broker.storage.finding import Finding
from hoopx_broker.storage.hold import Hold, take_over
from hoopx_broker.storage.marks import Marks
from hoopx_broker.storage.sessions import Sessions as StoredSessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_broker.terms.ids import new_request_id
from hoopx_broker.terms.leases import Lease
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import BrokerConfig, StateUrl
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.door import Door
from hoopx_broker.tunnel.post import Post

# A supervisor kills after 10 s (docker) to 90 s (systemd); leases that are not revoked by then are at the next start.
STOP_SECONDS = 8.0

_log = structlog.get_logger()


def serve(path: Path, *, standby: bool = False, workers: int = 1) -> int:
    """Run the broker that `path` configures until SIGINT or SIGTERM. Raises a `HoopxError` where it cannot start.

    With `standby`, once no other broker uses its state; with several `workers`, in as many processes. Gives the exit
    code.
    """
    sparing = log.start_logging()
    settings = config.load(path, os.environ)
    if workers == 1:
        uvloop.run(_serve(settings, path if standby else None, sparing))
        return 0
    check_workers(settings, workers)
    place = _bind(settings)
    seat = lead(place.listening, settings.keys, workers)
    if isinstance(seat, int):
        return seat
    log.name_worker(seat.number)
    uvloop.run(
        _serve(settings, None, sparing, Seated(seat, Post(seat.channel, seat.number, workers), place.public_url))
    )
    return 0


async def _serve(
    settings: BrokerConfig, standing_by: Path | None, sparing: Sparing, seated: Seated | None = None
) -> None:
    aiofastnet.patch_loop(asyncio.get_running_loop())
    asyncio.get_running_loop().set_exception_handler(log.of_loop)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hold = await _turn_of(settings, stop) if standing_by else None
    if stop.is_set():
        return
    if standing_by:
        settings = await _as_it_is_now(settings, standing_by)
    async with AsyncExitStack() as stack:
        stack.callback(asyncio.create_task(sparing.run()).cancel)
        await _start(settings, stack, hold, stop, seated)
        await stop.wait()
        _log.info("broker.stopping")


async def _turn_of(settings: BrokerConfig, stop: asyncio.Event) -> Hold | None:
    """Wait until the other broker on this state is gone, however it goes; None when told to stop before."""
    if not isinstance(settings.state, Path):
        raise BadInput(
            f"`--standby` is for a state in a file, and `{settings.state}` takes several brokers at once",
            "start this one without `--standby`: whichever lives takes over what the other left",
        )
    load_policies(settings.policies)  # what is wrong with them is better known before they are needed
    return await take_over(settings.state, stop, _stands_by)


async def _as_it_is_now(before: BrokerConfig, path: Path) -> BrokerConfig:
    """It may have waited for weeks: passwords that were changed since would end none of the leases left behind."""
    settings = await asyncio.to_thread(config.load, path, os.environ)
    if settings.state != before.state:
        raise BadInput("`state` was changed while this broker stood by for another one's", "start it again")
    return settings


def _stands_by(why: str) -> None:
    _log.info("broker.stands_by", why=why)
    sys.stderr.write(f"hoopx broker stands by: {why}\n")
    sys.stderr.flush()


class _Bound(Struct, frozen=True):
    """Where the broker can be reached: known once the port is bound."""

    listening: socket.socket
    public_url: str


class _Place(Struct, frozen=True):
    """As `_Bound`. A worker has no socket that listens."""

    listening: socket.socket | None
    public_url: str


def _bind(settings: BrokerConfig) -> _Bound:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        # `socket` adds the address in brackets, which stands here already.
        why = (error.strerror or str(error)).partition(" (")[0].lower()
        raise BadInput(
            f"cannot listen on {settings.host}:{settings.port}: {why}",
            "stop what listens there, or change `listen` in the configuration",
        ) from error
    port = listening.getsockname()[1]
    public = settings.public_url
    return _Bound(listening, public.removesuffix(":0") + f":{port}" if public.endswith(":0") else public)


def _place(settings: BrokerConfig, seated: Seated | None) -> _Place:
    if seated is not None:
        return _Place(None, seated.public_url)
    bound = _bind(settings)
    return _Place(bound.listening, bound.public_url)


async def _start(
    settings: BrokerConfig, stack: AsyncExitStack, hold: Hold | None, stop: asyncio.Event, seated: Seated | None
) -> None:
    place = _place(settings, seated)
    if place.listening is not None:
        stack.callback(place.listening.close)
    keys = settings.keys
    tls, fingerprint = certificate.server_context(settings, keys, datetime.now(UTC))
    sessions = Sessions()
    services, store, neighbours, story, keeping, chronicle, witnesses, readings = await _services(
        settings, sessions, place, stack, hold, seated
    )
    embedded = await _embedded(settings, place, store, services.standing)
    # On a file there is nobody else.
    everywhere = SpentEverywhere(store, time.time) if isinstance(settings.state, StateUrl) else None
    registers = Registers(Bindings(store), services.standing, Spent(time.time), everywhere)
    trusted = _trusted(settings, embedded)
    gate = Gate(trusted, time.time, _refused, registers, origins(place.public_url, settings.host))
    passes = Passes(time.time, os.urandom)
    loyalty, arrivals = Loyalty(sessions, services.standing), Arrivals(services.chronicle)
    about = About(
        __version__, services.evidence.verifier, _sign_in(settings, embedded), _jobs(settings), _lent_agents(settings)
    )
    opening = Opening(services, sessions)
    people = People(gate, services.standing, passes, sessions, services)
    leases = Leases(services, sessions, Holdings(store), opening.called_off)
    requests = Requests(services, opening)
    notifiers = notify.notifiers_of(settings, stack)
    courier = notify.courier_of(store, notifiers, services.desk, services.reader)
    services.crew.start(courier.run(), "notices")
    if notifiers:
        services.crew.start(notify.keep_time(services.desk), "requests")
    search = Search(services, Finding(store), services.index, readings)
    api = web.Api(
        web.House(
            services,
            gate,
            sessions,
            store,
            about,
            requests,
            people,
            leases,
            loyalty,
            arrivals,
            courier,
            neighbours,
            keeping,
            chronicle,
            witnesses,
            search,
        )
    )
    behind = Behind(gate, passes, loyalty, arrivals, sessions, opening, services)
    tunnels = Tunnels(behind, seated.post if seated is not None else None)
    ways = Ways.lay(trusted, embedded, place.public_url, registers, time.time, _refused)
    for way in ways.all:
        _log.info("pages.way_in", issuer=way.client.issuer, client=way.client.client_id, returns_to=way.callback)
    signing_in = _signing_in(place, store, ways, loyalty, services.standing)
    pages = Pages(requests, services.desk, time.time, signing_in)
    issuer = routes(embedded, _exchanged(gate, loyalty)) if embedded else []
    answerable = notify.answerable_of(
        settings.notify, notifiers, store, services.desk, services.standing, place.public_url
    )
    linking = Linking(answerable, signing_in)
    # What one process alone counts and remembers, wrong passwords among it, is the first one's.
    more = [*issuer, *pages.routes(), *linking.routes()] if seated is None or seated.seat.number == 0 else []
    door = Door(api.app(more), tunnels.entrance, services.crew)
    door.open(place.listening, tls)
    stack.push_async_callback(_close, door, sessions, services.crew, story)
    _warn_of_strangers(settings)
    _log.info("broker.started", url=place.public_url, targets=sorted(settings.targets), policy=services.judge().version)
    ready = f"hoopx broker ready on {place.public_url} (certificate {fingerprint})\n"
    if seated is not None:
        take_seat(seated, ready, neighbours, door, tunnels, passes, services.crew, stop)
        stack.callback(seated.post.stop_taking)
        return
    sys.stderr.write(ready)
    sys.stderr.flush()


async def _services(
    settings: BrokerConfig,
    sessions: Sessions,
    place: _Place,
    stack: AsyncExitStack,
    hold: Hold | None,
    seated: Seated | None,
) -> tuple[Services, Store, Neighbours, Story, Keeping, Log, Witnesses, Readings]:
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
    return services, store, neighbours, story, keeping, chronicle, witnesses, readings


def _committer(settings: BrokerConfig, stack: AsyncExitStack) -> Committer | None:
    """What brings recordings to the disk, where the configuration wants that."""
    if settings.evidence.durability != "disk":
        return None
    with suppress(OSError):  # which each session that cannot be recorded tells
        make_durable_directory(settings.recordings)
    committer = Committer()
    stack.push_async_callback(committer.close)
    return committer


async def _embedded(settings: BrokerConfig, place: _Place, store: Store, standing: Standing) -> Embedded | None:
    if settings.embedded is None:
        return None
    return await Embedded.create(settings.embedded, place.public_url, store, note=_refused, standing=standing)


def _signing_in(place: _Place, store: Store, ways: Ways, loyalty: Loyalty, standing: Standing) -> SigningIn:
    trips, visits = Trips(store, time.time, os.urandom), Visits(store, standing, time.time, os.urandom)
    return SigningIn(ways, trips, visits, loyalty, Paper(place.public_url), place.public_url)


def _exchanged(gate: Gate, loyalty: Loyalty) -> Identify:
    async def identify(token: Secret, key: str) -> Subject:
        # As it counts by now: the agent's token will be newer than what took a group away.
        identity = loyalty.learn(await gate.exchanged(token, key))
        return Subject(identity.who, identity.expires_at, identity.login)

    return identify


def _trusted(settings: BrokerConfig, embedded: Embedded | None) -> list[Trust]:
    known = [trust(issuer, time.time, _keys_not_taken) for issuer in settings.identity]
    return [*known, embedded.trust()] if embedded else known


def _sign_in(settings: BrokerConfig, embedded: Embedded | None) -> tuple[SignIn, ...]:
    ways = [
        SignIn(issuer.issuer, issuer.client_id, issuer.audience, issuer.scopes)
        for issuer in settings.identity
        if issuer.client_id is not None
    ]
    return (*ways, *([embedded.sign_in()] if embedded else []))


def _jobs(settings: BrokerConfig) -> tuple[Jobs, ...]:
    return tuple(Jobs(issuer.issuer, issuer.audience) for issuer in settings.identity if issuer.kind == "workload")


def _warn_of_strangers(settings: BrokerConfig) -> None:
    for issuer in settings.identity:
        if is_everybodys(issuer.issuer) and not issuer.rules:
            _log.warning("identity.strangers", issuer=issuer.issuer, why="it has no rules: jobs of strangers get in")


def _keys_not_taken(why: str) -> None:
    _log.warning("identity.keys_not_taken", why=why)


def _lent_agents(settings: BrokerConfig) -> tuple[str, ...]:
    """The agents that have no credential of their own."""
    known = settings.embedded.agents.values() if settings.embedded is not None else ()
    return tuple(sorted(agent.name for agent in known if agent.jwks is None and agent.secret is None))


async def _close(door: Door, sessions: Sessions, crew: Crew, story: Story) -> None:
    """Nobody new comes in; what is open ends, each with a word to its client; what opens is undone."""
    door.stop_accepting()
    sessions.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(
                *(session.end("the broker stops") for session in sessions.all()), return_exceptions=True
            )
            await crew.close()
    except TimeoutError:
        _log.warning("broker.stopped_early", why="leases are left; they are revoked at the next start")
    await door.close()
    try:
        await story.end(time.time())
    except HoopxError as error:
        _log.error("event.not_noted", type="broker.stopped", why=error.message)


def _refused(why: str) -> None:
    _log.info("identity.refused", why=why)


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task.failed", task=name, error=type(error).__name__, exc_info=error)


def _lease_stays(lease: Lease) -> None:
    _log.error("lease.not_revoked", lease=lease.id, target=lease.target, attempts=lease.attempts, why=lease.last_error)
