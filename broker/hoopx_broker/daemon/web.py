"""The HTTP API of the broker, as `api/messages.py` has it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, TypeVar, get_args
from urllib.parse import quote

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from hoopx_broker.api.messages import (
    UNPROVED,
    About,
    AskFor,
    AskToExtend,
    AskToUnmask,
    Collection,
    Gc,
    HoldFor,
    HoldView,
    LeaseRevoked,
    LeaseView,
    Listed,
    PassFor,
    PassGiven,
    Past,
    Refusal,
    Release,
    RequestView,
    Review,
    Revoke,
    RevokedView,
    RevokeLeases,
    SessionsFound,
    SessionView,
    TargetView,
    Vote,
    WhoAmI,
)
from hoopx_broker.api.received import received
from hoopx_broker.daemon import tailing
from hoopx_broker.daemon.events import EventsListed, events_seen
from hoopx_broker.daemon.keeping import Keeping
from hoopx_broker.daemon.leases import MAX_LISTED as MAX_LISTED_LEASES
from hoopx_broker.daemon.leases import Leases
from hoopx_broker.daemon.neighbours import Neighbours
from hoopx_broker.daemon.people import People
from hoopx_broker.daemon.presented import presented
from hoopx_broker.daemon.proving import after, proof_part
from hoopx_broker.daemon.publishing import Publishing
from hoopx_broker.daemon.requests import MAX_POLL_SECONDS, Requests, number
from hoopx_broker.daemon.searching import Search
from hoopx_broker.evidence.arrivals import Arrivals
from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.witnesses import Witnesses
from hoopx_broker.identity.identity import Presented
from hoopx_broker.identity.verify import Gate
from hoopx_broker.notices.courier import Courier
from hoopx_broker.recording.format import path_of
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session import session_events
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.services import Services, may_view, owner_of, target_for
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unauthenticated, Unknown
from hoopx_broker.terms.ids import RequestId, SessionId
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import Target

# The largest call carries a reason and a comment.
MAX_BODY = 64 * 1024

_json = msgspec.json.Encoder().encode
_Shape = TypeVar("_Shape")
Call = Callable[["Api", Request, Principal], Awaitable[Any]]


class House(Struct, frozen=True):
    """What the API answers from."""

    services: Services
    gate: Gate
    sessions: Sessions
    store: Store
    about: About
    requests: Requests
    people: People
    leases: Leases
    loyalty: Loyalty
    arrivals: Arrivals
    courier: Courier
    neighbours: Neighbours
    keeping: Keeping
    log: Log
    witnesses: Witnesses
    search: Search


class Api:
    """Each call: who asks, what is asked, and an answer or one `Refusal`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._services = house.services

    def app(self, more: list[Route]) -> Starlette:
        """`more` are the routes of the embedded issuer."""
        return Starlette(routes=[*self._routes(), *more], exception_handlers={HoopxError: _refuse, 404: _not_here})

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self._health),
            Route("/v1/about", self._about),
            Route("/v1/logout", self._house.people.logout, methods=["POST"]),
            self._route("/v1/whoami", Api._whoami),
            self._route("/v1/passes", Api._pass, "POST"),
            # Names of jobs are made of parts: `repo:acme/shop:ref:refs/heads/main`.
            self._route("/v1/users/{user:path}/revoke", Api._revoke, "POST"),
            self._route("/v1/users/{user:path}/restore", Api._restore, "POST"),
            self._route("/v1/users/revoked", Api._revoked),
            self._route("/v1/targets", Api._targets),
            self._route("/v1/targets/{name}", Api._target),
            self._route("/v1/requests", Api._requests),
            self._route("/v1/requests", Api._ask, "POST"),
            self._route("/v1/requests/unmask", Api._ask_to_unmask, "POST"),
            self._route("/v1/requests/extension", Api._ask_to_extend, "POST"),
            self._route("/v1/requests/{id}", Api._request),
            self._route("/v1/requests/{id}/past", Api._past),
            self._route("/v1/requests/{id}/journal", Api._journal),
            self._route("/v1/requests/{id}/review", Api._review, "POST"),
            self._route("/v1/requests/{id}/{verdict}", Api._vote, "POST"),
            self._route("/v1/leases", Api._leases),
            self._route("/v1/leases/revoke", Api._revoke_leases, "POST"),
            self._route("/v1/events", Api._events),
            self._route("/v1/sessions", Api._sessions),
            self._route("/v1/sessions/{id}", Api._session),
            self._route("/v1/sessions/{id}/recording", Api._recording),
            self._route("/v1/sessions/{id}/evidence", Api._evidence),
            self._route("/v1/sessions/{id}/tail", Api._tail),
            self._route("/v1/sessions/{id}/kill", Api._kill, "POST"),
            self._route("/v1/audit/holds", Api._holds),
            self._route("/v1/audit/holds", Api._hold, "POST"),
            self._route("/v1/audit/holds/{id}/release", Api._release, "POST"),
            self._route("/v1/audit/gc", Api._gc, "POST"),
            *Publishing(self._house.log, self._services, self._who).routes(),
        ]

    def _route(self, path: str, call: Call, method: str = "GET") -> Route:
        async def answer(request: Request) -> Response:
            said = await call(self, request, await self._who(request))
            return said if isinstance(said, Response) else Response(_json(said), media_type="application/json")

        return Route(path, answer, methods=[method])

    async def _who(self, request: Request) -> Principal:
        identity = await self._house.gate.identify(_presented(request))
        identity = request.state.identity = self._house.loyalty.learn(identity)
        await self._house.arrivals.see(identity, "api")
        return identity.who

    async def _body(self, request: Request, shape: type[_Shape]) -> _Shape:
        """What is asked. A body may take its time: whoever was shut out meanwhile asks for nothing."""
        said = await _read(request, shape)
        if self._services.standing.against(request.state.identity) is not None:
            raise Unauthenticated("this token is not accepted")
        return said

    # Without a token.

    async def _health(self, _: Request) -> Response:
        """What should have been done and is not, counted. No reason to restart the broker, hence `ok`.

        `leases_not_revoked` should be over; `notices_late` are tried again; `notices_given_up`, in the last week, not.
        `events_not_noted` have happened, and are tried again; `recordings_waiting` are not in their store yet;
        `recordings_not_on_disk` hold what waits for the disk, at the level `disk`. `events_waiting` are in no signed
        checkpoint yet, and `log_broken` says why that stays so. The newest checkpoint lacks `cosignatures_missing`, and
        the oldest event that a witness has not seen is so many seconds old; `log_disputed` says why one of them takes
        the log for another.
        """
        leases = await self._house.services.keeper.count_troubled()
        notices = await self._house.courier.count_left()
        sessions = len(self._house.sessions.all())
        log, committer = await self._house.log.health(), self._services.committer
        cosigning = await self._house.witnesses.health()
        return JSONResponse(
            {
                "status": "ok",
                "sessions": sessions,
                "leases_not_revoked": leases,
                "notices_late": notices.late,
                "notices_given_up": notices.given_up,
                "events_not_noted": self._services.chronicle.owed,
                "recordings_waiting": await self._house.keeping.spool.count_waiting(),
                "recordings_not_on_disk": committer.waiting if committer is not None else 0,
                "log_size": log.size,
                "events_waiting": log.waiting,
                "log_broken": log.broken,
                "cosignatures_missing": cosigning.missing,
                "cosignatures_missing_for": cosigning.seconds,
                "log_disputed": cosigning.disputed,
            }
        )

    async def _about(self, _: Request) -> Response:
        """With the time here: a clock that is off is found by it (`hoopx doctor`)."""
        headers = {"Date": formatdate(self._services.clock(), usegmt=True)}
        return Response(_json(self._house.about), media_type="application/json", headers=headers)

    # People.

    async def _pass(self, request: Request, _: Principal) -> PassGiven:
        asked = await self._body(request, PassFor)
        return self._house.people.give_pass(request.state.identity, _presented(request).token, asked)

    async def _revoke(self, request: Request, who: Principal) -> RevokedView:
        return await self._house.people.revoke(who, request.path_params["user"], await self._body(request, Revoke))

    async def _restore(self, request: Request, who: Principal) -> RevokedView:
        return await self._house.people.restore(who, request.path_params["user"])

    async def _revoked(self, _: Request, who: Principal) -> dict[str, list[RevokedView]]:
        return self._house.people.revoked(who)

    async def _whoami(self, request: Request, who: Principal) -> WhoAmI:
        expires_at, theirs = request.state.identity.expires_at, who.their_groups or ()
        return WhoAmI(who.user, who.kind, who.groups, who.issuer, who.on_behalf_of, expires_at, theirs)

    # Targets.

    async def _targets(self, _: Request, who: Principal) -> dict[str, list[TargetView]]:
        views = [self._view(target, who) for target in self._services.targets.values()]
        return {"targets": [view for view in views if view.access != "denied"]}

    async def _target(self, request: Request, who: Principal) -> TargetView:
        return self._view(target_for(self._services, who, request.path_params["name"]), who)

    def _view(self, target: Target, who: Principal) -> TargetView:
        judge = self._services.judge()
        ruling = judge.opening(who, target, Circumstances(self._minute(), duration=target.longest))
        masked = tuple(str(column) for column in judge.hidden(who, target))
        where = {"database": target.database, "region": target.region, "account": target.account}
        facts = {**where, "labels": target.labels, "masked": masked}
        match ruling:
            case Allow(rules):
                return TargetView(target.name, target.kind, "allowed", rules=rules, **facts)  # type: ignore[arg-type]
            case Ask(reason, rules, approvers):
                return TargetView(
                    target.name,
                    target.kind,
                    "approval",
                    rules=rules,
                    approvers=approvers,
                    reason=reason,
                    conditions=ruling.conditions,
                    **facts,  # type: ignore[arg-type]
                )
            case Deny(reason, rule):
                return TargetView(target.name, target.kind, "denied", rules=(rule,), reason=reason)

    def _minute(self) -> int:
        return int(self._services.clock()) // 60 * 60

    # Requests.

    async def _ask(self, request: Request, who: Principal) -> RequestView:
        return await self._house.requests.ask(who, await self._body(request, AskFor))

    async def _ask_to_extend(self, request: Request, who: Principal) -> RequestView:
        return await self._house.requests.ask_to_extend(who, await self._body(request, AskToExtend))

    async def _ask_to_unmask(self, request: Request, who: Principal) -> RequestView:
        return await self._house.requests.ask_to_unmask(who, await self._body(request, AskToUnmask))

    async def _requests(self, request: Request, who: Principal) -> Listed:
        wait, since = _number(request, "wait", MAX_POLL_SECONDS), _number(request, "since", sys.maxsize)
        return await self._house.requests.listed(who, request.query_params, wait, since)

    async def _request(self, request: Request, who: Principal) -> RequestView:
        return await self._house.requests.one(who, _id(request), _number(request, "wait", MAX_POLL_SECONDS))

    async def _past(self, request: Request, who: Principal) -> Past:
        return await self._house.requests.past(who, _id(request))

    async def _journal(self, request: Request, who: Principal) -> dict[str, tuple[Happening, ...]]:
        return await self._house.requests.journal(who, _id(request))

    async def _review(self, request: Request, who: Principal) -> RequestView:
        return await self._house.requests.review(who, _id(request), await self._body(request, Review))

    async def _vote(self, request: Request, who: Principal) -> RequestView:
        vote = await self._body(request, Vote)
        return await self._house.requests.say(who, _id(request), request.path_params["verdict"], vote)

    # Leases.

    async def _leases(self, request: Request, who: Principal) -> dict[str, list[LeaseView]]:
        return await self._house.leases.seen(who, request.query_params, _number(request, "limit", MAX_LISTED_LEASES))

    async def _revoke_leases(self, request: Request, who: Principal) -> dict[str, list[LeaseRevoked]]:
        return await self._house.leases.revoke(who, await self._body(request, RevokeLeases))

    # What happened.

    async def _events(self, request: Request, who: Principal) -> EventsListed:
        return await events_seen(self._services, self._house.store, who, request.query_params)

    # Sessions.

    async def _sessions(self, request: Request, who: Principal) -> SessionsFound:
        return await self._house.search.listed(who, request.query_params)

    async def _session(self, request: Request, who: Principal) -> SessionView:
        view = await self._services.stored.get(SessionId(request.path_params["id"]))
        if not may_view(self._services, who, view.target, owner_of(view)):
            raise Unknown(f"there is no session `{view.id}`", "`hoopx sessions ls` lists those that you may see")
        return msgspec.structs.replace(view, recording=await self._house.keeping.recordings.view(view.id))

    async def _recording(self, request: Request, who: Principal) -> Response:
        view = await self._session(request, who)
        how = _how(request)
        chunks = await self._house.keeping.recordings.open(view.id, _number(request, "start", sys.maxsize))
        await self._services.chronicle.note(session_events.viewed(self._services.clock(), who, view, how))
        return StreamingResponse(chunks, media_type="application/octet-stream")

    async def _evidence(self, request: Request, who: Principal) -> Response:
        """The recording behind the proof that the log has it; bare, with the reason in a header, where it has not."""
        view = await self._session(request, who)
        first, unproved = await proof_part(self._house.log, view)
        chunks = await self._house.keeping.recordings.open(view.id, 0)
        await self._services.chronicle.note(session_events.viewed(self._services.clock(), who, view, _how(request)))
        headers = {UNPROVED: quote(unproved)} if unproved else {}
        return StreamingResponse(after(first, chunks), headers=headers, media_type="application/octet-stream")

    async def _tail(self, request: Request, who: Principal) -> Response:
        """As `daemon/tailing.py` gives it."""
        view = await self._session(request, who)
        recordings, session = self._house.keeping.recordings, SessionId(view.id)

        async def is_over() -> bool:
            return (await self._services.stored.get(session)).state != "open"

        here = path_of(self._services.recordings, session) if view.state == "open" else None
        if here is not None and here.exists():
            given = tailing.growing(here, is_over, request.is_disconnected)
        else:
            given = tailing.whole(await recordings.open(session))
        await self._services.chronicle.note(session_events.viewed(self._services.clock(), who, view, "tail"))
        return StreamingResponse(given, media_type="application/octet-stream")

    async def _kill(self, request: Request, who: Principal) -> Any:
        view = await self._services.stored.get(SessionId(request.path_params["id"]))
        self._check_may_kill(who, view)
        why, live = f"`{spoken(who.user, who.on_behalf_of)}` ended it", self._house.sessions.by_id(view.id)
        if live is None and view.state != "open":
            raise BadInput(f"session `{view.id}` is over already", "`hoopx sessions ls` shows the open ones")
        # It ends even where that cannot be written down now.
        self._services.chronicle.note_surely(session_events.killed(self._services.clock(), who, view))
        if live is None:
            return await self._house.neighbours.end_elsewhere(SessionId(view.id), why)
        await live.end(why)
        return await self._services.stored.get(SessionId(view.id))

    def _check_may_kill(self, who: Principal, view: SessionView) -> None:
        """Raises `Denied`, or `Unknown` where `who` may not even know of the session."""
        known = self._services.targets.get(view.target)
        owner = owner_of(view)
        ruling = self._services.judge().may_kill_session(who, known, owner) if known is not None else None
        if isinstance(ruling, Allow):
            return
        if not may_view(self._services, who, view.target, owner):
            raise Unknown(f"there is no session `{view.id}`", "`hoopx sessions ls` lists those that you may see")
        raise Denied(f"you may not end session `{view.id}`", "ask its owner, or whoever may end sessions on its target")

    # Keeping recordings.

    async def _holds(self, request: Request, who: Principal) -> dict[str, list[HoldView]]:
        query = request.query_params
        return await self._house.keeping.held(who, query.get("session", ""), released=query.get("all") == "true")

    async def _hold(self, request: Request, who: Principal) -> HoldView:
        return await self._house.keeping.hold(who, await self._body(request, HoldFor))

    async def _release(self, request: Request, who: Principal) -> HoldView:
        asked = await self._body(request, Release)
        return await self._house.keeping.release(who, request.path_params["id"], asked)

    async def _gc(self, request: Request, who: Principal) -> Collection:
        return await self._house.keeping.collect(who, await self._body(request, Gc))


