"""Who is behind the door: tunnels of the CLI, and native clients."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

from msgspec import Struct
from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from hoopx_broker.api.messages import Renew
from hoopx_broker.daemon import web
from hoopx_broker.daemon.borrowing import fetch
from hoopx_broker.daemon.presented import presented
from hoopx_broker.evidence.arrivals import Arrivals
from hoopx_broker.identity.identity import Identity, Presented
from hoopx_broker.identity.passes import Passes
from hoopx_broker.identity.verify import Gate
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.control import Attendance, attend, take_up
from hoopx_broker.session.database_session import of_database
from hoopx_broker.session.links import ControlLink, StreamLink
from hoopx_broker.session.live import LiveSession, Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.native import Native, NativeClient
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.services import Services
from hoopx_broker.session.shared import SharedSessions
from hoopx_broker.session.streams import Streams
from hoopx_broker.terms.errors import HoopxError, Unauthenticated
from hoopx_broker.tunnel.client import RESUME, SESSION, STREAM
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.http import Entrance, Upgraded
from hoopx_broker.tunnel.post import Others


class Behind(Struct, frozen=True):
    """What tunnels lead to."""

    gate: Gate
    passes: Passes
    loyalty: Loyalty
    arrivals: Arrivals
    sessions: Sessions
    opening: Opening
    services: Services


class Tunnels:
    """`entrance` is what the door asks."""

    def __init__(self, behind: Behind, others: Others) -> None:
        self._behind = behind
        streams = Streams(others)
        services = behind.services
        shared = SharedSessions(behind.opening, behind.passes, services.crew, services.clock)
        native = Native(
            behind.gate,
            behind.passes,
            shared,
            behind.loyalty,
            behind.arrivals,
            streams,
            services.crew,
            services.targets,
            partial(fetch, others, behind.passes),
        )
        self.streams = streams
        self.entrance = Entrance(
            self._upgrade,
            frozenset({SESSION.encode(), RESUME.encode()}),
            lambda peer, is_known: NativeClient(native, peer, is_known),
            streams.cancel,
        )

    def _upgrade(self, request: WSUpgradeRequest, peer: str) -> Upgraded:
        match request.path.decode("latin-1"):
            case path if path == SESSION:
                return ControlLink(lambda link: self._attend(link, request, peer))
            case path if path == RESUME:
                return self._resume(request, peer)
            case path if path == STREAM:
                return self._stream(request)
            case _:
                return None

    def _attend(self, link: ControlLink, request: WSUpgradeRequest, peer: str) -> None:
        async def identify() -> Applicant:
            said = _presented(request, SESSION)
            return Applicant(await self._believe(said), peer, said.token)

        async def believe(renewal: Renew) -> Identity:
            said = presented([f"{renewal.scheme} {renewal.token}"], [renewal.proof], "GET", SESSION)
            return await self._believe(said)

        behind = self._behind
        needs = Attendance(identify, believe, behind.opening, behind.services.crew, behind.services.clock)
        behind.services.crew.start(attend(link, needs), "session")

    async def _believe(self, said: Presented) -> Identity:
        """Who opens a session, or goes on with one: with a proof, because the grant is bound to its key."""
        identity = await self._behind.gate.identify(said)
        if identity.key is None:
            raise Unauthenticated("a session is opened with a proof of a key", "upgrade hoopx")
        known = self._behind.loyalty.learn(identity)
        await self._behind.arrivals.see(known, "session")
        return known

    def _stream(self, request: WSUpgradeRequest) -> Upgraded:
        try:
            open_stream = of_database(self._granted(request, STREAM)).open_stream
        except HoopxError as error:
            return _refused(error)
        return StreamLink(open_stream)

    def _resume(self, request: WSUpgradeRequest, peer: str) -> Upgraded:
        """By the grant, as streams are: the login may have ended since, and the session goes on by its own rules."""
        try:
            session = self._granted(request, RESUME)
            if session.seat is None or session.seat.is_left or session.is_ending:
                raise Unauthenticated("this session is over", "open a new session")
        except HoopxError as error:
            return _refused(error)
        crew = self._behind.services.crew
        return ControlLink(lambda link: _start(crew, take_up(link, session, peer)))

    def _granted(self, request: WSUpgradeRequest, path: str) -> LiveSession:
        """The session whose grant is presented, with a proof of the key that opened it. Raises `Unauthenticated`."""
        said = _presented(request, path)
        session = self._behind.sessions.by_grant(said.token.reveal())
        if session is None:
            raise Unauthenticated("this grant opens no session: it is over, or never was", "open a new session")
        self._behind.gate.check_grant(said, session.identity.key)
        return session


def _start(crew: Crew, work: Coroutine[Any, Any, None]) -> None:
    crew.start(work, "resume")


def _refused(error: HoopxError) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(
        WSUpgradeResponse.create_error_response(error.http_status, web.refusal(error)), None
    )


def _presented(request: WSUpgradeRequest, path: str) -> Presented:
    return presented(_all(request, "authorization"), _all(request, "dpop"), "GET", path)


def _all(request: WSUpgradeRequest, name: str) -> list[str]:
    headers: Any = request.headers
    return [str(value) for value in headers.getall(name, [])]
