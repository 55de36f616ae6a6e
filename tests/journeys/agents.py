"""A stage with agents: people of an issuer whose keys are pinned, and agents that act for them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.journeys.stage import CAST, CLASSIFY, Running, Stage, running

PEOPLE, CLIENT = "https://people.example.com", "hoopx-cli-of-people"
AGENT = "claude"
CASTED = (*CAST, "eve")

# Eve may do what developers may, but for one thing.
EVE = """
@id("eve-opens-no-open-shop")
@message("eve is on leave")
forbid (principal == User::"eve", action == Action::"connect", resource == Target::"shop-open");
"""


class AgentStage(Stage):
    """`claude` has no credential of its own, `reviewer` has; people bring tokens of their provider."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        (self.home / "policies" / "90-eve.cedar").write_text(EVE)

    def configuration(self) -> str:
        people = f"""\
  - issuer: {PEOPLE}
    client_id: {CLIENT}
    audience: hoopx
    jwks_file: keys.json
    claims: {{user: sub, groups: groups}}
"""
        agents = f"""\
    agents:
      {AGENT}: {{groups: [agents]}}
      reviewer: {{secret: a-secret-of-the-reviewer, groups: [agents]}}
"""
        whole = super().configuration()
        return whole.replace("  - kind: embedded\n", people + "  - kind: embedded\n" + agents)

    def _targets(self) -> Iterator[str]:
        yield from super()._targets()
        writer = self._minting(roles="[app_read, app_write]", read_only="false")
        yield self._target("shop-open", "{env: dev, agents: approval}", writer) + CLASSIFY

    def environment(self, who: str, **more: str) -> dict[str, str]:
        """What a person has in a terminal. No two tokens are the same: each is bound to the first key that it meets."""
        groups = CAST.get(who, ("developers",))
        token = self.mint.token(who, groups, iss=PEOPLE, jti=secrets.token_hex(8)) if who in CASTED else ""
        return super().environment(who) | {"HOOPX_TOKEN": token} | more

    @contextmanager
    def agent(self, *arguments: str, who: str = "ann", **more: str) -> Iterator[Running]:
        """`hoopx agent` beside the scene."""
        with running(self, "agent", *arguments, who=who, **more) as command:
            yield command

    def open_sessions(self) -> list[tuple[str, str, str | None]]:
        """Target, user and human of each session that is open now."""
        found = self.listed("sessions", "ls", "--state", "open", who="olga")
        return sorted((one["target"], one["user"], one["on_behalf_of"]) for one in found)
