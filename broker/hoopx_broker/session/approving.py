"""What the client, the person at the session and the recording are told of requests."""

from __future__ import annotations

from collections.abc import Iterator

from hoopx_broker.api.messages import RequestView
from hoopx_broker.api.visible import visible_prose
from hoopx_broker.approvals.refusals import people_of
from hoopx_broker.recording.inert import inert
from hoopx_broker.session.leasing import moment
from hoopx_broker.terms.entries import Approval, Notice
from hoopx_broker.terms.people import spoken

# Text, hint, and what is recorded of it.
Told = tuple[str, str, Approval]

_VERBS = {"approve": "approved", "deny": "denied"}


def asked(view: RequestView) -> Told:
    """The statement waits."""
    text = f"this statement waits for {people_of(view.approvers)} until {moment(view.expires_at)}: request `{view.id}`"
    return text, how_to_approve(view.id, view.link), note_of_asking(view)


def how_to_approve(request: str, link: str) -> str:
    page = f", or looks at {link}" if link else ""
    return f"an approver runs `hoopx approve {request}`{page}"


def votes(view: RequestView) -> Iterator[Told]:
    """Each as it was given."""
    for ballot in view.ballots:
        comment = f": {inert(visible_prose(ballot.comment))}" if ballot.comment else ""
        text = f"`{ballot.approver}` {_VERBS[ballot.verdict]} request `{view.id}`{comment}"
        by, said, at = ballot.approver, ballot.comment, ballot.at
        yield text, "", Approval(ballot.verdict, view.id, view.kind, by, said, at)


def broken(view: RequestView) -> Told:
    """The glass is broken: nobody was asked, and people look at it afterwards."""
    text = f"GLASS BROKEN: nobody was asked; {_reviewers(view)} review request `{view.id}`, which stays open until then"
    return text, view.link and f"the review is at {view.link}", note_of_breaking(view)


def of_opening(view: RequestView) -> list[Notice]:
    """The story of the request that opened a session, for the beginning of its recording."""
    first = note_of_breaking(view) if view.glass else note_of_asking(view)
    by = spoken(view.requester, view.on_behalf_of)
    what = "broke the glass with" if view.glass else "asked for approval by"
    told = [Notice("", "NOTICE", "00000", f"`{by}` {what} request `{view.id}`", approval=first)]
    return told + [Notice("", "NOTICE", "00000", text, approval=note) for text, _, note in votes(view)]


def note_of_asking(view: RequestView) -> Approval:
    return _first("asked", view, view.approvers)


def note_of_breaking(view: RequestView) -> Approval:
    return _first("broken-glass", view, _reviewers_of(view))


def _first(event: str, view: RequestView, people: dict[str, int]) -> Approval:
    by = spoken(view.requester, view.on_behalf_of)
    until = 0 if event == "broken-glass" else view.expires_at
    return Approval(event, view.id, view.kind, by, view.reason, view.created_at, until, people, view.statement)


def _reviewers(view: RequestView) -> str:
    return people_of(_reviewers_of(view))


def _reviewers_of(view: RequestView) -> dict[str, int]:
    return view.conditions.reviewers or view.approvers
