"""The room where people prove who they are; whatever they came for goes on from `signed_in`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import pages
from hoopx_broker.identity.embedded.browsing import COOKIE, html, in_pages, near, own_form, peer, set_cookie, visit_of
from hoopx_broker.identity.embedded.forms import field
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.visits import Errand, Visit

TOO_OFTEN = "Too many failures. Try again in some minutes."

MAX_USER = 256  # the longest e-mail address has 254 characters


class SignIn:
    """`/oidc/login`. Another way to prove who one is stands beside the password and ends in `signed_in` too."""

    def __init__(self, issuer: Embedded) -> None:
        self._issuer = issuer

    def routes(self) -> list[Route]:
        return [Route("/oidc/login", in_pages(self.log_in), methods=["POST"])]

    def begin(self, request: Request, errand: Errand) -> HTMLResponse:
        """The first page for somebody who came for `errand`."""
        cookie, visit = self._issuer.visits.begin(errand, near(request))
        return html(self._page(visit), cookie=cookie)

    async def log_in(self, request: Request) -> Response:
        form = await own_form(request, self._issuer.url)
        visit = visit_of(request, form, self._issuer.visits)
        name = field(form, "user")[:MAX_USER]
        if self._has_failed_too_often(name, request):
            return html(self._page(visit, name, TOO_OFTEN), 429)
        person = await self._check_password(name, field(form, "password"), request)
        if person is None:
            return html(self._page(visit, name, "User name or password is wrong."), 400)
        return self.signed_in(request, visit, person)

    def signed_in(self, request: Request, visit: Visit, person: Person) -> Response:
        """Somebody proved to be `person`: what they came for asks its own question, in a visit of a new name."""
        self._issuer.visits.end(request.cookies.get(COOKIE, ""))
        cookie, known = self._issuer.visits.begin(visit.errand, near(request), person)
        page = visit.errand.question(known.token, person, peer(request))
        set_cookie(page, cookie)
        return page

    def _page(self, visit: Visit, name: str = "", wrong: str = "") -> str:
        """All ways to prove who one is: the password where there are local users, and each upstream."""
        ways = [pages.Elsewhere(way.upstream.slug, way.upstream.name) for way in self._issuer.ways.all]
        return pages.sign_in(visit.token, pages.Typed(name, wrong) if self._issuer.people or not ways else None, ways)

    def _has_failed_too_often(self, name: str, request: Request) -> bool:
        return self._issuer.failures.is_shut(name) or self._issuer.failures_from.is_shut(near(request))

    async def _check_password(self, name: str, password: str, request: Request) -> Person | None:
        """Failures are counted before the slow check and forgiven after it: tries side by side count too."""
        self._issuer.failures.failed(name)
        self._issuer.failures_from.failed(near(request))
        person = await self._issuer.people.check(name, password)
        if person is not None:
            self._issuer.failures.forgive(name)
            self._issuer.failures_from.forgive(near(request))
        return person
