"""The pages of requests: read one, answer it, see what waits."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.api.messages import RequestView, Review, Vote
from hoopx_broker.approvals.bounds import MAX_LINE
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.daemon.pages import all_requests, one_request
from hoopx_broker.daemon.pages.all_requests import Lists
from hoopx_broker.daemon.pages.digest import is_of
from hoopx_broker.daemon.pages.one_request import Reading
from hoopx_broker.daemon.pages.paper import VISIT
from hoopx_broker.daemon.pages.part import doing_of, part_of
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.daemon.pages.trouble import in_pages
from hoopx_broker.daemon.requests import Requests
from hoopx_broker.identity.visiting.visits import Visit, is_form_of
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal

MAX_LISTED = 50


class Pages(Struct, frozen=True):
    """What the pages of requests work with: the calls of the API, made by whoever a visit is of."""

    requests: Requests
    desk: Desk
    clock: Callable[[], float]
    signing_in: SigningIn

    def routes(self) -> list[Route]:
        paper = self.signing_in.paper
        return [
            *self.signing_in.routes(),
            Route("/", in_pages(paper, self._home), methods=["GET"]),
            Route("/requests", in_pages(paper, self._list), methods=["GET"]),
            Route("/requests/{id}", in_pages(paper, self._show), methods=["GET"]),
            Route("/requests/{id}", in_pages(paper, self._answer), methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        return self.signing_in.paper.onward("/requests")

    async def _list(self, request: Request) -> Response:
        visit = await self.signing_in.visit(request)
        if visit is None:
            return self.signing_in.ask(request)
        lists, now = await self._lists(visit.identity.who), self.clock()
        body = all_requests.body_of(lists, now)
        return self.signing_in.paper.page("Requests", body, top=self.signing_in.top(visit))

    async def _lists(self, who: Principal) -> Lists:
        desk = self.desk
        waiting = (await desk.waiting_for(who))[:MAX_LISTED]
        reviews = await desk.list(review="open", viewer=who, limit=MAX_LISTED)
        seen = await desk.list(viewer=who, limit=MAX_LISTED)
        not_theirs = await desk.objections([view.id for view in reviews], who)
        return Lists(
            waiting,
            [view for view in reviews if view.id not in not_theirs],
            [view for view in seen if who.user in (view.requester, view.on_behalf_of)],
        )

    async def _show(self, request: Request) -> Response:
        visit = await self.signing_in.visit(request)
        if visit is None:
            return self.signing_in.ask(request)
        view = await self._seen(request, visit.identity.who)
        return await self._page(visit, view, _kept(request, visit))

    async def _answer(self, request: Request) -> Response:
        form = await self.signing_in.own_form(request)
        comment, visit = form.get("comment", "").replace("\r\n", "\n"), await self.signing_in.visit(request)
        if visit is None:
            return self.signing_in.ask(request, comment)
        who, view = visit.identity.who, await self._seen(request, visit.identity.who)
        if not is_form_of(visit, form.get("form", "")):
            return await self._page(visit, view, comment, _EARLIER, 409)
        if doing_of(view) != "nothing" and not is_of(view, form.get("seen", "")):
            return await self._page(visit, view, comment, _CHANGED, 409)
        try:
            await self._say(who, RequestId(view.id), form.get("answer", ""), comment)
        except HoopxError as error:
            status = 409 if type(error) is BadInput and len(comment) <= MAX_LINE else error.http_status
            fresh = await self._seen(request, who)
            return await self._page(visit, fresh, comment, f"{error.message}; {error.hint}", status)
        await self.signing_in.visits.forget_draft(request.cookies[VISIT])
        return self.signing_in.paper.onward(f"/requests/{view.id}")

    async def _say(self, who: Principal, id_: RequestId, answer: str, comment: str) -> None:
        match answer:
            case "approve" | "deny" | "cancel":
                await self.requests.say(who, id_, answer, Vote(comment))
            case "accept" | "object":
                await self.requests.review(who, id_, Review(answer, comment))
            case _:
                raise Denied("no button of the page was pressed", "press one of them")

    async def _seen(self, request: Request, who: Principal) -> RequestView:
        return await self.requests.one(who, RequestId(request.path_params["id"]), 0)

    async def _page(
        self, visit: Visit, view: RequestView, comment: str, wrong: str = "", status: int = 200
    ) -> Response:
        who = visit.identity.who
        part = part_of(who, view, (await self.desk.objections([view.id], who)).get(view.id))
        past = await self.requests.past(who, RequestId(view.id)) if part.doing != "nothing" else None
        reading = Reading(view, part, past, self.clock(), visit.form, comment, wrong)
        body, top = one_request.body_of(reading), self.signing_in.top(visit)
        return self.signing_in.paper.page(one_request.title_of(view), body, status=status, top=top)


_EARLIER = "This page was of an earlier login, so nothing was sent. Read it again, and press again"
_CHANGED = "The request is not as it was on the page that you answered, so nothing was sent. Read it again"


def _kept(request: Request, visit: Visit) -> str:
    """What they had written here before they had to sign in."""
    return visit.draft.comment if visit.draft.at == request.url.path else ""
