"""The calls about requests: what is asked of people, who sees it, and what they say."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from hoopx_broker.api.messages import AskFor, AskToUnmask, RequestView, Vote
from hoopx_broker.approvals.refusals import not_an_approver
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.permits import ask_for_session, denial, duration_of
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.terms.errors import BadInput, Denied, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny

# A long poll ends before the idle limits of common proxies; the CLI asks again.
MAX_POLL_SECONDS = 50


class Requests(Struct, frozen=True):
    """What these calls work with."""

    services: Services
    opening: Opening

    async def ask(self, who: Principal, asked: AskFor) -> RequestView:
        """For a session. Raises `Denied` where nobody could agree, `BadInput` where nobody need."""
        target = target_for(self.services, who, asked.target)
        seconds = duration_of(asked.duration, target)
        now = Circumstances(int(self.services.clock()) // 60 * 60, asked.reason, asked.ticket, seconds)
        ruling = self.services.judge().opening(who, target, now)
        match ruling:
            case Allow():
                raise BadInput(f"a session on `{target.name}` needs no approval", f"run `hoopx connect {target.name}`")
            case Deny():
                raise Denied(denial(ruling, f"a session on `{target.name}`"), ruling.hint)
            case Ask():
                return await ask_for_session(self.services, who, target, now, ruling, asked.wait)

    async def ask_to_unmask(self, who: Principal, asked: AskToUnmask) -> RequestView:
        return await self.opening.ask_to_unmask(asked, who)

    async def listed(self, who: Principal, query: Mapping[str, str]) -> dict[str, list[RequestView]]:
        """Theirs, and those that they may decide."""
        views = await self.services.desk.list(state=query.get("state"), viewer=who)
        return {"requests": list(views)}

    async def one(self, who: Principal, id_: RequestId, wait: int) -> RequestView:
        """Whoever knows the id of a request was told of it: it is no secret that it is there, only what it says."""
        desk = self.services.desk
        try:
            view = await desk.get(id_, who)
        except Unknown:
            raise not_an_approver(await desk.get(id_), who) from None
        return await desk.wait(id_, wait) if wait else view

    async def say(self, who: Principal, id_: RequestId, verdict: str, vote: Vote) -> RequestView:
        match verdict:
            case "approve" | "deny":
                view = await self.services.desk.vote(id_, who, verdict, vote.comment)
            case "cancel":
                view = await self.services.desk.cancel(id_, who)
            case _:
                raise Unknown("there is no such call", "upgrade hoopx")
        if view.kind == "unmask":  # who is told that it is approved, or over, finds it so
            await self.opening.unmaskings.refresh()
        return view
