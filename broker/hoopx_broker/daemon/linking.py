"""The routes under `/notify`: calls of receivers, and the page on which an account of theirs is linked."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.daemon.clerk import LinkedClerk, linked_as
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.daemon.pages.trouble import Trouble, in_pages
from hoopx_broker.daemon.pages.words import code, person
from hoopx_broker.identity.visiting.visits import Visit, is_form_of
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.seams.notifier import Account, Call, Hears

MAX_CALL = 256 * 1024  # a click brings the whole message along

_OVER = "This link was used, is older than ten minutes, or a newer one was given. Click again there."

_log = structlog.get_logger()


class Answerable(Struct, frozen=True):
    """A notifier that people answer through."""

    notifier: Hears
    clerk: LinkedClerk
    accounts: Accounts


class Linking(Struct, frozen=True):
    """`answerable` by name."""

    answerable: Mapping[str, Answerable]
    signing_in: SigningIn

    def routes(self) -> list[Route]:
        paper = self.signing_in.paper
        return [
            Route("/notify/{name}/link/{code}", in_pages(paper, self._show), methods=["GET"]),
            Route("/notify/{name}/link/{code}", in_pages(paper, self._link), methods=["POST"]),
            Route("/notify/{name}/{hears}", self._hear, methods=["POST"]),
        ]

    async def _hear(self, request: Request) -> Response:
        found = self.answerable.get(request.path_params["name"])
        if found is None or found.notifier.hears != request.path_params["hears"]:
            return Response("there is nothing here\n", 404, media_type="text/plain")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_CALL:
                return Response("this call is too large\n", 413, media_type="text/plain")
        reply = await found.notifier.hear(Call(dict(request.headers), bytes(body)), found.clerk)
        if reply.status >= 400:
            _log.info("notifier.call_refused", notifier=request.path_params["name"], status=reply.status)
        return Response(reply.body, reply.status, media_type=reply.media_type)

    async def _show(self, request: Request) -> Response:
        visit = await self.signing_in.visit(request)
        if visit is None:
            return self.signing_in.ask(request)
        account = await self._accounts(request).invited(request.path_params["code"])
        if account is None:
            raise Trouble(_OVER, 404)
        return self._page("Link an account", _question(account, visit), visit)

    async def _link(self, request: Request) -> Response:
        """A form of another site must not link its account to who is signed in here."""
        form, visit = await self.signing_in.own_form(request), await self.signing_in.visit(request)
        if visit is None:
            return self.signing_in.ask(request)
        if not is_form_of(visit, form.get("form", "")):
            raise Trouble("This page was of an earlier login, so nothing was done. Click again there.", 409)
        account = await self._accounts(request).link(request.path_params["code"], linked_as(visit.identity))
        if account is None:
            raise Trouble(_OVER, 404)
        who, name = visit.identity.who.user, request.path_params["name"]
        _log.info("notifier.account_linked", notifier=name, account=account.id, user=who)
        return self._page("Linked", _linked(account), visit)

    def _accounts(self, request: Request) -> Accounts:
        found = self.answerable.get(request.path_params["name"])
        if found is None:
            raise Trouble("Nobody answers requests through a notifier of that name.", 404)
        return found.accounts

    def _page(self, title: str, body: Markup, visit: Visit) -> Response:
        return self.signing_in.paper.page(title, body, top=self.signing_in.top(visit), wide=False)


def _question(account: Account, visit: Visit) -> Markup:
    return Markup(
        "<h1>Is this account yours?</h1><p><b>{}</b> asks to answer requests in your name, <b>{}</b>.</p>"
        '<p class="note">Go on only if you clicked a button there yourself, a minute ago. Whoever else sent you this'
        ' link wants to approve in your name.</p><form method="post"><input type="hidden" name="form" value="{}">'
        "<button>Yes, this account is mine</button></form>"
    ).format(_shown(account), person(visit.identity.who.user), visit.form)


def _linked(account: Account) -> Markup:
    return Markup("<h1>Linked</h1><p><b>{}</b> is you from now on. Go back, and answer there.</p>").format(
        _shown(account)
    )


def _shown(account: Account) -> Markup:
    return code(account.shown or account.id)
