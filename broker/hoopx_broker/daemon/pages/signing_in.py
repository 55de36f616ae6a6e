"""Signing in for the pages: out to an issuer and back, by code and PKCE; the visit that begins; its end."""

from __future__ import annotations

import re

import structlog
from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.approvals.bounds import MAX_LINE
from hoopx_broker.daemon.pages.paper import TRIP, VISIT, Paper, set_cookie
from hoopx_broker.daemon.pages.trouble import Trouble, in_pages
from hoopx_broker.daemon.pages.words import person
from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.browsing import near
from hoopx_broker.identity.embedded.forms import fields_of, read_form
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.openid.code_flow import is_answer
from hoopx_broker.identity.visiting.trips import LIFE, Draft, Trips
from hoopx_broker.identity.visiting.visits import Visit, Visits, is_form_of
from hoopx_broker.identity.visiting.ways import Way, Ways
from hoopx_broker.pages.frame import onward
from hoopx_broker.pages.origin import is_own_form
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret

MAX_QUERY = 16_384  # what a provider answers with: a code, a state and an issuer
MAX_FORM = 32_768  # a comment of 2,000 characters takes 24 KB where each is a sign outside the first plane
HOME = "/requests"

# A path of ours, with its question: one slash at its beginning, and nothing that a browser reads as another place.
_OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~/-]{0,200}(\?[A-Za-z0-9._~=&%-]{0,200})?")
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")

_log = structlog.get_logger()


