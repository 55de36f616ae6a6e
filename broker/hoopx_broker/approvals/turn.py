"""One transaction at the desk: its moment, what it finds there, and what happens in it, told to journal and hearers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import docket, journal, refusals
from hoopx_broker.approvals.docket import Filed
from hoopx_broker.approvals.persons import Persons
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal, spoken

# What is told of each happening, inside the transaction in which it happens: it may be undone and done again.
Hear = Callable[[Connection, Happening, RequestView], None]


class House(Struct, frozen=True):
    """What every transaction of a desk knows: who is whom, where a request's page is, and who hears of it."""

    persons: Persons
    link: Callable[[str], str]
    hear: Hear


class Turn:
    """Begins with nothing alive that is over its time. `touched` are the requests to which anything happened."""

    def __init__(self, connection: Connection, now: float, house: House) -> None:
        self.connection = connection
        self.now = now
        self.persons = house.persons
        self.touched: set[RequestId] = set()
        self._house = house
        for request in docket.due(connection, now):
            self.decide(request, "expired")

    def found(self, request: str, viewer: Principal | None = None) -> Filed:
        """Raises `Unknown`, also when there is one that `viewer` may not see."""
        filed = docket.find(self.connection, request, viewer)
        if filed is None:
            raise refusals.unknown(request)
        return filed

    def view(self, request: str) -> RequestView:
        return self.shown(self.found(request))

    def shown(self, filed: Filed) -> RequestView:
        return structs.replace(filed.view, link=self._house.link(filed.view.id))

    def decided(self, filed: Filed) -> BadInput:
        """Why nobody decides it any more."""
        view = filed.view
        return refusals.decided(view, journal.how_it_ended(self.connection, view.id, view.state))

    def decide(self, request: str, state: str, by: str = "", details: Mapping[str, str] | None = None) -> None:
        """Lead it into an end, and say so."""
        docket.decide(self.connection, request, state)
        self.tell(request, state, by, details=details)

    def tell(
        self, request: str, event: str, by: str = "", comment: str = "", details: Mapping[str, str] | None = None
    ) -> None:
        """Have it in the journal and heard, as part of this transaction."""
        view = self.view(request)
        happening = Happening(request, event, self.now, by, view.state, comment, dict(details or {}))
        added = journal.append(self.connection, happening)
        events.note(self.connection, _event(happening, view, added))
        self._house.hear(self.connection, happening, view)
        self.touched.add(RequestId(request))


def _event(happening: Happening, view: RequestView, added: journal.Head) -> Event:
    """The entry of the journal, by its link. What is asked for stays in the journal, where only its people see it."""
    by, on_behalf_of = happening.by, ""
    if by == spoken(view.requester, view.on_behalf_of):
        by, on_behalf_of = view.requester, view.on_behalf_of or ""
    return events.happened(
        happening.at,
        f"request.{happening.event}",
        by=by,
        on_behalf_of=on_behalf_of,
        target=view.target,
        session=view.session,
        request=view.id,
        kind=view.kind,
        state=happening.state,
        requester=spoken(view.requester, view.on_behalf_of),
        rules=view.rules,
        policy=view.policy,
        comment=happening.comment,
        used_by=happening.details.get("used_by", ""),
        number=added.number,
        chain=added.chain,
    )
