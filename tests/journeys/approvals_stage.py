"""The stage of approvals: targets whose rules put conditions on them, and people with more than one account."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.journeys.stage import CLASSIFY, Stage
from tests.peers.postgres import Postgres

CLIENT = "hoopx-cli"
STRICT, SHUT, BOTH = "ledger", "night-shift", "vault-keys"

RULES = """
@id("strict")
@message("the ledger is opened for a reason that somebody has written down")
@approvers("dba")
@reason("required")
@ticket("OPS-[0-9]+")
@max_duration("1h")
@break_glass("oncall")
@review("security")
forbid (principal, action == Action::"connect", resource)
when {{ resource.hasTag("approval") && resource.getTag("approval") == "strict" }}
unless {{ context.approvals.contains("dba") }};

@id("shut")
@message("this is for another day")
@approvers("dba")
@ask_window("{day} 00:00-23:59 UTC")
forbid (principal, action == Action::"connect", resource)
when {{ resource.hasTag("approval") && resource.getTag("approval") == "shut" }}
unless {{ context.approvals.contains("dba") }};

@id("both")
@message("dba and security both look at it")
@approvers("dba,security")
@quorum("dba:2,security:1")
forbid (principal, action == Action::"connect", resource)
when {{ resource.hasTag("approval") && resource.getTag("approval") == "both" }}
unless {{ context.approvals.containsAll(["dba", "security"]) }};
"""


class ApprovalsStage(Stage):
    """As the stage of all journeys, with targets of its own."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        super().__init__(home, postgres)
        (home / "policies" / "80-conditions.cedar").write_text(RULES.format(day=_another_day()))

    def configuration(self) -> str:
        """The people of this stage are people: a job decides nothing."""
        text = super().configuration().replace("    kind: workload\n", f"    client_id: {CLIENT}\n", 1)
        return f"accounts: [[ann, dora-admin]]\n{text}"

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        yield self._target("shop-dev", "{env: dev}", reader) + CLASSIFY
        yield self._target("payments-prod", "{env: prod, approval: required}", reader) + CLASSIFY
        yield self._target(STRICT, "{env: prod, approval: strict}", reader)
        yield self._target(SHUT, "{env: prod, approval: shut}", reader)
        yield self._target(BOTH, "{env: prod, approval: both}", reader)


def _another_day() -> str:
    """Far enough from today that no test runs into it."""
    return (datetime.fromtimestamp(time.time(), UTC) + timedelta(days=3)).strftime("%a")