def _presented(request: Request) -> Presented:
    headers, path = request.headers, request.scope["raw_path"].decode("latin-1")
    return presented(headers.getlist("authorization"), headers.getlist("dpop"), request.method, path)


def _id(request: Request) -> RequestId:
    return RequestId(request.path_params["id"])


def refusal(error: HoopxError) -> bytes:
    """The body of an answer that is an error."""
    return _json({"error": Refusal.of(error)})


def _how(request: Request) -> session_events.How:
    """What a recording is read for, by the caller's own word."""
    said = request.query_params.get("how", "recording")
    for known in get_args(session_events.How):
        if said == known:
            return known  # type: ignore[no-any-return]
    raise BadInput(f"`{said}` is no way to look at a recording", "upgrade hoopx")


def _number(request: Request, name: str, most: int) -> int:
    return number(request.query_params, name, most)


async def _read(request: Request, shape: type[_Shape]) -> _Shape:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise BadInput("the request is too large", "shorten its reason or comment")
    return received(bytes(data) or b"{}", msgspec.json.Decoder(shape), "the request")


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HoopxError)
    headers = {"WWW-Authenticate": "DPoP, Bearer"} if isinstance(error, Unauthenticated) else {}
    return Response(refusal(error), error.http_status, headers, media_type="application/json")


async def _not_here(request: Request, _: Exception) -> Response:
    return await _refuse(request, Unknown("there is nothing here", "see docs/cli.md for what the broker serves"))
