"""The calls about requests: what is asked of people, who sees it, and what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import (
    AskFor,
    AskToExtend,
    AskToUnmask,
    Listed,
    Past,
    RequestView,
    Review,
    Vote,
)
from hoopx_broker.approvals.matter import speaks_for
from hoopx_broker.approvals.refusals import unknown
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.permits import ask_for_session, denial, duration_of, judged
from hoopx_broker.session.services import Services, may_view, owner_of, target_for
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.errors import BadInput, Denied, Unknown, Unreachable
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny

T = TypeVar("T")

# A long poll ends before the idle limits of common proxies; the CLI asks again.
MAX_POLL_SECONDS = 50
DEFAULT_LISTED, MAX_LISTED = 50, 1_000
BRIEF = 500  # characters of a statement where it is one of many
MAX_PAST = 20  # an approver glances at them
MAX_LOOKED_THROUGH = 200  # for sessions that an approver may know of
MAX_DIGITS = 18  # what SQLite and PostgreSQL count in


class Requests(Struct, frozen=True):
    """What these calls work with."""

    services: Services
    opening: Opening

    async def ask(self, who: Principal, asked: AskFor) -> RequestView:
        """For a session. Raises `Denied` where nobody could agree, `BadInput` where nobody need."""
        target = target_for(self.services, who, asked.target)
        if asked.break_glass:
            hint = f"run `hoopx connect {target.name} --break-glass --reason …`"
            raise BadInput("breaking the glass opens a session at once, so there is nothing to ask for", hint)
        seconds = duration_of(asked.duration, target)
        wanted = Circumstances(int(self.services.clock()) // 60 * 60, asked.reason, asked.ticket, seconds)
        ruling, now = judged(self.services, who, target, wanted, is_length_said=asked.duration > 0)
        match ruling:
            case Allow():
                raise BadInput(f"a session on `{target.name}` needs no approval", f"run `hoopx connect {target.name}`")
            case Deny():
                raise Denied(denial(ruling, f"a session on `{target.name}`"), ruling.hint)
            case Ask():
                return await ask_for_session(self.services, who, target, now, ruling, asked.wait, asked.key)

    async def ask_to_unmask(self, who: Principal, asked: AskToUnmask) -> RequestView:
        return await self.opening.ask_to_unmask(asked, who)

    async def ask_to_extend(self, who: Principal, asked: AskToExtend) -> RequestView:
        return await self.opening.ask_to_extend(asked, who)

    async def listed(self, who: Principal, query: Mapping[str, str], wait: int, since: int) -> Listed:
        """With `wait`, when something happened after journal number `since` that changed the list, or time is over.

        Of what is told, the number is read before the list: what happens between them is told twice, never missed. Of
        what is compared with, it is read after: nothing that the caller was not told is taken for known.
        """
        before = await self._found(who, query) if wait else ()
        cursor = await self.services.desk.changes(-1, 0)
        if not wait or cursor != since:
            return Listed(await self._found(who, query), cursor)
        end = self.services.steady() + wait
        while (left := end - self.services.steady()) > 0:
            cursor = await _while_it_runs(self.services.desk.changes(cursor, left))
            found = await self._found(who, query)
            if found != before:  # else it was something of others
                return Listed(found, cursor)
        return Listed(before, cursor)

    async def _found(self, who: Principal, query: Mapping[str, str]) -> tuple[RequestView, ...]:
        desk, limit = self.services.desk, number(query, "limit", MAX_LISTED) or DEFAULT_LISTED
        if query.get("to_decide") == "true":
            found = [view for view in await desk.waiting_for(who) if _fits(view, query)]
        else:
            is_mine = query.get("mine") == "true"
            given = {name: query[name] for name in ("state", "target", "requester", "review") if query.get(name)}
            listed = await desk.list(**given, viewer=who, limit=MAX_LISTED if is_mine else limit)
            found = [view for view in listed if not is_mine or _is_of(view, who)]
        shown = found[:limit]
        return tuple(map(_brief, shown) if query.get("brief") == "true" else shown)

    async def one(self, who: Principal, id_: RequestId, wait: int) -> RequestView:
        """With `wait`, as soon as it does not wait any more."""
        view = await self._seen(who, id_)
        return await _while_it_runs(self.services.desk.wait(id_, wait)) if wait else view

    async def past(self, who: Principal, id_: RequestId) -> Past:
        """What the requester, and whoever acts for the same human, asked lately; and had, for those who may decide."""
        view = await self._seen(who, id_)
        asked = await self.services.desk.past(id_, who)
        if await self.services.desk.objections([id_], who):
            return Past(asked[:MAX_PAST])
        had = await self.services.stored.list(user=view.on_behalf_of or view.requester, limit=MAX_LOOKED_THROUGH)
        # What somebody had on other targets is told to those only who may look at it anyway.
        seen = [
            each
            for each in had
            if each.target == view.target or may_view(self.services, who, each.target, owner_of(each))
        ]
        return Past(asked[:MAX_PAST], tuple(seen[:MAX_PAST]))

    async def journal(self, who: Principal, id_: RequestId) -> dict[str, tuple[Happening, ...]]:
        await self._seen(who, id_)
        return {"journal": tuple(map(_told, await self.services.desk.journal(id_)))}

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
        if view.kind == "extension":
            await self.opening.extensions.refresh()
            view = await self.services.desk.get(id_)
        return view

    async def review(self, who: Principal, id_: RequestId, word: Review) -> RequestView:
        match word.verdict:
            case "accept" | "object" as verdict:
                return await self.services.desk.review(id_, who, verdict, word.comment)
            case verdict:
                raise BadInput(f"`{verdict}` is no word on what was done", "it is `accept` or `object`")

    async def _seen(self, who: Principal, id_: RequestId) -> RequestView:
        """Whoever knows the id of a request was told of it: it is no secret that it is there, only what it says."""
        try:
            return await self.services.desk.get(id_, who)
        except Unknown:
            objections = await self.services.desk.objections([id_], who)
            raise objections.get(id_) or unknown(id_) from None


def _told(happening: Happening) -> Happening:
    """By which other names somebody is known is for the state alone: numbers of employees, second accounts."""
    details = {name: value for name, value in happening.details.items() if name != "known_as"}
    return replace(happening, details=details)


async def _while_it_runs(waiting: Awaitable[T]) -> T:
    """A broker that stops cancels the calls that wait: whoever asked is told, and asks again."""
    try:
        return await waiting
    except asyncio.CancelledError:
        raise Unreachable("the broker stops", "ask again when it is back") from None


def number(query: Mapping[str, str], name: str, most: int) -> int:
    """A number of a query, 0 where there is none. Raises `BadInput`."""
    text = query.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise BadInput(f"`{name}` is not a number", "upgrade hoopx")
    return min(int(text), most)


def _brief(view: RequestView) -> RequestView:
    """Enough to choose from: statements are long, and so are lists."""
    return replace(view, statement=view.statement[:BRIEF], canonical="", effects=None)


def _fits(view: RequestView, query: Mapping[str, str]) -> bool:
    return all(query.get(name) in (None, "", getattr(view, name)) for name in ("state", "target", "requester"))


def _is_of(view: RequestView, who: Principal) -> bool:
    return speaks_for(who, Principal(view.requester, "human", on_behalf_of=view.on_behalf_of))
