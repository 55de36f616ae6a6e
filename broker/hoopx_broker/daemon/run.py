"""Run a broker: compose its rooms, open the port, and close everything in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiofastnet
import structlog
import uvloop

from hoopx_broker import __version__
from hoopx_broker.api.messages import About
from hoopx_broker.credentials.holdings import Holdings
from hoopx_broker.daemon import certificate, config, log, notify, web
from hoopx_broker.daemon.leases import Leases
from hoopx_broker.daemon.linking import Linking
from hoopx_broker.daemon.pages.requests import Pages
from hoopx_broker.daemon.people import People
from hoopx_broker.daemon.place import bind, place_of
from hoopx_broker.daemon.presented import origins
from hoopx_broker.daemon.reception import (
    embedded_of,
    exchanged,
    jobs,
    lent_agents,
    refused,
    sign_ins,
    signing_in_of,
    trusts,
    warn_of_strangers,
)
from hoopx_broker.daemon.requests import Requests
from hoopx_broker.daemon.rooms import rooms_of
from hoopx_broker.daemon.searching import Search
from hoopx_broker.daemon.seated import Seated, check_workers, take_seat
from hoopx_broker.daemon.sparing import Sparing
from hoopx_broker.daemon.story import Story
from hoopx_broker.daemon.tunnels import Behind, Tunnels
from hoopx_broker.daemon.workers import lead
from hoopx_broker.evidence.arrivals import Arrivals
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.passes import Passes
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.spent import SpentEverywhere
from hoopx_broker.identity.verify import Gate
from hoopx_broker.identity.visiting.ways import Ways
from hoopx_broker.policy.load import load as load_policies
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.opening import Opening
from hoopx_broker.storage.finding import Finding
from hoopx_broker.storage.hold import Hold, take_over
from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_broker.terms.settings import BrokerConfig, StateUrl
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.door import Door
from hoopx_broker.tunnel.post import ALONE, Post

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
    listening, public_url = bind(settings)
    seat = lead(listening, settings.keys, workers)
    if isinstance(seat, int):
        return seat
    log.name_worker(seat.number)
    uvloop.run(_serve(settings, None, sparing, Seated(seat, Post(seat.channel, seat.number, workers), public_url)))
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


async def _start(
    settings: BrokerConfig, stack: AsyncExitStack, hold: Hold | None, stop: asyncio.Event, seated: Seated | None
) -> None:
    place = place_of(settings, seated)
    if place.listening is not None:
        stack.callback(place.listening.close)
    keys = settings.keys
    tls, fingerprint = certificate.server_context(settings, keys, datetime.now(UTC))
    sessions = Sessions()
    rooms = await rooms_of(settings, sessions, place, stack, hold, seated)
    services, store, standing = rooms.services, rooms.store, rooms.services.standing
    embedded = await embedded_of(settings, place, store, standing)
    # On a file there is nobody else.
    everywhere = SpentEverywhere(store, time.time) if isinstance(settings.state, StateUrl) else None
    registers = Registers(Bindings(store), standing, Spent(time.time), everywhere)
    trusted = trusts(settings, embedded)
    gate = Gate(trusted, time.time, refused, registers, origins(place.public_url, settings.host))
    passes = Passes(time.time, os.urandom)
    loyalty, arrivals = Loyalty(sessions, standing), Arrivals(services.chronicle)
    about = About(
        __version__, services.evidence.verifier, sign_ins(settings, embedded), jobs(settings), lent_agents(settings)
    )
    opening = Opening(services, sessions)
    people = People(gate, standing, passes, sessions, services)
    leases = Leases(services, sessions, Holdings(store), opening.called_off)
    requests = Requests(services, opening)
    notifiers = notify.notifiers_of(settings, stack)
    courier = notify.courier_of(store, notifiers, services.desk, services.reader)
    services.crew.start(courier.run(), "notices")
    if notifiers:
        services.crew.start(notify.keep_time(services.desk), "requests")
    search = Search(services, Finding(store), services.index, rooms.readings)
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
            rooms.neighbours,
            rooms.keeping,
            rooms.log,
            rooms.witnesses,
            search,
        )
    )
    behind = Behind(gate, passes, loyalty, arrivals, sessions, opening, services)
    tunnels = Tunnels(behind, seated.post if seated is not None else ALONE)
    ways = Ways.lay(trusted, embedded, place.public_url, registers, time.time, refused)
    for way in ways.all:
        _log.info("pages.way_in", issuer=way.client.issuer, client=way.client.client_id, returns_to=way.callback)
    signing_in = signing_in_of(place, store, ways, loyalty, standing)
    pages = Pages(requests, services.desk, time.time, signing_in)
    issuer = routes(embedded, exchanged(gate, loyalty)) if embedded else []
    answerable = notify.answerable_of(settings.notify, notifiers, store, services.desk, standing, place.public_url)
    linking = Linking(answerable, signing_in)
    # What one process alone counts and remembers, wrong passwords among it, is the first one's.
    more = [*issuer, *pages.routes(), *linking.routes()] if seated is None or seated.seat.number == 0 else []
    door = Door(api.app(more), tunnels.entrance, services.crew)
    door.open(place.listening, tls)
    stack.push_async_callback(_close, door, sessions, services.crew, rooms.story)
    warn_of_strangers(settings)
    _log.info("broker.started", url=place.public_url, targets=sorted(settings.targets), policy=services.judge().version)
    ready = f"hoopx broker ready on {place.public_url} (certificate {fingerprint})\n"
    if seated is not None:
        take_seat(seated, ready, rooms.neighbours, door, tunnels, passes, services.crew, stop)
        stack.callback(seated.post.stop_taking)
        return
    sys.stderr.write(ready)
    sys.stderr.flush()


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
