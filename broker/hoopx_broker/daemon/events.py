"""The call that reads what happened, for those whom policy lets, at once or as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hoopx_broker.api.messages import EventsListed, EventView
from hoopx_broker.daemon.requests import MAX_POLL_SECONDS, number
from hoopx_broker.session.services import Services
from hoopx_broker.storage import happened
from hoopx_broker.storage.events import NOTED
from hoopx_broker.storage.happened import Noted, Wanted
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow

MAX_LISTED = 1_000
DEFAULT_LISTED = 50
# A transaction may take so long: what it noted may come in before what was seen already. Whoever follows sees it again.
UNSETTLED_SECONDS = 20.0

__all__ = ["EventsListed", "events_seen"]


async def events_seen(services: Services, store: Store, who: Principal, query: Mapping[str, str]) -> EventsListed:
    """The newest, or with `after` what came since: with `wait`, as soon as something has. Raises `Denied`."""
    if not isinstance(services.judge().may_view_log(who), Allow):
        raise Denied("you may not read what happened at this broker", "ask an auditor")
    limit = min(number(query, "limit", MAX_LISTED) or DEFAULT_LISTED, MAX_LISTED)
    wanted = _wanted(query)
    if "after" not in query:
        found = await happened.newest(store, wanted, limit)
        return _listed(found, found[-1].number if found else 0, services.clock())
    after, known = number(query, "after", 1 << 62), number(query, "known", 1 << 62)
    wait = number(query, "wait", MAX_POLL_SECONDS)
    found = await _awaited(store, wanted, after, known, wait)
    return _listed(found, after, services.clock())


async def _awaited(store: Store, wanted: Wanted, after: int, known: int, wait: int) -> list[Noted]:
    news = asyncio.Event()
    leave = store.subscribe(NOTED, lambda _: news.set())
    try:
        async with asyncio.timeout(wait or None):
            while True:
                news.clear()
                found = await happened.after(store, wanted, after, MAX_LISTED)
                if not wait or any(each.number > known for each in found):
                    return found
                await news.wait()
    except TimeoutError:
        return await happened.after(store, wanted, after, MAX_LISTED)
    finally:
        leave()


def _listed(found: list[Noted], before: int, now: float) -> EventsListed:
    """`settled` is from where whoever follows asks on: what is young is shown again, by the same id."""
    young = [each.number for each in found if each.event.at > now - UNSETTLED_SECONDS]
    last = found[-1].number if found else before
    settled = min(min(young) - 1, last) if young else last
    views = tuple(EventView(each.leaf, each.event) for each in found)
    return EventsListed(views, settled, last)


def _wanted(query: Mapping[str, str]) -> Wanted:
    text = {name: query.get(name, "") for name in ("user", "target", "type", "session")}
    return Wanted(**text, since=_time(query, "since"), until=_time(query, "until"))


def _time(query: Mapping[str, str], name: str) -> float:
    try:
        return float(query.get(name) or 0)
    except ValueError:
        raise BadInput(f"`{name}` is no time", "give seconds since the Unix epoch") from None
