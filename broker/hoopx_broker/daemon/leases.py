"""The calls about leases: who has which, and the emergency brake."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import get_args

import structlog
from msgspec import Struct

from hoopx_broker.api.messages import LeaseRevoked, LeaseView, RevokeLeases
from hoopx_broker.credentials.holdings import EVERY, Holding, Holdings, Wanted
from hoopx_broker.seams.judge import Judge
from hoopx_broker.session.called_off import CalledOff
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.storage import events
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import BadInput, Unknown
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.leases import Lease, LeaseState
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Allow
from hoopx_broker.terms.targets import Target

# Somebody stands at the brake and wants to know. Below the CLI's patience for one call; a source that takes longer is
# tried on without them.
WAIT_SECONDS = 15.0
MAX_LISTED = 1_000
MAX_LOOKED_THROUGH = 1_000
MAX_REASON = 2_000
MAX_NAMED = 1_000

_log = structlog.get_logger()


class Leases(Struct, frozen=True):
    """What these calls work with."""

    services: Services
    sessions: Sessions
    holdings: Holdings
    called_off: CalledOff

    async def seen(self, who: Principal, query: Mapping[str, str], limit: int) -> dict[str, list[LeaseView]]:
        """Those that are not over, all of them judged one by one; with `all` the newest that are, too."""
        found = await self.holdings.find(_asked(query))
        rights = _Rights(self.services, who)
        due = self.services.keeper.due
        seen = [_view(each, due(each.lease.id)) for each in found if rights.sees(each)]
        return {"leases": seen[: limit or MAX_LISTED]}

    async def revoke(self, who: Principal, asked: RevokeLeases) -> dict[str, list[LeaseRevoked]]:
        """End the sessions of these leases and revoke them, now. What is not confirmed in time goes on by itself."""
        wanted, why = _meant(asked), _why(who, asked.reason)
        rights = _Rights(self.services, who)
        found = [each for each in await self.holdings.find(wanted) if rights.sees(each) or rights.revokes(each)]
        self._check_known(who, asked, found)
        chosen = [each for each in found if rights.revokes(each)]
        _log.warning("leases.revoked", by=spoken(who.user, who.on_behalf_of), leases=len(chosen), why=why)
        for each in chosen:  # they end even where that cannot be written down now
            self.services.chronicle.note_surely(_called_off(self.services.clock(), who, each, asked.reason))
        after = await self._pull(chosen, why)
        return {"leases": [_told(after.get(each.lease.id)) if each in chosen else _denied(each) for each in found]}

    async def _pull(self, chosen: Sequence[Holding], why: str) -> dict[str, Holding]:
        """All at once, and each to its end whether or not somebody waits for it."""
        ending = [self.services.crew.start(self._end(each.lease, why), "revoking") for each in chosen]
        if ending:
            await asyncio.wait(ending, timeout=WAIT_SECONDS)
        names = tuple(each.lease.id for each in chosen)
        after = await self.holdings.find(Wanted(names, ended=True)) if names else ()
        return {each.lease.id: each for each in after}

    async def _end(self, lease: Lease, why: str) -> None:
        self.called_off.call_off(lease.id, why)
        session = self.sessions.by_id(lease.session)
        if session is not None and session.lease == lease.id:
            await session.end(why)
            return
        # It may be at another broker, and may be about to open there: asked again when no session can begin with it.
        await self.services.stored.ask_end(SessionId(lease.session), why)
        await self.services.keeper.end(lease.id)
        await self.services.stored.ask_end(SessionId(lease.session), why)

    def _check_known(self, who: Principal, asked: RevokeLeases, found: Sequence[Holding]) -> None:
        """A name that was mistyped must not look like a brake that was pulled."""
        here = {each.lease.id for each in found}
        if strangers := [name for name in asked.leases if name not in here]:
            raise Unknown(f"there is no lease `{strangers[0]}`", "`hoopx leases ls` lists those that you may see")
        if asked.target and not found:
            target_for(self.services, who, asked.target)


class _Rights:
    """What one identity may do with leases, each question asked once."""

    def __init__(self, services: Services, who: Principal) -> None:
        self._targets = services.targets
        self._judge: Judge = services.judge()
        self._who = who
        self._known: dict[tuple[object, ...], bool] = {}

    def sees(self, holding: Holding) -> bool:
        return self._ask("view", holding)

    def revokes(self, holding: Holding) -> bool:
        return self._ask("revoke", holding)

    def _ask(self, what: str, holding: Holding) -> bool:
        target = self._target(holding)
        key = (what, target.name, tuple(target.labels.items()), holding.owner)
        if key not in self._known:
            may = self._judge.may_view_lease if what == "view" else self._judge.may_revoke_lease
            self._known[key] = isinstance(may(self._who, target, holding.owner), Allow)
        return self._known[key]

    def _target(self, holding: Holding) -> Target:
        """Leases of a target that was taken out of the configuration are those that somebody has to look after."""
        return self._targets.get(holding.lease.target) or holding.target_then()


def _asked(query: Mapping[str, str]) -> Wanted:
    ended = query.get("all") == "true" or query.get("state") == "ended"
    return Wanted(
        target=query.get("target", ""),
        user=query.get("user", ""),
        session=query.get("session", ""),
        state=_state(query.get("state", "")),
        ended=ended,
        # Those that others had must not push one's own off the list, so more are looked through than are shown.
        limit=MAX_LOOKED_THROUGH if ended else EVERY,
    )


def _state(name: str) -> LeaseState | None:
    for state in get_args(LeaseState):
        if name == state:
            return state  # type: ignore[no-any-return]
    if name:
        known = ", ".join(get_args(LeaseState))
        raise BadInput(f"`{name}` is no state of a lease", f"use one of {known}")
    return None


def _meant(asked: RevokeLeases) -> Wanted:
    """What is to be revoked. Raises `BadInput` where that could be more than was meant."""
    ways = [bool(asked.leases), bool(asked.target or asked.user), asked.everything]
    if ways.count(True) != 1:
        raise BadInput("it is not clear which leases to revoke", "name leases, or a target or user, or all")
    if len(asked.leases) > MAX_NAMED:
        raise BadInput(f"more than {MAX_NAMED} leases are named", "revoke them by their target or user")
    return Wanted(asked.leases, asked.target, asked.user, ended=bool(asked.leases))


def _why(who: Principal, reason: str) -> str:
    """As it reaches the terminals of those who are cut off, so it must be nothing but text."""
    if len(reason) > MAX_REASON:
        raise BadInput(f"the reason has more than {MAX_REASON} characters", "shorten it")
    if not reason.isprintable():
        raise BadInput("the reason has control characters", "write it as plain text on one line")
    by = f"its lease was revoked by `{spoken(who.user, who.on_behalf_of)}`"
    return f"{by}: {reason}" if reason else by


def _called_off(at: float, who: Principal, holding: Holding, reason: str) -> Event:
    lease, holder = holding.lease, spoken(holding.owner.user, holding.owner.on_behalf_of)
    about = {"target": lease.target, "session": lease.session, "lease": lease.id}
    return events.happened(at, "lease.called_off", **events.by(who), **about, holder=holder, reason=reason)


def _view(holding: Holding, due: float | None) -> LeaseView:
    lease, owner = holding.lease, holding.owner
    return LeaseView(
        id=lease.id,
        target=lease.target,
        source=lease.source,
        user=owner.user,
        session=lease.session,
        state=lease.state,
        created_at=holding.created_at,
        expires_at=lease.expires_at,
        ended_at=holding.ended_at,
        attempts=lease.attempts,
        last_error=lease.last_error or "",
        next_attempt=due or 0,
        fades_at=lease.fades_at or 0,
        on_behalf_of=owner.on_behalf_of,
        issuer=holding.issuer,
        login=lease.user,
        handle=lease.handle,
    )


def _told(holding: Holding | None) -> LeaseRevoked:
    assert holding is not None  # no row of a lease is ever deleted
    if holding.lease.state == "ended":
        return _outcome(holding, "revoked")
    if holding.lease.fades_at is not None:
        return _outcome(holding, "queued", "its source cannot call it back: it ends by itself")
    return _outcome(holding, "queued", holding.lease.last_error or "its source has not confirmed it yet")


def _denied(holding: Holding) -> LeaseRevoked:
    return _outcome(holding, "denied", "policy lets you see it, but not revoke it")


def _outcome(holding: Holding, outcome: str, why: str = "") -> LeaseRevoked:
    lease, owner = holding.lease, holding.owner
    return LeaseRevoked(lease.id, lease.target, owner.user, outcome, why, lease.session, owner.on_behalf_of)