class SigningIn(Struct, frozen=True):
    """`public_url` is where people find the broker. Of forms that came from elsewhere nothing is believed."""

    ways: Ways
    trips: Trips
    visits: Visits
    loyalty: Loyalty
    paper: Paper
    public_url: str

    def routes(self) -> list[Route]:
        return [
            Route("/login", in_pages(self.paper, self.show), methods=["GET"]),
            Route("/login/{way}", in_pages(self.paper, self.leave), methods=["POST"]),
            Route("/login/{way}/callback", in_pages(self.paper, self.arrive), methods=["GET"]),
            Route("/logout", in_pages(self.paper, self.log_out), methods=["POST"]),
        ]

    # For all pages.

    async def visit(self, request: Request) -> Visit | None:
        """Whose browser this is, as they count by now; None where they have to sign in."""
        visit = await self.visits.find(request.cookies.get(VISIT, ""))
        if visit is None:
            return None
        identity = request.state.identity = self.loyalty.learn(visit.identity)
        known = Visit(identity, visit.expires_at, visit.form, visit.draft)
        request.state.top = self.top(known)  # whatever page comes of this, it says who they are
        return known

    async def own_form(self, request: Request) -> dict[str, str]:
        """A form of one of our pages. Raises `Trouble`, and `OAuthError` for what cannot be read."""
        if not is_own_form(request.headers, self.public_url):
            raise Trouble("This form came from another site, so nothing was done.", 403)
        return await read_form(request, MAX_FORM)

    def ask(self, request: Request, comment: str = "") -> Response:
        """The page that asks somebody to sign in, and brings them back to where they were, with what they wrote."""
        at = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return self._ask(Draft(at if _OWN_PATH.fullmatch(at) else HOME, _kept(comment)), 401)

    def top(self, visit: Visit) -> Markup:
        """Who is signed in, and the way out."""
        return Markup(
            '<form class="out" method="post" action="/logout"><input type="hidden" name="form" value="{}">'
            '<span class="me">{}</span> <button class="small">Log out</button></form>'
        ).format(visit.form, person(visit.identity.who.user, visit.identity.who.on_behalf_of))

    # Pages of its own.

    async def show(self, request: Request) -> Response:
        if await self.visit(request) is not None:
            return self.paper.onward(HOME)
        return self._ask(Draft(HOME), 200)

    async def leave(self, request: Request) -> Response:
        form, way = await self.own_form(request), self._way(request)
        known = request.cookies.get(TRIP, "")
        browser = Secret(known) if _BROWSER.fullmatch(known) else self.trips.browser()
        draft = Draft(form.get("at", HOME), _kept(form.get("comment", "")))
        if not _OWN_PATH.fullmatch(draft.at):
            raise Trouble("This form does not say where to go on.", 400)
        try:
            url = await self.ways.leave(way, await self.trips.begin(browser, way.slug, draft, near(request)))
        except Unreachable as error:
            raise _silent(way, error) from None
        response = self.paper.html(onward(url, way.name))
        set_cookie(response, TRIP, browser.reveal(), LIFE)
        return response

    async def arrive(self, request: Request) -> Response:
        way, browser = self._way(request), request.cookies.get(TRIP, "")
        if len(request.url.query) > MAX_QUERY:
            raise Trouble("This answer is too long to be one.", 400)
        answer = fields_of(request.url.query)
        if not _BROWSER.fullmatch(browser):
            raise Trouble(
                f"This login was begun in another browser, or not at {self.public_url}, or this browser keeps no"
                " cookies of this site, without which nobody can be signed in.",
                400,
            )
        taken = await self.trips.take(Secret(browser), way.slug, answer.get("state", "")) if is_answer(answer) else None
        if taken is None:
            raise Trouble("This login is over already, took too long, or was begun in another browser.", 400)
        leaving, draft = taken
        try:
            identity = await self.ways.arrive(way, answer, leaving)
        except (NotAccepted, Unauthenticated, Declined, Unreachable) as error:
            raise _refused(way, error) from None
        return await self._begin(request, identity, draft)

    async def log_out(self, request: Request) -> Response:
        form, visit = await self.own_form(request), await self.visit(request)
        if visit is not None and is_form_of(visit, form.get("form", "")):
            await self.visits.log_out(request.cookies[VISIT], visit)
        elif visit is not None:
            raise Trouble("This page is of an earlier login. Log out on a fresh one.", 409)
        response = self.paper.page("Logged out", _LOGGED_OUT, wide=False)
        set_cookie(response, VISIT, "", 0)
        return response

    async def _begin(self, request: Request, identity: Identity, draft: Draft) -> Response:
        """A cookie that nobody knew before, whatever the browser brought."""
        self.loyalty.learn(identity)
        cookie, visit = await self.visits.begin(identity, draft, request.cookies.get(VISIT, ""))
        _log.info("pages.signed_in", user=identity.who.user, issuer=identity.login.issuer)
        response = self.paper.onward(draft.at)
        set_cookie(response, VISIT, cookie, visit.expires_at - self.visits.now())
        return response

    def _way(self, request: Request) -> Way:
        way = self.ways.find(request.path_params["way"])
        if way is None:
            raise Trouble("Nobody signs in here by that name.", 404)
        return way

    def _ask(self, draft: Draft, status: int) -> Response:
        if not self.ways.all:
            raise Trouble("This broker has no identity provider where people could sign in for its pages.", 404)
        ways = Markup().join(_button(way, draft) for way in self.ways.all)
        kept = Markup('<p class="note">What you wrote is kept, and nothing has been sent.</p>') if draft.comment else ""
        body = Markup('<h1>Log in</h1>{}<p class="soft">to read requests, and to answer them.</p>{}').format(kept, ways)
        return self.paper.page("Log in", body, status=status, wide=False)


_LOGGED_OUT = Markup("""<h1>You are logged out</h1>
<p class="soft">Your identity provider may still know you: log out there, too, on a machine that is not yours.</p>
<p><a href="/login">Log in again</a></p>""")


def _kept(comment: str) -> str:
    """As much as a comment may be; PostgreSQL keeps no NUL."""
    return comment.replace("\0", "")[:MAX_LINE]


def _button(way: Way, draft: Draft) -> Markup:
    return Markup(
        '<form method="post" action="/login/{}"><input type="hidden" name="at" value="{}">'
        '<input type="hidden" name="comment" value="{}"><button>Continue with {}</button></form>'
    ).format(way.slug, draft.at, draft.comment, way.name)


def _refused(way: Way, error: Exception) -> Trouble:
    match error:
        case Unreachable():
            return _silent(way, error)
        case Declined():
            return Trouble(f"{way.name} did not let you in: {error.code}.", 403)
        case NotAccepted():
            _log.info("pages.refused", issuer=way.client.issuer, why=str(error))
    return Trouble(f"The answer of {way.name} is not accepted. Why stands in the broker's log.", 403)


def _silent(way: Way, error: Unreachable) -> Trouble:
    _log.warning("pages.issuer_silent", issuer=way.client.issuer, why=error.message)
    return Trouble(f"{way.name} cannot be asked now. Try again in a minute.", 503)
