"""Ask people to see masked data raw for a while, and have every session follow what they say, at once."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Collection

from msgspec import Struct

from hoopx_broker.api.messages import AskToUnmask, RequestView
from hoopx_broker.approvals.desk import SHORTEST_NAP, Desk
from hoopx_broker.approvals.unmasking import Unmasking, matter_of
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.seams.judge import Judge as Policy
from hoopx_broker.session.database_session import DatabaseSession
from hoopx_broker.session.live import LiveSession, Sessions
from hoopx_broker.storage import sessions as stored
from hoopx_broker.terms.entries import Unmask
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew

MAX_CLASSES = 20  # an approver reads them all
# While the state cannot be read, everything is masked; it is read again after so long.
RETRY_SECONDS = 5.0


class Unmaskings:
    """Sessions come in by `admit` alone, so that no approval is missed and none outlives its cancellation."""

    def __init__(
        self, desk: Desk, rows: stored.Sessions, sessions: Sessions, crew: Crew, clock: Callable[[], float]
    ) -> None:
        self._desk = desk
        self._rows = rows
        self._sessions = sessions
        self._crew = crew
        self._clock = clock
        # What is read is applied before anybody else reads, so that the newest word is the last.
        self._turn = asyncio.Lock()
        self._alarm: asyncio.Task[None] | None = None
        desk.watch(lambda: self._soon())

    async def admit(self, session: LiveSession) -> None:
        """Let a session be found, and see what is approved to be seen. Raises `Unreachable` when the broker stops."""
        async with self._turn:
            holding = await self._read()
            self._sessions.add(session)
            self._apply(session, holding)

    async def refresh(self) -> None:
        """Have all sessions see what is approved now, and no more. Done when this returns."""
        async with self._turn:
            holding = await self._read()
            for session in self._sessions.all():
                self._apply(session, holding)

    async def _read(self) -> tuple[Unmasking, ...]:
        """All that holds now; where that cannot be told, nothing does."""
        try:
            holding = await self._desk.unmaskings()
        except HoopxError as error:
            self._crew.report("unmasking", error)
            self._wake_in(RETRY_SECONDS)
            return ()
        if holding:
            self._wake_in(min(each.until for each in holding) - self._clock())
        return holding

    def _apply(self, session: LiveSession, holding: tuple[Unmasking, ...]) -> None:
        """Only databases hide anything."""
        if not isinstance(session, DatabaseSession):
            return
        opened = session.opened
        own = [each for each in holding if each.is_for(opened.principal, opened.target)]
        now = self._clock()
        for change in session.unmask(own, now):
            self._crew.start(self._store(SessionId(opened.session), change, now), "unmasking")

    async def _store(self, session: SessionId, change: Unmask, now: float) -> None:
        """For lists only: the recording has it already."""
        if change.ended:
            await self._rows.end_unmasking(session, change.request, now)
        else:
            await self._rows.begin_unmasking(session, change.request, change.classes, now)

    def _soon(self) -> None:
        self._crew.start(self.refresh(), "unmasking")

    def _wake_in(self, seconds: float) -> None:
        """Look again when the next one is over; where clocks disagree about that, until they agree."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._crew.start(self._wake(max(seconds, SHORTEST_NAP)), "unmasking")

    async def _wake(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._alarm = None
        self._soon()


class Wish(Struct, frozen=True):
    """Who wants to see what raw. `labelled` are the classes that the target's database is known to have."""

    who: Principal
    target: Target
    ask: AskToUnmask
    seconds: int
    labelled: Collection[str] | None


async def ask_to_unmask(wish: Wish, policy: Policy, desk: Desk, minute: int) -> RequestView:
    """File what policy asks people for. Raises `Denied` where nobody could agree, `BadInput` where nobody need."""
    who, target, ask = wish.who, wish.target, wish.ask
    matter = matter_of(target.name, policy.version, ask.classes, wish.seconds)
    _check(wish, matter.classes)
    now = Circumstances(minute, ask.reason, ask.ticket, wish.seconds)
    ruling = policy.unmasking(who, target, matter.classes, now)
    what = f"to {matter.statement} on `{target.name}`"
    match ruling:
        case Allow():
            raise BadInput(f"nobody has to agree {what}", _why_nobody(policy, who, target, matter.classes))
        case Deny():
            raise Denied(f"rule `{ruling.rule}` forbids {what}: {ruling.reason}", ruling.hint)
        case Ask():
            said = {"reason": ask.reason, "ticket": ask.ticket, "key": ask.key}
            if ask.break_glass:
                return await desk.break_glass(matter, who, ruling, **said)
            return await desk.ask(matter, who, ruling, wait=ask.wait, **said)


def _check(wish: Wish, classes: tuple[str, ...]) -> None:
    """A class that is not there would be approved, and change nothing."""
    if not classes or len(classes) > MAX_CLASSES or not all(classes):
        raise BadInput(f"name 1 to {MAX_CLASSES} classes of data", "as in `--unmask email,national-id`")
    if wish.labelled is None:  # what the database itself classifies is not known yet
        return
    target = wish.target
    known = {*target.classify.values(), *wish.labelled, *(each.name for each in target.masks.detectors)}
    for name in classes:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"`hoopx show {target.name}` lists what is masked there"
            raise BadInput(f"`{target.name}` has nothing of the class `{name}`", hint)


def _why_nobody(policy: Policy, who: Principal, target: Target, classes: tuple[str, ...]) -> str:
    if set(classes).isdisjoint(policy.hidden(who, target).values()):
        return "you see it raw in any session"
    return "a rule that reveals by reason or ticket must name `@approvers` too; tell whoever writes the policies"
