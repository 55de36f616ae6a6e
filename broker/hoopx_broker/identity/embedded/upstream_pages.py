"""The way of a person to a provider of their organisation and back."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.browsing import COOKIE, LOST, Page, html, in_pages, near, own_form, visit_of
from hoopx_broker.identity.embedded.forms import fields_of, read_form
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.sign_in import SignIn
from hoopx_broker.identity.embedded.upstream.trips import ANSWER_LIFE, Trip
from hoopx_broker.identity.embedded.upstream.ways import Way
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.pages.frame import onward
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.settings import SamlUpstream

# As the visit's cookie: only this host, never to scripts, never with a request that another site began.
TICKET = "__Host-hoopx-arrival"
NEXT = "/oidc/continue"
MAX_ANSWER = 300_000  # a SAML response at its bound of 192 KB, in base64 and in a form
MAX_QUERY = 16_384  # an answer of OpenID Connect: a code, a state and an issuer


class UpstreamPages:
    """For each upstream a way out and a way back, and one page where they all go on."""

    def __init__(self, issuer: Embedded, sign_in: SignIn) -> None:
        self._issuer = issuer
        self._ways = issuer.ways
        self._sign_in = sign_in

    def routes(self) -> list[Route]:
        if not self._ways.all:
            return []
        of_each = [route for way in self._ways.all for route in self._routes(way)]
        return [*of_each, Route(NEXT, in_pages(self.go_on), methods=["GET"])]

    def _routes(self, way: Way) -> list[Route]:
        at = f"/oidc/upstream/{way.upstream.slug}"
        back = "POST" if isinstance(way.upstream, SamlUpstream) else "GET"
        routes = [
            Route(at, in_pages(self._out(way)), methods=["POST"]),
            Route(f"{at}/callback", in_pages(self._back(way)), methods=[back]),
        ]
        if way.metadata is not None:
            routes.append(Route(f"{at}/metadata", _metadata(way.metadata), methods=["GET"]))
        return routes

    def _out(self, way: Way) -> Page:
        async def leave(request: Request) -> Response:
            form = await own_form(request, self._issuer.url)
            visit = visit_of(request, form, self._issuer.visits)
            trip = self._ways.trips.begin(way.upstream.slug, request.cookies[COOKIE], visit.token, near(request))
            try:
                url = await way.provider.way_out(trip)
            except Unreachable as error:
                raise self._unreachable(way, error) from None
            return html(onward(url, way.upstream.name))

        return leave

    def _back(self, way: Way) -> Page:
        async def arrive(request: Request) -> Response:
            answer = await read_form(request, MAX_ANSWER) if request.method == "POST" else _query(request)
            state = answer.get("state") or answer.get("RelayState") or ""
            trip = self._ways.trips.find(way.upstream.slug, state)
            if trip is None or not way.provider.is_answer(trip, answer):
                raise OAuthError("invalid_request", LOST)
            response = html(onward(NEXT, "the broker"))
            _set_ticket(response, self._ways.trips.arrive(trip, answer))
            return response

        return arrive

    async def go_on(self, request: Request) -> Response:
        """Here only the browser gets on that began the trip, and that its answer came to."""
        cookie = request.cookies.get(COOKIE, "")
        taken = self._ways.trips.take(request.cookies.get(TICKET, ""), cookie)
        visit = self._issuer.visits.find(cookie, taken[0].token) if taken is not None else None
        if taken is None or visit is None:
            raise OAuthError("invalid_request", LOST)
        person = await self._person(*taken)
        response = self._sign_in.signed_in(request, visit, person)
        _set_ticket(response, "")
        return response

    async def _person(self, trip: Trip, answer: Mapping[str, str]) -> Person:
        way = next(way for way in self._ways.all if way.upstream.slug == trip.upstream)
        label = way.upstream.name
        try:
            return self._ways.person(way, await way.provider.prove(trip, dict(answer)))
        except NotAccepted as refusal:
            self._ways.note(f"answer of `{label}` refused: {refusal}")
            raise OAuthError("access_denied", f"The answer of {label} is not accepted.", 403) from None
        except Declined as no:
            self._ways.note(f"`{label}` declined: {no.code}")
            raise OAuthError("access_denied", f"{label} did not let you in: {no.code}.", 403) from None
        except Unreachable as error:
            raise self._unreachable(way, error) from None

    def _unreachable(self, way: Way, error: Unreachable) -> OAuthError:
        self._ways.note(f"`{way.upstream.name}` cannot be asked: {error.message}")
        return OAuthError("temporarily_unavailable", f"{way.upstream.name} cannot be reached now.", 503)


def _query(request: Request) -> dict[str, str]:
    if len(request.url.query) > MAX_QUERY:
        raise OAuthError("invalid_request", LOST)
    return fields_of(request.url.query)


def _metadata(document: str) -> Page:
    async def show(request: Request) -> Response:
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        return Response(document, 200, headers, "application/samlmetadata+xml")

    return show


def _set_ticket(response: Response, ticket: str) -> None:
    life = int(ANSWER_LIFE) if ticket else 0
    response.set_cookie(TICKET, ticket, life, path="/", secure=True, httponly=True, samesite="strict")
