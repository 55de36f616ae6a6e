"""The routes under `/notify`: calls of receivers, and the page on which an account of theirs is linked."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping

import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hoopx_broker.api.visible import visible
from hoopx_broker.daemon.clerk import LinkedClerk, linked_as
from hoopx_broker.identity.identity import Identity
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.pages.frame import headers, page
from hoopx_broker.pages.origin import is_own_form
from hoopx_broker.seams.notifier import Account, Call, Hears
from hoopx_broker.terms.errors import HoopxError

MAX_CALL = 256 * 1024  # a click brings the whole message along
# Who is signed in to the broker's pages; else what a browser is to be shown first.
Visitor = Callable[[Request], Awaitable[Identity | Response]]

_log = structlog.get_logger()


class Answerable(Struct, frozen=True):
    """A notifier that people answer through."""

    notifier: Hears
    clerk: LinkedClerk
    accounts: Accounts


class Linking:
    """`answerable` by name. `public_url` is the only site whose forms count."""

    def __init__(self, answerable: Mapping[str, Answerable], public_url: str, visitor: Visitor) -> None:
        self._answerable = answerable
        self._public_url = public_url
        self._visitor = visitor

    def routes(self) -> list[Route]:
        return [
            Route("/notify/{name}/link/{code}", self._show, methods=["GET"]),
            Route("/notify/{name}/link/{code}", self._link, methods=["POST"]),
            Route("/notify/{name}/{hears}", self._hear, methods=["POST"]),
        ]

    async def _hear(self, request: Request) -> Response:
        found = self._answerable.get(request.path_params["name"])
        if found is None or found.notifier.hears != request.path_params["hears"]:
            return Response("there is nothing here\n", 404, media_type="text/plain")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_CALL:
                return Response("this call is too large\n", 413, media_type="text/plain")
        reply = await found.notifier.hear(Call(dict(request.headers), bytes(body)), found.clerk)
        if reply.status >= 400:
            _log.warning("notifier.call_refused", notifier=request.path_params["name"], status=reply.status)
        return Response(reply.body, reply.status, media_type=reply.media_type)

    async def _show(self, request: Request) -> Response:
        visitor = await self._visitor(request)
        if isinstance(visitor, Response):
            return visitor
        account = await self._invited(request)
        return _page(*_question(account, visitor)) if account is not None else _over()

    async def _link(self, request: Request) -> Response:
        """A form of another site must not link its account to who is signed in here."""
        if request.headers.get("origin") != self._public_url or not is_own_form(request.headers, self._public_url):
            return _page("Not done", "<p>This did not come from a page of the broker.</p>", 403)
        visitor = await self._visitor(request)
        if isinstance(visitor, Response):
            return visitor
        try:
            identity = linked_as(visitor)
        except HoopxError as error:
            return _page("Not done", f"<p>{_shown(error.message)}</p>", error.http_status)
        name = request.path_params["name"]
        found = self._answerable.get(name)
        account = await found.accounts.link(request.path_params["code"], identity) if found is not None else None
        if account is None:
            return _over()
        _log.info("notifier.account_linked", notifier=name, account=account.id, user=visitor.who.user)
        return _page("Linked", f"<p>{_who(account)} is you from now on. Go back, and answer there.</p>")

    async def _invited(self, request: Request) -> Account | None:
        found = self._answerable.get(request.path_params["name"])
        return await found.accounts.invited(request.path_params["code"]) if found is not None else None


def _question(account: Account, identity: Identity) -> tuple[str, str]:
    who = _who(account)
    return "Is this account yours?", (
        f"<p>{who} asks to answer requests in your name, <b>{_shown(identity.who.user)}</b>.</p>"
        "<p><b>Go on only if you clicked the button there yourself, a minute ago.</b>"
        " Whoever sent you this link otherwise wants to approve in your name.</p>"
        '<form method="post"><button>Yes, this account is mine</button></form>'
    )


def _who(account: Account) -> str:
    return f"<b>{_shown(account.shown or account.id)}</b>"


def _shown(text: str) -> str:
    return html.escape(visible(text))


def _over() -> Response:
    return _page(
        "Not here any more", "<p>This link was used, or is older than ten minutes. Click again there.</p>", 404
    )


def _page(title: str, body: str, status: int = 200) -> Response:
    document = page(title, f"<h1>{html.escape(title)}</h1>{body}")
    return HTMLResponse(document, status, headers())
