"""The desk where requests wait for people: asked, voted on, and spent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import asking, bounds, deciding, docket, journal, keys, spending
from hoopx_broker.approvals.asking import MAX_WAIT, Wish
from hoopx_broker.approvals.bells import Bells, nap
from hoopx_broker.approvals.bounds import MAX_LINE, refuse_unreadable
from hoopx_broker.approvals.journal import Head
from hoopx_broker.approvals.matter import Matter, Verdict, Word
from hoopx_broker.approvals.persons import Persons
from hoopx_broker.approvals.turn import Hear, House, Turn
from hoopx_broker.approvals.unmasking import Unmasking, unmasking_of
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Happening, RequestKind
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Ask

T = TypeVar("T")

_log = structlog.get_logger()

DEFAULT_WAIT = 15 * 60.0  # what `hoopx connect` waits for by itself
SHORTEST_NAP = 0.01  # between two looks when the clocks disagree about the end
MAX_PAST = 20  # an approver glances at them

TOPIC = "requests"  # told with the id of a request to which something happened

STATES = ("waiting", "approved", "denied", "cancelled", "expired", "used")
REVIEWS = ("open", "accepted", "objected")


class Desk:
    """Every answer is one transaction, so approve, deny, cancel, expire and spend happen one after another.

    `clock` gives seconds since the Unix epoch and is read in the store's thread. `link` gives a request's page, which
    every view has. `hear` is told of all that happens, inside the transaction and with its connection. Of `accounts`
    each has the names of one person.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        ids: Callable[[], RequestId],
        *,
        link: Callable[[str], str] = lambda _: "",
        hear: Hear = lambda *_: None,
        accounts: Iterable[Iterable[str]] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._house = House(Persons(accounts), link, hear)
        self._bells = Bells()
        # All transactions of a desk touch the journal's end: side by side they would only be in each other's way.
        self._turn = asyncio.Lock()
        store.subscribe(TOPIC, self._hear)

    async def ask(
        self,
        matter: Matter,
        requester: Principal,
        ruling: Ask,
        *,
        reason: str = "",
        ticket: str = "",
        wait: float = 0,
        key: str = "",
    ) -> RequestView:
        """File what `ruling` asks people for. Asking the same again gives the request that waits or is approved; with
        a `key`, the one that was asked for by it, whatever became of it.

        `wait` is how long people may take, in seconds; 0 is the default. Raises `BadInput`, `Denied`.
        """
        wish = _wish(Wish(matter, requester, ruling, reason, ticket, key))
        patience = min(wait, MAX_WAIT) if wait > 0 else DEFAULT_WAIT
        return await self._run(lambda turn: asking.ask(turn, wish, self._ids(), turn.now + patience))

    async def break_glass(
        self, matter: Matter, requester: Principal, ruling: Ask, *, reason: str, ticket: str = "", key: str = ""
    ) -> RequestView:
        """Go through at once what `ruling` asks people for, and have it reviewed afterwards.

        Raises `Denied` where a rule does not let this requester, `BadInput` without a reason.
        """
        wish = _wish(Wish(matter, requester, ruling, reason, ticket, key))
        view = await self._run(lambda turn: asking.break_glass(turn, wish, self._ids()))
        who = spoken(requester.user, requester.on_behalf_of)
        facts = {"request": view.id, "kind": view.kind, "target": view.target, "session": view.session}
        # Names only: what a statement holds is nobody's business in a log.
        _log.warning("request.glass_broken", who=who, rules=view.rules, **facts)
        return view

    async def vote(self, request: RequestId, approver: Principal, verdict: Verdict, comment: str = "") -> RequestView:
        """One person's word. The first `deny` decides; `approve` decides when every group's quorum is reached.

        Raises `Unknown`, `Denied` (the requester's own, no human, or not in an asked group), `BadInput` (decided
        already).
        """
        refuse_unreadable(comment=(comment, MAX_LINE))
        return await self._run(lambda turn: deciding.vote(turn, request, approver, verdict, comment))

    async def review(self, request: RequestId, reviewer: Principal, verdict: Word, comment: str = "") -> RequestView:
        """One person's word on what went through broken glass, as `vote`: the first `object` closes the review."""
        refuse_unreadable(comment=(comment, MAX_LINE))
        return await self._run(lambda turn: deciding.review(turn, request, reviewer, verdict, comment))

    async def cancel(self, request: RequestId, by: Principal) -> RequestView:
        """Take back a request that waits, or an approval that is not used. Raises `Unknown`, `Denied`, `BadInput`.

        What is unmasked is also ended by those who could have refused it.
        """
        return await self._run(lambda turn: spending.cancel(turn, request, by))

    async def spend(
        self, request: RequestId, requester: Principal, matter: Matter, used_by: str = ""
    ) -> frozenset[str]:
        """Use an approval, once, for exactly what was approved; gives the groups that agreed.

        `used_by` is for the journal: the session, and the stream of it. Raises `Unknown` (not this requester's),
        `Denied` (for something else, cancelled, used), `StillPending` (waiting, expired) or `Refused`.
        """
        return await self._run(lambda turn: spending.spend(turn, request, requester, matter, used_by))

    async def check(self, request: RequestId, requester: Principal, matter: Matter) -> frozenset[str]:
        """What `spend` would give or raise now. It stays unused."""
        return await self._run(lambda turn: spending.check(turn, request, requester, matter))

    async def get(self, request: RequestId, viewer: Principal | None = None) -> RequestView:
        """Raises `Unknown`, also when there is one that `viewer` may not see."""
        return await self._run(lambda turn: turn.shown(turn.found(request, viewer)))

    async def list(
        self,
        *,
        state: str | None = None,
        target: str | None = None,
        requester: str | None = None,
        review: str | None = None,
        viewer: Principal | None = None,
        limit: int = 50,
    ) -> tuple[RequestView, ...]:
        """The newest first; with a `viewer`, theirs and those that they may decide or review."""
        _refuse_unknown("state of a request", state, STATES)
        _refuse_unknown("state of a review", review, REVIEWS)
        wanted = {"state": state, "target": target, "requester": requester, "review": review}
        filters = {name: value for name, value in wanted.items() if value is not None}

        def work(turn: Turn) -> tuple[RequestView, ...]:
            return tuple(map(turn.shown, docket.listed(turn.connection, filters, viewer, limit)))

        return await self._run(work)

    async def waiting_for(self, approver: Principal) -> tuple[RequestView, ...]:
        """What waits for a vote of this one, the newest first: nothing of theirs, and nothing they have voted on."""

        def work(turn: Turn) -> tuple[RequestView, ...]:
            waiting = docket.listed(turn.connection, {"state": "waiting"}, approver, docket.MAX_LIST)
            return tuple(turn.shown(filed) for filed in waiting if deciding.awaits(turn, filed, approver))

        return await self._run(work)

    async def objections(self, requests: Iterable[str], who: Principal) -> dict[str, Denied]:
        """Of these requests, those on which `who` would not be heard, and why. Raises `Unknown`."""

        def work(turn: Turn) -> dict[str, Denied]:
            found = {request: deciding.objection(turn, turn.found(request), who) for request in requests}
            return {request: why for request, why in found.items() if why is not None}

        return await self._run(work)

    async def ready(self, requester: Principal, target: str) -> tuple[RequestView, ...]:
        """Approvals of sessions with `target` that lie unused for exactly this requester, the newest first."""
        return await self._run(lambda turn: tuple(map(turn.shown, docket.ready(turn.connection, requester, target))))

    async def past(self, request: RequestId, viewer: Principal) -> tuple[RequestView, ...]:
        """What its requester asked before, the newest first: of that what `viewer` may see. Raises `Unknown`."""

        def work(turn: Turn) -> tuple[RequestView, ...]:
            before = docket.past(turn.connection, turn.found(request, viewer), viewer, MAX_PAST)
            return tuple(map(turn.shown, before))

        return await self._run(work)

    async def journal(self, request: RequestId) -> tuple[Happening, ...]:
        """All that happened to a request, in order. Raises `Unknown`."""

        def work(turn: Turn) -> tuple[Happening, ...]:
            turn.found(request)
            return journal.of_request(turn.connection, request)

        return await self._run(work)

    async def check_journal(self) -> Head:
        """The newest entry of a journal that is whole. Raises `JournalBroken`."""
        return await self._store.run(journal.check_journal)

    async def unmaskings(self) -> tuple[Unmasking, ...]:
        """All that is approved to be seen raw now, of everybody."""
        filed = await self._run(lambda turn: docket.approved(turn.connection, "unmask"))
        return tuple(unmasking_of(each) for each in filed)

    async def approved(self, kind: RequestKind) -> tuple[RequestView, ...]:
        """All of a kind that are approved, and not used yet."""
        return await self._run(lambda turn: tuple(map(turn.shown, docket.approved(turn.connection, kind))))

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever a vote or a cancellation may have changed what is approved."""
        self._bells.watch(changed)

    async def wait(self, request: RequestId, timeout: float | None = None) -> RequestView:
        """Until the request no longer waits, or `timeout` seconds are over: the view says which. Raises `Unknown`."""
        loop = asyncio.get_running_loop()
        deadline = float("inf") if timeout is None else loop.time() + timeout
        with self._bells.listening(request) as changed:
            while True:
                changed.clear()
                view = await self.get(request)
                left = deadline - loop.time()
                if view.state != "waiting" or left <= 0:
                    return view
                await nap(changed, min(left, max(view.expires_at - self._clock(), SHORTEST_NAP)))

    async def changes(self, since: int, timeout: float) -> int:
        """The newest number of the journal, once it is above `since` or `timeout` seconds are over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        with self._bells.listening() as changed:
            while True:
                changed.clear()
                number, due = await self._run(_newest)
                left = deadline - loop.time()
                if number > since or left <= 0:
                    return number
                await nap(changed, min(left, max(due - self._clock(), SHORTEST_NAP)))

    async def _run(self, work: Callable[[Turn], T]) -> T:
        """One transaction in which nothing that is over its time is alive any more."""

        def whole(connection: Connection) -> T:
            turn = Turn(connection, self._clock(), self._house)
            result = work(turn)
            for touched in turn.touched:
                connection.tell(TOPIC, touched)
            return result

        async with self._turn:
            return await self._store.run(whole)

    def _hear(self, request: str | None) -> None:
        """Something happened to a request, here or at another broker; or, for None, may have happened to any."""
        if request is None:
            self._bells.ring_all()
        else:
            self._bells.ring([RequestId(request)])
        self._bells.ring_watchers()


def _newest(turn: Turn) -> tuple[int, float]:
    """The journal's newest number, and when the next will be due by itself."""
    due = docket.next_due(turn.connection)
    return journal.head(turn.connection).number, float("inf") if due is None else due


def _wish(wish: Wish) -> Wish:
    """The wish, if people could read and answer it. Raises `BadInput`, `Denied`."""
    refuse_unreadable(reason=(wish.reason, MAX_LINE), ticket=(wish.ticket, MAX_LINE))
    refuse_unreadable(statement=(wish.matter.statement, bounds.MAX_STATEMENT))
    refuse_unreadable(**{"statement as it is read": (wish.matter.canonical, 2 * bounds.MAX_STATEMENT)})
    keys.refuse_bad(wish.key)
    bounds.refuse_unanswerable(wish.ruling)
    return wish


def _refuse_unknown(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise BadInput(f"`{value}` is no {what}", f"use one of {', '.join(known)}")
