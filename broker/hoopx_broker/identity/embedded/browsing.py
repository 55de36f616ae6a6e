"""What all pages have in common: their cookie, forms that are ours, and refusals as a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hoopx_broker.identity.embedded import pages
from hoopx_broker.identity.embedded.forms import field, read_form
from hoopx_broker.identity.embedded.neighbours import network_of
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.visits import LIFE, Visit, Visits
from hoopx_broker.pages.frame import headers
from hoopx_broker.pages.origin import is_own_form

# Only this host, only by TLS, never to scripts, never from another site's link or form.
COOKIE = "__Host-hoopx-login"
LOST = "This page is too old, or was opened in another browser."

Page = Callable[[Request], Awaitable[Response]]


def peer(request: Request) -> str:
    """The address at the other end of the connection: never one that a header claims."""
    return request.client.host if request.client is not None else "an unknown address"


def near(request: Request) -> str:
    """The peer as bounds count it."""
    return network_of(peer(request))


async def own_form(request: Request, url: str) -> dict[str, str]:
    """A form of one of our own pages: browsers name the origin of the page with every form that they post."""
    if not is_own_form(request.headers, url):
        raise OAuthError("invalid_request", "This form came from another site.", 403)
    return await read_form(request)


def visit_of(request: Request, form: dict[str, str], visits: Visits) -> Visit:
    """The visit that this form belongs to. Raises `OAuthError`."""
    visit = visits.find(request.cookies.get(COOKIE, ""), field(form, "token"))
    if visit is None:
        raise OAuthError("invalid_request", LOST)
    return visit


def in_pages(page: Page) -> Page:
    """Refusals as a page for people."""

    async def shown(request: Request) -> Response:
        try:
            return await page(request)
        except OAuthError as refusal:
            return html(pages.trouble(refusal.description), refusal.status)

    return shown


def html(text: str, status: int = 200, cookie: str | None = None, posts_to: str = "") -> HTMLResponse:
    """A page; `cookie` sets the visit's cookie, an empty one takes it away.

    `posts_to` is where the answer to its form leads besides here: browsers hold redirects to it, too.
    """
    response = HTMLResponse(text, status, headers(posts_to))
    if cookie is not None:
        set_cookie(response, cookie)
    return response


def set_cookie(response: Response, cookie: str) -> None:
    life = int(LIFE) if cookie else 0
    response.set_cookie(COOKIE, cookie, life, path="/", secure=True, httponly=True, samesite="strict")
