"""Use an approval, once and for exactly what was approved; or take it back."""

from __future__ import annotations

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import refusals
from hoopx_broker.approvals.docket import Filed
from hoopx_broker.approvals.matter import Matter, deciding_groups, is_requester, speaks_for
from hoopx_broker.approvals.turn import Turn
from hoopx_broker.terms.people import Principal, spoken


def spend(turn: Turn, request: str, requester: Principal, matter: Matter, used_by: str) -> frozenset[str]:
    """The groups that agreed."""
    agreed = check(turn, request, requester, matter)
    details = {"used_by": used_by} if used_by else {}
    turn.decide(request, "used", spoken(requester.user, requester.on_behalf_of), details)
    return agreed


def check(turn: Turn, request: str, requester: Principal, matter: Matter) -> frozenset[str]:
    """The groups that agreed to exactly this, of an approval that is not used yet."""
    filed = turn.found(request)
    if not is_requester(requester, filed.requester):
        raise refusals.unknown(request)
    if difference := _difference(matter, filed.view):
        raise refusals.something_else(filed.view, difference)
    if filed.view.state != "approved":
        raise refusals.not_spendable(filed.view)
    return frozenset(filed.view.approvers)


def cancel(turn: Turn, request: str, by: Principal) -> RequestView:
    """What is unmasked is also ended by those who could have refused it, or look at it afterwards."""
    filed = turn.found(request, by)
    if not speaks_for(by, filed.requester) and not _may_end(by, filed):
        raise refusals.not_yours_to_cancel(filed.view)
    if filed.view.state not in ("waiting", "approved"):
        raise turn.decided(filed)
    turn.decide(request, "cancelled", spoken(by.user, by.on_behalf_of))
    return turn.view(request)


def _may_end(by: Principal, filed: Filed) -> bool:
    view = filed.view
    asked = {*view.approvers, *(filed.reviewers if view.glass else ())}
    return (view.kind, view.state) == ("unmask", "approved") and not asked.isdisjoint(deciding_groups(by))


def _difference(matter: Matter, view: RequestView) -> str | None:
    """What does not match between what was approved and what would be done."""
    if matter.kind != view.kind:
        return f"kind of thing: `{view.kind}`, not `{matter.kind}`"
    if matter.target != view.target:
        return f"target, `{view.target}`"
    if matter.session != view.session:
        return f"session, `{view.session}`"
    if (matter.statement, matter.canonical) != (view.statement, view.canonical):
        return "statement"
    if matter.classes != view.classes:
        return "set of classes"
    if matter.duration > view.duration:
        return f"length of time: {view.duration} s, not {matter.duration} s"
    if matter.policy != view.policy:
        return "version of the policy, which was changed since"
    return None
