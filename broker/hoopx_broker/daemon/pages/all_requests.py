"""The list of requests as a page: what waits for the reader, what is to be reviewed, and their own."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from hoopx_broker.api.messages import RequestView
from hoopx_broker.daemon.pages.one_request import headline, state_of
from hoopx_broker.daemon.pages.words import ago, code, person, prose

MAX_SHOWN = 200  # characters of a reason or a statement in a list


class Lists(Struct, frozen=True):
    """The newest first."""

    waiting: Sequence[RequestView]
    reviews: Sequence[RequestView]
    own: Sequence[RequestView]


def body_of(lists: Lists, now: float) -> Markup:
    return Markup("<h1>Requests</h1>{}{}{}").format(
        _list("Wait for you", lists.waiting, now, "Nothing waits for you."),
        _list("To review", lists.reviews, now, "") if lists.reviews else "",
        _list("Yours", lists.own, now, "You have asked for nothing lately."),
    )


def _list(title: str, views: Sequence[RequestView], now: float, nothing: str) -> Markup:
    if not views:
        return Markup('<section><h2>{}</h2><p class="soft">{}</p></section>').format(title, nothing)
    cards = Markup().join(_card(view, now) for view in views)
    return Markup('<section><h2>{}</h2><ul class="cards">{}</ul></section>').format(title, cards)


def _card(view: RequestView, now: float) -> Markup:
    what = Markup('<span class="line"><code>{}</code></span>').format(code(_short(view.statement)))
    return Markup(
        '<li><a href="/requests/{}">{}<b>{}</b>{}<span class="line">{}</span><span class="soft">{}, {}</span></a></li>'
    ).format(
        view.id,
        state_of(view, now),
        headline(view),
        what if view.kind == "statement" else "",
        prose(_short(view.reason)),
        person(view.requester, view.on_behalf_of),
        ago(now - view.created_at),
    )


def _short(text: str) -> str:
    line = " ".join(text[: 4 * MAX_SHOWN].split())
    return line if len(line) <= MAX_SHOWN and len(text) <= 4 * MAX_SHOWN else f"{line[:MAX_SHOWN]} ..."
