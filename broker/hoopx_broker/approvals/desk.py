"""The desk where requests wait for people: asked, voted on, and spent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import TypeVar

import msgspec

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.approvals import docket, quorum, refusals
from hoopx_broker.approvals.bounds import MAX_LINE, MAX_STATEMENT, refuse_unanswerable, refuse_unreadable
from hoopx_broker.approvals.docket import Cast, Filed
from hoopx_broker.approvals.matter import (
    Matter,
    Verdict,
    are_entangled,
    deciding_groups,
    is_agent,
    is_requester,
    person_of,
    speaks_for,
)
from hoopx_broker.approvals.unmasking import Unmasking, unmasking_of
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask

T = TypeVar("T")

DEFAULT_WAIT = 15 * 60.0  # what `hoopx connect` waits for by itself
MAX_WAIT = 7 * 24 * 3600.0  # longer than a week nobody remembers what they asked for
# How long an approval may lie unused: a session after the meeting, a statement while its client waits. One to unmask is
# never used: it holds from the moment on for as long as was asked.
USE_WITHIN: dict[str, float] = {"session": 3600.0, "statement": 900.0}
MAX_WAITING = 50  # requests of one requester: more is a script gone wild, and it buries the others
SHORTEST_NAP = 0.01  # between two looks when the clocks disagree about the end

STATES = ("waiting", "approved", "denied", "cancelled", "expired", "used")


class Desk:
    """Every answer is one transaction, so approve, deny, cancel, expire and spend happen one after another.

    `clock` gives seconds since the Unix epoch and is read in the store's thread.
    """

    def __init__(self, store: Store, clock: Callable[[], float], ids: Callable[[], RequestId]) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._listeners: dict[RequestId, set[asyncio.Event]] = {}
        self._watchers: list[Callable[[], None]] = []

    async def ask(
        self, matter: Matter, requester: Principal, ruling: Ask, *, reason: str = "", ticket: str = "", wait: float = 0
    ) -> RequestView:
        """File what `ruling` asks people for. Asking the same again gives the request that waits or is approved.

        `wait` is how long people may take, in seconds; 0 is the default.
        """
        refuse_unreadable(reason=(reason, MAX_LINE), ticket=(ticket, MAX_LINE))
        refuse_unreadable(statement=(matter.statement, MAX_STATEMENT))
        refuse_unanswerable(ruling)
        likeness = _likeness(matter, requester, ruling, reason, ticket)
        patience = min(wait, MAX_WAIT) if wait > 0 else DEFAULT_WAIT

        def work(connection: Connection, now: float) -> RequestView:
            if alike := docket.find_alike(connection, likeness):
                docket.prolong(connection, alike.view.id, now + patience)
                return _found(connection, RequestId(alike.view.id)).view
            if docket.count_waiting(connection, requester) >= MAX_WAITING:
                raise BadInput(
                    f"`{requester.on_behalf_of or requester.user}` has {MAX_WAITING} requests waiting already",
                    "cancel some with `hoopx requests cancel`, or wait for their answers",
                )
            view = _new(self._ids(), matter, requester, ruling, reason, ticket, now, now + patience)
            docket.file(connection, Filed(view, matter.policy), likeness)
            return view

        return await self._run(work)

    async def vote(self, request: RequestId, approver: Principal, verdict: Verdict, comment: str = "") -> RequestView:
        """One person's word. The first `deny` decides; `approve` decides when every group's quorum is reached.

        Raises `Unknown`, `Denied` (the requester's own, an agent, or not in an asked group), `BadInput` (decided
        already).
        """
        refuse_unreadable(comment=(comment, MAX_LINE))

        def work(connection: Connection, now: float) -> RequestView:
            filed = _found(connection, request)
            groups = _groups_of(approver, filed)
            if filed.view.state != "waiting":
                raise refusals.decided(filed.view)
            _count(connection, filed, Cast(person_of(approver), groups, Ballot(approver.user, verdict, comment, now)))
            return _found(connection, request).view

        return await self._run(work, request)

    async def cancel(self, request: RequestId, by: Principal) -> RequestView:
        """Take back a request that waits, or an approval that is not used. Raises `Unknown`, `Denied`, `BadInput`.

        What is unmasked is also ended by those who could have refused it.
        """

        def work(connection: Connection, now: float) -> RequestView:
            filed = _found(connection, request)
            if not speaks_for(by, filed.requester) and not _may_end(by, filed):
                raise refusals.not_yours_to_cancel(filed.view) if _may_see(by, filed) else refusals.unknown(request)
            if filed.view.state not in ("waiting", "approved"):
                raise refusals.decided(filed.view)
            docket.decide(connection, request, "cancelled")
            return _found(connection, request).view

        return await self._run(work, request)

    async def spend(self, request: RequestId, requester: Principal, matter: Matter) -> frozenset[str]:
        """Use an approval, once, for exactly what was approved; gives the groups that agreed.

        Raises `Unknown` (not this requester's), `Denied` (for something else, cancelled, used), `StillPending`
        (waiting, expired) or `Refused`.
        """

        def work(connection: Connection, now: float) -> frozenset[str]:
            filed = _found(connection, request)
            if not is_requester(requester, filed.requester):
                raise refusals.unknown(request)
            if difference := _difference(matter, filed):
                raise refusals.something_else(filed.view, difference)
            if filed.view.state != "approved":
                raise refusals.not_spendable(filed.view)
            docket.decide(connection, request, "used")
            return frozenset(filed.view.approvers)

        return await self._run(work, request)

    async def unmaskings(self) -> tuple[Unmasking, ...]:
        """All that is approved to be seen raw now, of everybody."""
        filed = await self._run(lambda connection, _: docket.approved(connection, "unmask"))
        return tuple(unmasking_of(each) for each in filed)

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever a vote or a cancellation may have changed what is approved."""
        self._watchers.append(changed)

    async def get(self, request: RequestId, viewer: Principal | None = None) -> RequestView:
        """Raises `Unknown`, also when there is one that `viewer` may not see."""

        def work(connection: Connection, now: float) -> RequestView:
            filed = _found(connection, request)
            if viewer is not None and not _may_see(viewer, filed):
                raise refusals.unknown(request)
            return filed.view

        return await self._run(work)

    async def list(
        self,
        *,
        state: str | None = None,
        target: str | None = None,
        requester: str | None = None,
        viewer: Principal | None = None,
        limit: int = 50,
    ) -> tuple[RequestView, ...]:
        """The newest first; with a `viewer`, theirs and those that they may decide."""
        if state is not None and state not in STATES:
            raise BadInput(f"`{state}` is no state of a request", f"use one of {', '.join(STATES)}")
        wanted = {"state": state, "target": target, "requester": requester}
        filters: dict[str, str | None] = {column: value for column, value in wanted.items() if value is not None}
        filed = await self._run(lambda connection, _: docket.listed(connection, filters, viewer, limit))
        return tuple(each.view for each in filed)

    async def ready(self, requester: Principal, target: str) -> tuple[RequestView, ...]:
        """Approvals of sessions with `target` that lie unused for exactly this requester, the newest first."""
        filters = {
            "state": "approved",
            "kind": "session",
            "target": target,
            "requester": requester.user,
            "on_behalf_of": requester.on_behalf_of,
        }
        filed = await self._run(lambda connection, _: docket.listed(connection, filters, None, docket.MAX_LIST))
        return tuple(each.view for each in filed)

    async def wait(self, request: RequestId, timeout: float | None = None) -> RequestView:
        """Until the request no longer waits, or `timeout` seconds are over: the view says which. Raises `Unknown`."""
        loop = asyncio.get_running_loop()
        deadline = float("inf") if timeout is None else loop.time() + timeout
        with self._listening(request) as changed:
            while True:
                changed.clear()
                view = await self.get(request)
                left = deadline - loop.time()
                if view.state != "waiting" or left <= 0:
                    return view
                await _nap(changed, min(left, max(view.expires_at - self._clock(), SHORTEST_NAP)))

    async def _run(self, work: Callable[[Connection, float], T], request: RequestId | None = None) -> T:
        """One transaction in which nothing that is over its time is alive any more."""

        def whole(connection: Connection) -> T:
            now = self._clock()
            docket.expire(connection, now)
            return work(connection, now)

        try:
            return await self._store.run(whole)
        finally:
            # Even when cancelled: the work may still be done, and whoever looks afterwards looks after it.
            for listener in self._listeners.get(request, ()) if request is not None else ():
                listener.set()
            for changed in self._watchers if request is not None else ():
                changed()

    @contextmanager
    def _listening(self, request: RequestId) -> Iterator[asyncio.Event]:
        listener = asyncio.Event()
        self._listeners.setdefault(request, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[request].discard(listener)
            if not self._listeners[request]:
                del self._listeners[request]


async def _nap(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return


def _new(
    request: RequestId,
    matter: Matter,
    requester: Principal,
    ruling: Ask,
    reason: str,
    ticket: str,
    created_at: float,
    expires_at: float,
) -> RequestView:
    return RequestView(
        id=request,
        state="waiting",
        kind=matter.kind,
        target=matter.target,
        requester=requester.user,
        reason=reason,
        ticket=ticket,
        duration=matter.duration,
        rules=ruling.rules,
        approvers=ruling.approvers,
        created_at=created_at,
        expires_at=expires_at,
        statement=matter.statement,
        classes=matter.classes,
        on_behalf_of=requester.on_behalf_of,
    )


def _found(connection: Connection, request: RequestId) -> Filed:
    filed = docket.find(connection, request)
    if filed is None:
        raise refusals.unknown(request)
    return filed


def _groups_of(approver: Principal, filed: Filed) -> tuple[str, ...]:
    """The asked groups that this approver speaks for; raises `Denied` where there is none."""
    if are_entangled(approver, filed.requester):
        raise refusals.own_request(filed.view)
    if is_agent(approver):
        raise refusals.agents_decide_nothing(filed.view, approver)
    groups = tuple(sorted(set(approver.groups) & set(filed.view.approvers)))
    if not groups:
        raise refusals.not_an_approver(filed.view, approver)
    return groups


def _count(connection: Connection, filed: Filed, vote: Cast) -> None:
    request, verdict = RequestId(filed.view.id), vote.ballot.verdict
    before = {cast.person: cast for cast in docket.votes(connection, request)}
    if vote.person in before and verdict == "approve":
        return  # said already; their first word stands
    docket.cast(connection, request, vote)
    if verdict == "deny":
        docket.decide(connection, request, "denied")
        return
    voters = [set(cast.groups) for cast in (*before.values(), vote)]
    if quorum.is_reached(filed.view.approvers, voters):
        docket.approve(connection, request, vote.ballot.at + USE_WITHIN.get(filed.view.kind, filed.view.duration))


def _may_see(viewer: Principal, filed: Filed) -> bool:
    return speaks_for(viewer, filed.requester) or not filed.view.approvers.keys().isdisjoint(deciding_groups(viewer))


def _may_end(by: Principal, filed: Filed) -> bool:
    view = filed.view
    return (view.kind, view.state) == ("unmask", "approved") and not view.approvers.keys().isdisjoint(
        deciding_groups(by)
    )


def _difference(matter: Matter, filed: Filed) -> str | None:
    """What does not match between what was approved and what would be done."""
    view = filed.view
    if matter.kind != view.kind:
        return f"kind of thing: `{view.kind}`, not `{matter.kind}`"
    if matter.target != view.target:
        return f"target, `{view.target}`"
    if matter.statement != view.statement:
        return "statement"
    if matter.duration > view.duration:
        return f"length of time: {view.duration} s, not {matter.duration} s"
    if matter.policy != filed.policy:
        return "version of the policy, which was changed since"
    return None


def _likeness(matter: Matter, requester: Principal, ruling: Ask, reason: str, ticket: str) -> str:
    """Equal for requests that ask the same people for the same thing, by the same one, for the same reason."""
    who = (requester.user, requester.on_behalf_of)
    asked = (sorted(ruling.approvers.items()), sorted(ruling.rules))
    return sha256(msgspec.json.encode((matter, who, asked, reason, ticket))).hexdigest()
