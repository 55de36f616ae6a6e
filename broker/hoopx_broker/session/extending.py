"""Let open sessions go on beyond their end: at once where policy allows it, else when people have agreed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from msgspec import UNSET
from msgspec.structs import replace

from hoopx_broker.api.messages import AskToExtend, RequestView, SessionView
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.leasing import moment
from hoopx_broker.session.live import LiveSession, Sessions
from hoopx_broker.session.permits import denial
from hoopx_broker.session.services import Services, find_target
from hoopx_broker.terms.entries import Approval, Notice
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unknown, Unreachable
from hoopx_broker.terms.ids import RequestId, SessionId
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import Target

LONGEST_SECONDS = 24 * 3600  # from its opening on: whoever needs more opens a new one, by the rules of that day
RETRY_SECONDS = 5.0  # while the state cannot be read


class Extensions:
    """The broker that has a session prolongs it as soon as its extension is approved: nobody has to come for it."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._turn = asyncio.Lock()
        services.desk.watch(lambda: self._soon())

    async def ask(self, ask: AskToExtend, who: Principal) -> RequestView:
        """Prolong the session, or file the request for it. Raises a `HoopxError` that says why neither is done."""
        stored = await self._found(ask, who)
        target = find_target(self._services.targets, stored.target)
        seconds = self._seconds(ask, stored, target)
        services, now = self._services, self._now(ask.reason, ask.ticket, seconds)
        ruling = services.judge().extending(who, target, now)
        match ruling:
            case Allow():
                return await self._prolonged(stored, ask, who, seconds)
            case Deny():
                raise Denied(denial(ruling, f"more time for a session on `{target.name}`"), ruling.hint)
            case Ask():
                said = {"reason": ask.reason, "ticket": ask.ticket, "key": ask.key}
                return await services.desk.ask(self._matter(stored, seconds), who, ruling, wait=ask.wait, **said)

    async def refresh(self) -> None:
        """Prolong what is approved by now. Done when this returns."""
        async with self._turn:
            for view in await self._services.desk.approved("extension"):
                session = self._sessions.by_id(view.session)
                if session is not None and not session.is_ending:
                    await self._use(session, view)

    async def _found(self, ask: AskToExtend, who: Principal) -> SessionView:
        unknown = Unknown(f"you have no session `{ask.session}`", "`hoopx sessions ls` lists them")
        try:
            stored = await self._services.stored.get(SessionId(ask.session))
        except Unknown:
            raise unknown from None
        if not Owner(stored.user, stored.on_behalf_of).is_of(who):
            raise unknown
        if stored.state != "open":
            raise BadInput(f"session `{stored.id}` is over", "open a new one")
        return stored

    def _seconds(self, ask: AskToExtend, stored: SessionView, target: Target) -> int:
        latest = stored.opened_at + LONGEST_SECONDS
        if ask.duration <= 0:
            raise BadInput("for how long the session should go on is missing", "give `--for` a duration such as 30m")
        if stored.expires_at + ask.duration > latest:
            raise BadInput(f"session `{stored.id}` may last until {moment(latest)} at most", "open a new one in time")
        if not self._services.keeper.renews(target.name):
            raise BadInput(f"the credential of a session on `{target.name}` cannot be renewed", "open a new session")
        return ask.duration

    def _now(self, reason: str, ticket: str, seconds: int) -> Circumstances:
        return Circumstances(int(self._services.clock()) // 60 * 60, reason, ticket, seconds)

    def _matter(self, about: SessionView | RequestView, seconds: int) -> Matter:
        session = about.id if isinstance(about, SessionView) else about.session
        version = self._services.judge().version
        return Matter("extension", about.target, version, duration=seconds, session=session)

    async def _prolonged(self, stored: SessionView, ask: AskToExtend, who: Principal, seconds: int) -> RequestView:
        """Nobody has to agree, so there is no request: what is given is what one would have come to."""
        session = self._sessions.by_id(stored.id)
        if session is None or session.is_ending:
            raise Unreachable(f"session `{stored.id}` is not with this broker", "open a new session")
        now = self._services.clock()
        async with self._turn:
            note = Approval("extended", "", "extension", who.user, ask.reason, now)
            ends_at = await self._prolong(session, seconds, note)
        return RequestView(
            "", "used", "extension", stored.target, who.user, ask.reason, ask.ticket, seconds, (), {}, now, ends_at,
            on_behalf_of=who.on_behalf_of, session=stored.id,
        )  # fmt: skip

    async def _use(self, session: LiveSession, view: RequestView) -> None:
        """Spent, then prolonged: where the session has ended in between, it is spent in vain, and nothing lives on."""
        desk, request, who = self._services.desk, RequestId(view.id), _requester(session, view)
        try:
            self._demand_allowed(session, view, who)
            await desk.spend(request, who, self._matter(view, view.duration), used_by=view.session)
        except HoopxError as error:
            session.warn(f"it does not go on by request `{view.id}`: {error.message}")
            with suppress(HoopxError):  # decided otherwise meanwhile
                await desk.cancel(request, who)
            return
        agreed = ", ".join(ballot.approver for ballot in view.ballots if ballot.verdict == "approve")
        note = Approval("extended", view.id, view.kind, agreed, view.reason, self._services.clock())
        await self._prolong(session, view.duration, note)

    def _demand_allowed(self, session: LiveSession, view: RequestView, who: Principal) -> None:
        """By every rule, now that people have agreed. Raises `Denied`."""
        now = replace(self._now(view.reason, view.ticket, view.duration), approvals=frozenset(view.approvers))
        ruling = self._services.judge().extending(who, session.target, now)
        if not isinstance(ruling, Allow):
            raise Denied(f"the approval does not satisfy every rule: {ruling.reason}", "ask again")

    async def _prolong(self, session: LiveSession, seconds: int, note: Approval) -> float:
        """One at a time: each goes on from the end that the one before it has made."""
        ends_at = min(session.ends_at + seconds, session.opened.opened_at + LONGEST_SECONDS)
        by = f" by request `{note.request}`" if note.request else ""
        text = f"the session goes on until {moment(ends_at)}{by}"
        await session.prolong(ends_at, Notice("", "NOTICE", "00000", text, approval=replace(note, until=ends_at)))
        stored = self._services.stored.prolong(SessionId(session.opened.session), session.ends_at)
        self._services.crew.start(stored, "extension")
        return session.ends_at

    def _soon(self) -> None:
        self._services.crew.start(self._look(), "extension")

    async def _look(self) -> None:
        try:
            await self.refresh()
        except HoopxError as error:
            self._services.crew.report("extension", error)
            await asyncio.sleep(RETRY_SECONDS)
            self._soon()


def _requester(session: LiveSession, view: RequestView) -> Principal:
    """As they count in this session: whoever opened it, or the human on whose behalf."""
    who = session.opened.principal
    if (view.requester, view.on_behalf_of) == (who.user, who.on_behalf_of):
        return who
    groups = who.their_groups if who.their_groups is not UNSET else ()
    issuer = who.their_issuer if who.their_issuer is not UNSET else ""
    return Principal(view.requester, "human", groups, issuer, on_behalf_of=view.on_behalf_of)
