"""What one session may see raw by approvals that hold now, beside what policy reveals to it anyway."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hoopx_broker.approvals.unmasking import Unmasking
from hoopx_broker.seams.judge import Consent
from hoopx_broker.seams.judge import Judge as Policy
from hoopx_broker.terms.entries import Notice, Unmask
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import ColumnName, Target

# Nothing is unmasked, so nothing ends.
NEVER = float("inf")


class Unmasked:
    """The approvals that hold for one session. `until` is when the first of them ends."""

    def __init__(self, holding: Iterable[Unmasking] = ()) -> None:
        self.holding = tuple(holding)
        self.until = min((each.until for each in self.holding), default=NEVER)

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(name for each in self.holding for name in each.classes)

    def at(self, now: float) -> Unmasked:
        """Those whose time is not over."""
        return Unmasked(each for each in self.holding if now < each.until)

    def hidden(self, policy: Policy, who: Principal, target: Target) -> dict[ColumnName, str]:
        """As `Judge.hidden`, without the columns that these approvals show."""
        hidden = policy.hidden(who, target)
        for each in self._valid(policy):
            still = policy.hidden(who, target, _consent(each))
            hidden = {column: kind for column, kind in hidden.items() if kind not in each.classes or column in still}
        return hidden

    def hidden_classes(self, policy: Policy, who: Principal, target: Target, classes: Iterable[str]) -> frozenset[str]:
        """As `Judge.hidden_classes`, without those that these approvals show."""
        hidden = policy.hidden_classes(who, target, frozenset(classes))
        for each in self._valid(policy):
            asked = hidden & frozenset(each.classes)
            hidden -= asked - policy.hidden_classes(who, target, asked, _consent(each))
        return hidden

    def shows_beyond(self, other: Unmasked, policy: Policy, who: Principal, target: Target) -> bool:
        """Whether anything is seen by these approvals that the `other` ones hide."""
        if not other.hidden(policy, who, target).keys() <= self.hidden(policy, who, target).keys():
            return True
        found = {detector.name for detector in target.masks.detectors}
        return not other.hidden_classes(policy, who, target, found) <= self.hidden_classes(policy, who, target, found)

    def _valid(self, policy: Policy) -> list[Unmasking]:
        """People agreed under one version of the policy; by another, others might have to be asked, or nobody could."""
        return [each for each in self.holding if each.policy == policy.version]


def _consent(unmasking: Unmasking) -> Consent:
    return Consent(unmasking.approvals, unmasking.reason, unmasking.ticket)


def begins(unmasking: Unmasking) -> Unmask:
    return Unmask(unmasking.request, unmasking.classes, unmasking.approved_by, unmasking.until)


def ends(unmasking: Unmasking, why: str) -> Unmask:
    return Unmask(unmasking.request, unmasking.classes, ended=why)


def told(unmask: Unmask) -> str:
    """For the client, and for whoever reads the recording without knowing more of it."""
    classes = ", ".join(unmask.classes)
    if unmask.ended:
        return f"request `{unmask.request}` shows {classes} no longer: {unmask.ended}"
    until = datetime.fromtimestamp(unmask.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"request `{unmask.request}` shows {classes} raw until {until}"


def noted(unmask: Unmask) -> Notice:
    """The entry of the whole session."""
    return Notice("", "NOTICE", "00000", told(unmask), unmask)
