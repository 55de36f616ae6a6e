"""Say a notice in words, for people: one headline, and facts with a label each. All of it plain text."""

from __future__ import annotations

from collections.abc import Iterator

from hoopx_broker.terms.notices import Notice, Said
from hoopx_broker.terms.people import spoken

_ASKED = {
    "session": "a session on",
    "statement": "to run a statement on",
    "unmask": "to see masked data on",
    "extension": "for more time on",
}
_WHAT = {"session": "a session on", "statement": "a statement on", "unmask": "to unmask", "extension": "more time on"}
# What is left to do, or became of it; `waiting` is said with who is waited for.
_STATES = {
    "approved": "approved",
    "denied": "denied",
    "cancelled": "cancelled",
    "expired": "expired: nobody answered, or used it, in time",
    "used": "used",
}


def headline(notice: Notice) -> str:
    """One line without an end."""
    who, where = spoken(notice.requester, notice.on_behalf_of), notice.target
    what = f"{_WHAT.get(notice.kind, notice.kind)} {where}"
    match notice.event:
        case "asked":
            return f"{who} asks {_ASKED.get(notice.kind, notice.kind)} {where}"
        case "approve" | "deny":
            verb = "approves" if notice.event == "approve" else "denies"
            return f"{notice.by} {verb}: {what}, for {who}"
        case "broken-glass":
            return f"{who} BROKE THE GLASS: {what}"
        case "accept" | "object":
            verb = "accepts" if notice.event == "accept" else "objects to"
            return f"{notice.by} {verb} the breaking of the glass by {who}: {what}"
        case "reviewed":
            return f"Reviewed, {notice.review}: {what}, by {who}"
        case event:
            return f"{event.capitalize()}: {what}, for {who}"


def state_line(notice: Notice) -> str:
    """How it stands."""
    if notice.glass:
        return f"went through by breaking the glass; review {notice.review or 'open'}"
    if notice.state == "waiting":
        return f"waiting for {people(notice.approvers)}"
    return _STATES.get(notice.state, notice.state)


def facts(notice: Notice) -> Iterator[tuple[str, str]]:
    """Label and text of all that is known and not empty."""
    told = (
        ("State", state_line(notice)),
        ("Reason", notice.reason),
        ("Ticket", notice.ticket),
        ("For", length(notice.duration) if notice.duration else ""),
        ("Data", ", ".join(notice.classes)),
        ("Session", notice.session),
        ("Statement", notice.statement),
        ("Does", ", ".join(notice.tables or notice.actions)),
        ("Rule", ", ".join(notice.rules)),
        ("Comment", notice.comment),
        ("Votes", "; ".join(_said(each) for each in notice.votes)),
        ("Reviews", "; ".join(_said(each) for each in notice.reviews)),
        ("Reviewers", people(notice.reviewers) if notice.glass else ""),
        ("Request", notice.request),
    )
    return ((label, text) for label, text in told if text)


def people(seats: dict[str, int]) -> str:
    """`2 of dba and 1 of security`."""
    return " and ".join(f"{count} of {group}" for group, count in sorted(seats.items())) or "nobody"


def length(seconds: int) -> str:
    """`1h30m`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _said(said: Said) -> str:
    return f"{said.by}: {said.verdict}" + (f" ({said.comment})" if said.comment else "")
