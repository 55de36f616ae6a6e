"""The way of a person through the pages: code, password, confirmation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from hoopx_broker.identity.embedded import pages
from hoopx_broker.identity.embedded.codes import Asked, in_groups
from hoopx_broker.identity.embedded.endpoints import peer
from hoopx_broker.identity.embedded.forms import field, read_form
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.visits import LIFE, Visit
from hoopx_broker.terms.settings import LocalUser

# Only this host, only by TLS, never to scripts, never from another site's link or form.
COOKIE = "__Host-hoopx-login"
LOST = "This page is too old, or was opened in another browser."
OVER = "The code has ended, or was answered already."
TOO_OFTEN = "Too many failures. Try again in some minutes."

MAX_USER = 256  # the longest e-mail address has 254 characters

Page = Callable[[Request], Awaitable[HTMLResponse]]


class DevicePages:
    """`/oidc/device` and the two steps behind it."""

    def __init__(self, issuer: Embedded) -> None:
        self._issuer = issuer

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/device", self.show, methods=["GET"]),
            Route("/oidc/device", _in_pages(self.enter_code), methods=["POST"]),
            Route("/oidc/device/login", _in_pages(self.log_in), methods=["POST"]),
            Route("/oidc/device/confirm", _in_pages(self.answer), methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The first page. A code in the link is only typed for the person: they still press the button."""
        return _page(pages.enter_code(request.query_params.get("user_code", "")[:20]))

    async def enter_code(self, request: Request) -> HTMLResponse:
        form = await self._own_form(request)
        if self._issuer.guesses.is_shut(peer(request)):
            return _page(pages.enter_code(wrong=TOO_OFTEN), 429)
        asked = self._issuer.codes.find(field(form, "user_code"))
        if asked is None:
            self._issuer.guesses.failed(peer(request))
            return _page(pages.enter_code(wrong="No device waits under this code."), 400)
        cookie, visit = self._issuer.visits.begin(asked.user_code)
        return _page(pages.enter_password(visit.token), cookie=cookie)

    async def log_in(self, request: Request) -> HTMLResponse:
        form = await self._own_form(request)
        visit = self._visit(request, form)
        name = field(form, "user")[:MAX_USER]
        if self._has_failed_too_often(name, request):
            return _page(pages.enter_password(visit.token, name, TOO_OFTEN), 429)
        user = await self._check_password(name, field(form, "password"), request)
        if user is None:
            return _page(pages.enter_password(visit.token, name, "User name or password is wrong."), 400)
        asked = self._waiting(visit)
        self._issuer.visits.end(request.cookies[COOKIE])
        cookie, visit = self._issuer.visits.begin(asked.user_code, user.name)
        return _page(pages.confirm(visit.token, self._question(asked, user.name, request)), cookie=cookie)

    async def answer(self, request: Request) -> HTMLResponse:
        form = await self._own_form(request)
        visit = self._visit(request, form)
        if visit.user is None:
            return _page(pages.trouble(LOST), 400)
        self._issuer.visits.end(request.cookies[COOKIE])
        if field(form, "answer") != "allow":
            self._issuer.codes.decline(visit.user_code)
            return _page(pages.refused(), cookie="")
        if not self._issuer.codes.approve(visit.user_code, visit.user):
            return _page(pages.trouble(OVER), 400)
        return _page(pages.allowed(visit.user), cookie="")

    async def _own_form(self, request: Request) -> dict[str, str]:
        """A form of one of our own pages: browsers name the origin of the page with every form that they post."""
        origin = request.headers.get("origin")
        ours = {urlsplit(self._issuer.url).netloc, request.headers.get("host", "")}
        if origin is not None and (not origin.startswith("https://") or origin.removeprefix("https://") not in ours):
            raise OAuthError("invalid_request", "This form came from another site.", 403)
        return await read_form(request)

    def _visit(self, request: Request, form: dict[str, str]) -> Visit:
        visit = self._issuer.visits.find(request.cookies.get(COOKIE, ""), field(form, "token"))
        if visit is None:
            raise OAuthError("invalid_request", LOST)
        return visit

    def _waiting(self, visit: Visit) -> Asked:
        asked = self._issuer.codes.find(visit.user_code)
        if asked is None:
            raise OAuthError("invalid_request", OVER)
        return asked

    def _has_failed_too_often(self, name: str, request: Request) -> bool:
        return self._issuer.failures.is_shut(name) or self._issuer.failures_from.is_shut(peer(request))

    async def _check_password(self, name: str, password: str, request: Request) -> LocalUser | None:
        """Failures are counted before the slow check and forgiven after it: tries side by side count too."""
        self._issuer.failures.failed(name)
        self._issuer.failures_from.failed(peer(request))
        user = await self._issuer.people.check(name, password)
        if user is not None:
            self._issuer.failures.forgive(name)
            self._issuer.failures_from.forgive(peer(request))
        return user

    def _question(self, asked: Asked, user: str, request: Request) -> pages.Question:
        waiting = int(self._issuer.clock() - asked.asked_at)
        return pages.Question(asked.client, in_groups(asked.user_code), asked.peer, peer(request), waiting, user)


def _in_pages(page: Page) -> Page:
    """Refusals as a page for people."""

    async def shown(request: Request) -> HTMLResponse:
        try:
            return await page(request)
        except OAuthError as refusal:
            return _page(pages.trouble(refusal.description), refusal.status)

    return shown


def _page(html: str, status: int = 200, cookie: str | None = None) -> HTMLResponse:
    """A page; `cookie` sets the visit's cookie, an empty one takes it away."""
    response = HTMLResponse(html, status, pages.HEADERS)
    if cookie is not None:
        life = int(LIFE) if cookie else 0
        response.set_cookie(COOKIE, cookie, life, path="/", secure=True, httponly=True, samesite="strict")
    return response
