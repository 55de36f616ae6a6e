"""The way of a person with a code in hand: the code, who they are, and a last look at who asks."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hoopx_broker.identity.embedded import pages
from hoopx_broker.identity.embedded.browsing import COOKIE, LOST, html, in_pages, near, own_form, visit_of
from hoopx_broker.identity.embedded.codes import in_groups
from hoopx_broker.identity.embedded.forms import field
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.sign_in import TOO_OFTEN, SignIn

OVER = "The code has ended, or was answered already."


class ForDevice(Struct, frozen=True):
    """The errand of somebody who typed the code of a device that waits."""

    issuer: Embedded
    user_code: str

    def question(self, token: str, person: Person, browser_at: str) -> HTMLResponse:
        asked = self.issuer.codes.find(self.user_code)
        if asked is None:
            raise OAuthError("invalid_request", OVER)
        waiting = int(self.issuer.clock() - asked.asked_at)
        code = in_groups(asked.user_code)
        question = pages.Question(
            asked.client, self.issuer.host, code, asked.peer, browser_at, waiting, person.name, person.came_through
        )
        return html(pages.confirm(token, question))


class DevicePages:
    """`/oidc/device` and what is asked at its end."""

    def __init__(self, issuer: Embedded, sign_in: SignIn) -> None:
        self._issuer = issuer
        self._sign_in = sign_in

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/device", self.show, methods=["GET"]),
            Route("/oidc/device", in_pages(self.enter_code), methods=["POST"]),
            Route("/oidc/device/confirm", in_pages(self.answer), methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The first page. A code in the link is only typed for the person: they still press the button."""
        return html(pages.enter_code(request.query_params.get("user_code", "")[:20]))

    async def enter_code(self, request: Request) -> Response:
        form = await own_form(request, self._issuer.url)
        if self._issuer.guesses.is_shut(near(request)):
            return html(pages.enter_code(wrong=TOO_OFTEN), 429)
        asked = self._issuer.codes.find(field(form, "user_code"))
        if asked is None:
            self._issuer.guesses.failed(near(request))
            return html(pages.enter_code(wrong="No device waits under this code."), 400)
        return self._sign_in.begin(request, ForDevice(self._issuer, asked.user_code))

    async def answer(self, request: Request) -> Response:
        form = await own_form(request, self._issuer.url)
        visit = visit_of(request, form, self._issuer.visits)
        if visit.person is None or not isinstance(visit.errand, ForDevice):
            raise OAuthError("invalid_request", LOST)
        self._issuer.visits.end(request.cookies[COOKIE])
        if field(form, "answer") != "allow":
            self._issuer.codes.decline(visit.errand.user_code)
            return html(pages.refused(), cookie="")
        if not self._issuer.codes.approve(visit.errand.user_code, visit.person):
            raise OAuthError("invalid_request", OVER)
        return html(pages.allowed(visit.person.name), cookie="")
