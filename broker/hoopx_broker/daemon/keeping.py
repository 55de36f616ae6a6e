"""The calls about keeping recordings: legal holds, and deleting what is over its time."""

from __future__ import annotations

import structlog
from msgspec import Struct

from hoopx_broker.api.messages import Collection, Gc, HoldFor, HoldView, Release
from hoopx_broker.evidence.gc import Collector, Order
from hoopx_broker.evidence.holds import Holds
from hoopx_broker.evidence.recordings import Recordings
from hoopx_broker.evidence.spool import Spool
from hoopx_broker.session.services import Services, may_view, owner_of
from hoopx_broker.terms.errors import Denied, HoopxError, Unknown
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.people import Owner, Principal, spoken
from hoopx_broker.terms.rulings import Allow

_log = structlog.get_logger()


class Keeping(Struct, frozen=True):
    """What these calls work with."""

    services: Services
    recordings: Recordings
    spool: Spool
    holds: Holds
    collector: Collector

    async def hold(self, who: Principal, asked: HoldFor) -> HoldView:
        """It is in force when this returns; the store itself is told as soon as it answers."""
        await self._check_may_hold(who, asked.session)
        view = await self.holds.hold(asked.session, asked.reason, who)
        await self._tell_store()
        return view

    async def release(self, who: Principal, hold: str, asked: Release) -> HoldView:
        await self._check_may_hold(who, (await self.holds.get(hold)).session)
        view = await self.holds.release(hold, asked.reason, who)
        await self._tell_store()
        return view

    async def held(self, who: Principal, session: str, *, released: bool) -> dict[str, list[HoldView]]:
        """Those of sessions that `who` may hold, or see."""
        found = await self.holds.list(session=session, released=released)
        return {"holds": [view for view in found if await self._may_know(who, view)]}

    async def collect(self, who: Principal, asked: Gc) -> Collection:
        """What is over its time, of targets where `who` may delete it; the others are told as kept."""
        if not any(self._may_collect(who, name) == "" for name in self.services.targets):
            raise Denied("you may not delete recordings", "ask whoever may do `audit.gc`")
        found = await self.collector.collect(
            Order(who, lambda target: self._may_collect(who, target), asked.after, asked.dry_run)
        )
        for each in found.recordings:
            if each.outcome == "deleted":
                _log.warning("recording.deleted", session=each.session, by=spoken(who.user, who.on_behalf_of))
        return found

    def _may_collect(self, who: Principal, target: str) -> str:
        known = self.services.targets.get(target)
        if known is None:
            return f"its target `{target}` is not configured any more: nobody can be allowed to delete it"
        allowed = isinstance(self.services.judge().may_collect(who, known), Allow)
        return "" if allowed else "you may not delete recordings of its target"

    async def _check_may_hold(self, who: Principal, session: str) -> None:
        """Raises `Denied`, or `Unknown` where `who` may not even know of the session."""
        view = await self.services.stored.get(SessionId(session))
        if self._may_hold(who, view.target, owner_of(view)):
            return
        if not may_view(self.services, who, view.target, owner_of(view)):
            raise Unknown(f"there is no session `{session}`", "`hoopx sessions ls` lists those that you may see")
        raise Denied(f"you may not hold the recording of `{session}`, nor release it", "ask who may do `audit.hold`")

    def _may_hold(self, who: Principal, target: str, owner: Owner) -> bool:
        known = self.services.targets.get(target)
        return known is not None and isinstance(self.services.judge().may_hold(who, known, owner), Allow)

    async def _may_know(self, who: Principal, hold: HoldView) -> bool:
        view = await self.services.stored.get(SessionId(hold.session))
        owner = owner_of(view)
        return self._may_hold(who, view.target, owner) or may_view(self.services, who, view.target, owner)

    async def _tell_store(self) -> None:
        try:
            await self.spool.tell_holds()
        except HoopxError as error:  # the queue goes on with it
            _log.warning("recordings.hold_not_told", why=error.message)
