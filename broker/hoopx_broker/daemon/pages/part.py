"""What the reader of a request may do about it, and why not more."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.matter import speaks_for
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.people import Principal

Doing = Literal["answer", "review", "nothing"]


class Part(Struct, frozen=True):
    """`why_not` says why the reader does not answer, where others may. `may_cancel`: they may take it back.

    `has_agreed`: they have said yes already, and others have to, too.
    """

    doing: Doing
    why_not: str = ""
    may_cancel: bool = False
    has_agreed: bool = False


def part_of(reader: Principal, view: RequestView, objection: HoopxError | None) -> Part:
    """`objection` is why the desk would not hear the reader on it."""
    asker = Principal(view.requester, "human", on_behalf_of=view.on_behalf_of)
    may_cancel = speaks_for(reader, asker) and view.state in ("waiting", "approved")
    doing = doing_of(view)
    if doing != "nothing" and objection is not None:
        return Part("nothing", objection.message, may_cancel)
    said = {(each.approver, each.verdict) for each in (view.reviews if view.glass else view.ballots)}
    has_agreed = not said.isdisjoint({(reader.user, "approve"), (reader.user, "accept")})
    return Part(doing, may_cancel=may_cancel, has_agreed=has_agreed)


def doing_of(view: RequestView) -> Doing:
    """What is done about it by whoever it concerns."""
    if view.review == "open":
        return "review"
    return "answer" if view.state == "waiting" else "nothing"
