"""The judge that rules by Cedar, on people, jobs and agents, and on agents that act for people."""

from __future__ import annotations

from hoopx_broker.policy.alone import Alone
from hoopx_broker.policy.delegated import Delegating
from hoopx_broker.policy.inquiry import Inquiry
from hoopx_broker.policy.load import Policies
from hoopx_broker.policy.obligations import Bound, named
from hoopx_broker.terms.rulings import Allow


class CedarJudge(Delegating):
    """`seams.judge.Judge` over a loaded set of policies. `inquiry` gives the single answers behind its rulings.

    An inquiry is about one principal by itself: `delegated.halves` says whom to ask about.
    """

    def __init__(self, policies: Policies) -> None:
        self.inquiry = Inquiry(policies)
        self._documents = policies.documents
        super().__init__(Alone(policies, self.inquiry))

    def bound(self, ruling: Allow) -> Bound:
        """What it binds a credential to, as rules write it."""
        return named(ruling.obligations, self._documents)
