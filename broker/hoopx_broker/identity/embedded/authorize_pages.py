"""The way of a person whom a program on their machine sent here: who they are, and whether the program may go on."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import pages
from hoopx_broker.identity.embedded.authorization import PAGES, Authorization, read_authorization, read_back
from hoopx_broker.identity.embedded.browsing import COOKIE, LOST, html, in_pages, own_form, set_cookie, visit_of
from hoopx_broker.identity.embedded.forms import field, fields_of, read_form
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.sign_in import SignIn

_QUIET = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


class ForProgram(Struct, frozen=True):
    """The errand of somebody whom a program sent here."""

    issuer: Embedded
    asked: Authorization

    def question(self, token: str, person: Person, browser_at: str) -> HTMLResponse:
        """Always asked: anybody may start a program on a machine, or make its browser open an address."""
        program = self.asked.client, self.asked.back.host, self.issuer.host
        request = pages.Program(*program, person.name, person.came_through)
        return html(pages.allow_program(token, request), posts_to=_sources(self.asked))


class ForPages(Struct, frozen=True):
    """The errand of somebody who wants to read a page of this very broker: there is nothing more to ask.

    The answer leads to our own address alone, and counts there for the browser alone that began.
    """

    issuer: Embedded
    asked: Authorization

    def question(self, token: str, person: Person, browser_at: str) -> Response:
        return RedirectResponse(self.asked.back.with_code(self.issuer.grants.grant(self.asked, person)), 303, _QUIET)


class AuthorizePages:
    """`/oidc/authorize` and what is asked at its end."""

    def __init__(self, issuer: Embedded, sign_in: SignIn) -> None:
        self._issuer = issuer
        self._sign_in = sign_in

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/authorize", in_pages(self.begin), methods=["GET"]),
            Route("/oidc/authorize", in_pages(self.begin_by_form), methods=["POST"]),
            Route("/oidc/authorize/confirm", in_pages(self.answer), methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        return self._begin(request, fields_of(request.url.query))

    async def begin_by_form(self, request: Request) -> Response:
        return self._begin(request, await read_form(request))

    def _begin(self, request: Request, params: Mapping[str, str]) -> Response:
        back = read_back(params, self._issuer.client_id, self._issuer.url)
        try:
            asked = read_authorization(params, back)
        except OAuthError as refusal:
            return _redirect(back.with_error(refusal.code, refusal.description))
        errand = ForPages if asked.client == PAGES else ForProgram
        return self._sign_in.begin(request, errand(self._issuer, asked))

    async def answer(self, request: Request) -> Response:
        form = await own_form(request, self._issuer.url)
        visit = visit_of(request, form, self._issuer.visits)
        if visit.person is None or not isinstance(visit.errand, ForProgram):
            raise OAuthError("invalid_request", LOST)
        self._issuer.visits.end(request.cookies[COOKIE])
        asked = visit.errand.asked
        if field(form, "answer") != "allow":
            return _redirect(asked.back.with_error("access_denied", "the person said no"))
        return _redirect(asked.back.with_code(self._issuer.grants.grant(asked, visit.person)))


def _sources(asked: Authorization) -> str:
    """Where the answer to the form leads, in the words of a content security policy.

    It knows no numbers of IPv6: there it says the port alone.
    """
    host = asked.back.host
    return f"http://*:{asked.back.port}" if host.startswith("[") else f"http://{host}"


def _redirect(address: str) -> Response:
    """By GET, whatever came before (303); nothing of it is kept, and the visit is over."""
    response = RedirectResponse(address, 303, _QUIET)
    set_cookie(response, "")
    return response
