"""What commands print with `-o json`, of a real broker, is what docs/cli-json.md says of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.golden.cli_json import as_told
from tests.journeys.stage import POLICIES, Stage, running


def held(stage: Stage, path: str, *arguments: str, who: str = "ann", codes: tuple[int, ...] = (0,)) -> list[Any]:
    """The objects that a command prints, after a look at each."""
    outcome = stage.hoopx(*path.split(), *arguments, "-o", "json", who=who)
    assert outcome.code in codes, outcome
    return as_told(path, outcome.out, lines="--statements" in arguments)


@pytest.fixture(scope="module")
def session(stage: Stage) -> str:
    """One that is over, with a statement in it."""
    stage.psql("shop-prod", "SELECT count(*) FROM orders").fine()
    return str(held(stage, "sessions ls", "--target", "shop-prod", "--limit", "1")[0]["id"])


def test_people_and_targets(stage: Stage) -> None:
    held(stage, "whoami")
    assert len(held(stage, "ls")) > 3
    held(stage, "show", "payments-prod")
    held(stage, "token", "shop-prod")
    held(stage, "accounts ls")
    held(stage, "status")
    held(stage, "doctor")
    held(stage, "admin revoked", who="sam")


def test_requests(stage: Stage) -> None:
    asking = ("payments-prod", "--reason", "month end")
    first = held(stage, "request", *asking, codes=(0, 12))[0]["id"]
    assert held(stage, "requests ls")
    held(stage, "requests show", first)
    held(stage, "requests cancel", first)
    held(stage, "requests wait", first, codes=(12,))
    second = held(stage, "request", *asking, codes=(0, 12))[0]["id"]
    held(stage, "deny", second, "--yes", who="dora")
    third = held(stage, "request", *asking, codes=(0, 12))[0]["id"]
    held(stage, "approve", third, "--yes", who="dora")


def test_sessions(stage: Stage, session: str) -> None:
    assert held(stage, "sessions show", session)
    assert held(stage, "sessions show", session, "--statements")
    assert held(stage, "sessions replay", session, "--speed", "0")
    assert held(stage, "sessions tail", session)
    assert held(stage, "sessions verify", session)[0]["session"] == session


def test_connect(stage: Stage) -> None:
    with running(stage, "connect", "shop-prod", "-o", "json") as command:
        as_told("connect", command.says(r"(?m)^\{.*\}$").group(0))
        assert held(stage, "leases ls", "--target", "shop-prod")
        revoked = held(stage, "leases revoke", "--target", "shop-prod", codes=(0, 15))
        assert revoked
        command.end()


def test_evidence(stage: Stage, session: str) -> None:
    assert held(stage, "audit events", "--limit", "5", who="sam")
    hold = held(stage, "audit hold", session, "--reason", "a case", who="sam")[0]["id"]
    assert held(stage, "audit holds", who="sam")
    held(stage, "audit release", hold, "--reason", "closed", who="sam")
    held(stage, "audit gc", "--dry-run", who="sam")


def test_policies_and_configuration(stage: Stage) -> None:
    config = ("--config", str(stage.config))
    held(stage, "policy check", str(POLICIES))
    held(stage, "policy test", str(POLICIES))
    held(stage, "policy explain", "select 1", "--as", "ann", "--on", "db", "--policies", str(POLICIES))
    held(stage, "broker check", *config)
    assert re.match(r"\S+\+", held(stage, "broker keys", *config)[0]["evidence_key"])
    held(stage, "audit checkpoint", *config)
