"""What cannot be done, said on a page to who could do something about it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from hoopx_broker.daemon.pages.paper import Paper
from hoopx_broker.daemon.pages.words import prose
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.terms.errors import HoopxError

_QUOTED = re.compile("`([^`]*)`")
Page = Callable[[Request], Awaitable[Response]]


class Trouble(Exception):
    """A page that is no use. `message` is for the person, `status` for the browser."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def in_pages(paper: Paper, page: Page) -> Page:
    """Whatever is refused is refused on a page."""

    async def shown(request: Request) -> Response:
        try:
            return await page(request)
        except Trouble as trouble:
            return _told(paper, request, trouble.message, "", trouble.status)
        except OAuthError as refusal:
            return _told(paper, request, refusal.description, "", refusal.status)
        except HoopxError as error:
            return _told(paper, request, error.message, error.hint, error.http_status)

    return shown


def _told(paper: Paper, request: Request, message: str, hint: str, status: int) -> Response:
    body = Markup('<h1>{}</h1>{}{}<p><a href="/requests">To the requests</a></p>').format(
        _TITLES.get(status, "That did not work"),
        Markup('<p class="wrong" role="alert">{}</p>').format(sentence(message)),
        Markup("<p>{}</p>").format(sentence(hint)) if hint else "",
    )
    return paper.page("Not possible", body, status=status, top=getattr(request.state, "top", Markup()), wide=False)


_TITLES = {403: "Not for you", 404: "Nothing here", 409: "Too late", 413: "Too long", 503: "Try again soon"}


def sentence(message: str) -> Markup:
    """A message as the command line writes it, as a sentence: what stands between backticks is code."""
    whole = message[:1].upper() + message[1:] + ("" if message.endswith((".", "?", "!")) else ".")
    parts = enumerate(_QUOTED.split(whole))
    return Markup().join(Markup("<code>{}</code>").format(prose(part)) if at % 2 else prose(part) for at, part in parts)
