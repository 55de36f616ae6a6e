"""The stage of approvals: targets whose rules put conditions on them, and people with more than one account."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.journeys.stage import CLASSIFY, Stage
from tests.journeys.tokens import AUDIENCE
from tests.peers.postgres import Postgres

CLIENT = "hoopx-cli"
JOBS = "https://jobs.example.com"
ASKING, STRICT, SHUT, BOTH = "prod-db", "ledger", "night-shift", "vault-keys"
PAGE = (Path(__file__).parents[2] / "docs/approvals.md").read_text()

# Beside the cast of all journeys: whoever is on call, a second account of Ann's, and a job.
ALSO = {"oscar": ("developers", "oncall"), "dora-admin": ("dba",), "job": ("developers",)}

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
        rules = [RULES.format(day=_another_day()), *blocks("Rules", "cedar")]
        (home / "policies" / "95-conditions.cedar").write_text("\n".join(rules))

    def environment(self, who: str, **more: str) -> dict[str, str]:
        if who == "job":
            more = {"HOOPX_TOKEN": self.mint.token("repo:acme/shop", ALSO[who], iss=JOBS)} | more
        elif who in ALSO:
            more = {"HOOPX_TOKEN": self.mint.token(who, ALSO[who])} | more
        return super().environment(who, **more)

    def configuration(self) -> str:
        """The people of this stage are people, who alone break glass, and jobs have an issuer of their own."""
        people = super().configuration().replace("    kind: workload\n", f"    client_id: {CLIENT}\n", 1)
        claims = "{user: sub, groups: groups}"
        jobs = f"  - {{issuer: {JOBS}, kind: workload, audience: {AUDIENCE}, jwks_file: keys.json, claims: {claims}}}\n"
        return "accounts: [[ann, dora-admin]]\n" + people.replace("identity:\n", f"identity:\n{jobs}", 1)

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        yield self._target("shop-dev", "{env: dev}", reader) + CLASSIFY
        yield self._target("payments-prod", "{env: prod, approval: required}", reader) + CLASSIFY
        yield self._target(ASKING, "{env: prod, ask: 'yes'}", reader) + CLASSIFY
        yield self._target(STRICT, "{env: prod, approval: strict}", reader)
        yield self._target(SHUT, "{env: prod, approval: shut}", reader)
        yield self._target(BOTH, "{env: prod, approval: both}", reader)


def blocks(heading: str, language: str = "sh") -> list[str]:
    """The examples below a heading of the page on approvals."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return found


def _another_day() -> str:
    """Far enough from today that no test runs into it."""
    return (datetime.fromtimestamp(time.time(), UTC) + timedelta(days=3)).strftime("%a")
