"""What the reader of a request may do about it, and why not more."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import refusals
from hoopx_broker.approvals.matter import are_entangled, deciding_groups, is_agent, speaks_for
from hoopx_broker.terms.people import Principal

Doing = Literal["answer", "review", "nothing"]


class Part(Struct, frozen=True):
    """`why_not` says why the reader does not answer, where others may. `may_cancel`: they may take it back."""

    doing: Doing = "nothing"
    why_not: str = ""
    may_cancel: bool = False


def part_of(reader: Principal, view: RequestView) -> Part:
    asker = Principal(view.requester, "human", on_behalf_of=view.on_behalf_of)
    may_cancel = speaks_for(reader, asker) and view.state in ("waiting", "approved") and not view.glass
    if view.review == "open":
        return _part(reader, asker, view, "review", view.conditions.reviewers or view.approvers, may_cancel=False)
    if view.state == "waiting":
        return _part(reader, asker, view, "answer", view.approvers, may_cancel)
    return Part(may_cancel=may_cancel)


def _part(
    reader: Principal, asker: Principal, view: RequestView, doing: Doing, groups: dict[str, int], may_cancel: bool
) -> Part:
    if are_entangled(reader, asker):
        return Part(why_not=refusals.own_request(view).message, may_cancel=may_cancel)
    if is_agent(reader):
        return Part(why_not=refusals.agents_decide_nothing(view, reader).message, may_cancel=may_cancel)
    if groups.keys().isdisjoint(deciding_groups(reader)):
        return Part(why_not=refusals.not_an_approver(view, reader).message, may_cancel=may_cancel)
    return Part(doing, may_cancel=may_cancel)
