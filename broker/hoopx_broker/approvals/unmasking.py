"""An approval to see classes of masked data raw for a while: it is not spent, it holds until its time is over."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.approvals.docket import Filed
from hoopx_broker.approvals.matter import Matter, is_requester
from hoopx_broker.terms.people import Principal


class Unmasking(Struct, frozen=True):
    """Holds for its requester, target, classes and version of the policy, and no longer than `until`.

    `approvals` are the groups that agreed, `approved_by` the people; reason and ticket are what they agreed to.
    """

    request: str
    requester: Principal
    target: str
    policy: str
    classes: tuple[str, ...]
    approvals: frozenset[str]
    approved_by: tuple[str, ...]
    reason: str
    ticket: str
    until: float

    def is_for(self, who: Principal, target: str) -> bool:
        """Exactly the one who asked, for the same human, on this target."""
        return target == self.target and is_requester(who, self.requester)


def matter_of(target: str, policy: str, classes: Sequence[str], seconds: int) -> Matter:
    """What people agree to. The same classes in another order are the same matter."""
    named = tuple(sorted(set(classes)))
    return Matter("unmask", target, policy, f"see {', '.join(named)} raw", seconds, named)


def unmasking_of(filed: Filed) -> Unmasking:
    """What an approved request to unmask allows."""
    view = filed.view
    approved_by = tuple(ballot.approver for ballot in view.ballots if ballot.verdict == "approve")
    return Unmasking(
        view.id,
        filed.requester,
        view.target,
        view.policy,
        view.classes,
        frozenset(view.approvers),
        approved_by,
        view.reason,
        view.ticket,
        view.expires_at,
    )
