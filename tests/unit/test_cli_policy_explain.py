"""`hoopx policy explain`: a statement, the opening of a session, and what was recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.policy.explain import explain
from hoopx_broker.policy.scenery import catalog
from hoopx_broker.policy.told import render
from hoopx_broker.recording.bundle import head
from hoopx_broker.terms.entries import Executed, Opened, Statement, StreamOpened
from hoopx_broker.terms.people import Principal
from tests.unit.bundle_scene import proved
from tests.unit.cli_stage import HOOPX
from tests.unit.policy_stage import ANN, NOW, shipped, target
from tests.unit.recording_scene import chained

RULES = """
@id("reads") permit (principal in Group::"developers", action == Action::"read", resource);
@id("opens") permit (principal, action == Action::"connect", resource) when { context.ticket like "OPS-*" };
@id("stays") permit (principal, action == Action::"extend", resource);
@id("stays-by-word") @approvers("dba") @reason("required") @ask_window("Mon-Fri 13:00-17:00 Europe/Berlin")
forbid (principal, action == Action::"extend", resource) when { context.duration > 600 }
unless { context.approvals.contains("dba") };
@id("by-day") forbid (principal, action == Action::"read", resource)
unless { Clock::"Europe/Berlin".hour >= 8 };
@id("seven") forbid (principal, action == Action::"read", resource == Table::"shop/public.rows")
unless { context.parameters.pending }
unless { context.parameters.hasTag("1") && context.parameters.getTag("1") == "7" };
@id("soon") @mode("shadow") forbid (principal, action == Action::"read", resource in Label::"env=prod");
"""
# Noon in Berlin, on a day in winter.
OPENED_AT = 1_768_215_600.0
OPENED = Opened(
    "s_1", Principal("ann", "human", ("developers",)), "shop", "postgres", "app", "peer", "sha256:0", "1", OPENED_AT,
    OPENED_AT + 3600, ("opens",), "repair", "OPS-7",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "rules.cedar").write_text(RULES)
    entries = (
        StreamOpened("t_1"),
        Statement("t_1", 1, "select * from orders", "allow", ("reads",)),
        Statement("t_1", 2, "select * from rows where id = $1", "allow", ("reads",), shadow="deny by `soon`"),
        Executed("t_1", 3, 2, (b"7",)),
        Executed("t_1", 4, 2, (b"8",)),
        Executed("t_1", 5, 99, ()),
        StreamOpened("t_2"),
        Statement("t_2", 1, "drop table orders", "deny", ("default",)),
    )
    (tmp_path / "r.hoopx").write_bytes(chained(OPENED, *entries))
    return tmp_path


def hoopx(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"HOME": str(place), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run(
        [HOOPX, *arguments], cwd=place, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def explained(place: Path, *arguments: str) -> dict[str, Any]:
    done = hoopx(place, "policy", "explain", *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def recorded(place: Path, number: str, *more: str) -> dict[str, Any]:
    return explained(place, "--recording", "r.hoopx", "--statement", number, *more)


WHO = ("--as", "ann", "--groups", "developers", "--on", "shop")


def test_a_statement_is_explained_with_its_facts(place: Path) -> None:
    found = explained(place, "select name from orders limit 1", *WHO, "--at", "2026-01-12T12:00:00+01:00")
    assert found["ruling"] == "allow"
    (statement,) = found["statements"]
    assert statement["facts"]["columns"] == [
        {"schema": "public", "table": "orders", "column": "name", "action": "read", "through": []}
    ]
    assert statement["facts"]["has_limit"] is True
    assert [(each["resource"], each["rules"]) for each in statement["questions"]] == [("public.orders", ["reads"])]


def test_an_explanation_holds_as_of_the_time_that_is_given(place: Path) -> None:
    night = explained(place, "select 1", *WHO, "--at", "2026-01-12T03:00:00+01:00")
    assert (night["ruling"], night["rule"]) == ("deny", "by-day")


def test_the_opening_of_a_session_is_explained(place: Path) -> None:
    assert explained(place, "--connect", *WHO)["ruling"] == "deny"
    found = explained(place, "--connect", *WHO, "--ticket", "OPS-1")
    assert found["ruling"] == "allow"
    assert [each["rules"] for each in found["opening"]] == [["opens"]]


def test_a_recorded_statement_is_explained_as_of_then(place: Path) -> None:
    found = recorded(place, "t_1#1")
    assert (found["ruling"], found["shadow"]) == ("allow", "")
    assert found["recorded"]["statement"] == "t_1#1"
    assert found["recorded"]["rules"] == ["reads"]
    assert recorded(place, "t_1#1", "--at", "2026-01-12T03:00:00+01:00")["rule"] == "by-day"
    assert recorded(place, "t_1#1", "--label", "env=prod")["shadow"] == "deny by `soon`"
    assert recorded(place, "t_2#1")["ruling"] == "deny"


def test_a_prepared_statement_is_explained_with_what_it_ran_with(place: Path) -> None:
    assert recorded(place, "2")["ruling"] == "allow"
    assert recorded(place, "2")["recorded"]["shadow"] == "deny by `soon`"
    assert recorded(place, "3")["ruling"] == "allow"
    assert recorded(place, "4")["rule"] == "seven"


def test_a_recorded_opening_is_explained(place: Path) -> None:
    found = explained(place, "--recording", "r.hoopx", "--connect")
    assert (found["ruling"], found["rules"]) == ("allow", ["opens"])


def test_people_are_told_what_was_recorded_and_what_is_ruled_now(place: Path) -> None:
    done = hoopx(place, "policy", "explain", "--recording", "r.hoopx", "--statement", "t_1#1", "--label", "env=prod")
    assert "recorded t_1#1 of s_1 under policy sha256:0: allow by reads" in done.stderr
    assert done.stdout.splitlines()[-2:] == ["ruling: allow", "in shadow: deny by `soon`"]
    assert "    read on public.orders: permitted by reads; in shadow: soon" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--recording", "r.hoopx", "--statement", "1"), "say which: t_1#1, t_2#1"),
        (("--recording", "r.hoopx", "--statement", "9"), "no statement `9`"),
        (("--recording", "r.hoopx", "--statement", "t_3#1"), "no statement `t_3#1`"),
        (("--recording", "r.hoopx", "--statement", "one"), "no number of a statement"),
        (("--recording", "r.hoopx", "--statement", "5"), "prepared under a name"),
        (("--recording", "nowhere.hoopx", "--statement", "1"), "`nowhere.hoopx` cannot be read"),
        (("--recording", "r.hoopx"), "explain what?"),
        (("--recording", "r.hoopx", "--statement", "2", "--as", "bob", "--on", "x"), "leave out --as and --on"),
        (("select 1", "--connect", *WHO), "explain what?"),
        (("--extend", "--connect", *WHO), "--extend stands alone"),
        (("--extend", "--for", "long", *WHO), "is not a duration"),
        (("select 1", "--as", "ann"), "who, and where?"),
        (("--statement", "1"), "who, and where?"),
        (("select 1", *WHO, "--at", "noon"), "no time with its offset"),
        (("select 1", *WHO, "--at", "2026-01-12T12:00:00"), "no time with its offset"),
    ],
)
def test_what_cannot_be_explained_is_said(place: Path, arguments: tuple[str, ...], told: str) -> None:
    done = hoopx(place, "policy", "explain", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize("asked", [("--statement", "3"), ("--statement", "t_2#1"), ("--connect",)])
def test_an_exported_file_explains_what_its_bare_recording_does(place: Path, asked: tuple[str, ...]) -> None:
    part = head(b"{}", proved(b"{}"))
    (place / "exported.hoopx").write_bytes(part + (place / "r.hoopx").read_bytes())
    of_file = explained(place, "--recording", "exported.hoopx", *asked)
    assert of_file == explained(place, "--recording", "r.hoopx", *asked)


def test_a_recording_that_was_changed_explains_nothing(place: Path) -> None:
    whole = (place / "r.hoopx").read_bytes()
    (place / "r.hoopx").write_bytes(whole.replace(b"drop table", b"drop Table"))
    done = hoopx(place, "policy", "explain", "--recording", "r.hoopx", "--statement", "t_2#1")
    assert done.returncode == 2
    assert done.stdout == ""


def test_what_lies_behind_and_what_functions_are_is_told() -> None:
    known = catalog({}, {"public.turnover": ("payments.cards",)}, {"public.vat": "immutable"})
    text = render(explain(shipped(), ANN, target(), "select vat(1) from turnover", NOW, known))
    assert "  functions: public.vat (immutable)" in text
    assert "read payments.cards (behind public.turnover)" in text
    assert "read on payments.cards (behind public.turnover): forbidden by nothing, and needs no permit" in text


def test_no_name_in_a_statement_can_forge_a_line() -> None:
    text = render(explain(shipped(), ANN, target(), 'select * from "t\nruling: allow"', NOW))
    assert [line for line in text.splitlines() if line.startswith("ruling")] == ["ruling: allow"]
    assert "\\x0aruling" in text


NOON = ("--at", "2026-01-12T12:00:00+01:00")
ON_BEHALF = ("--as", "claude", "--groups", "agents", "--on", "shop", "--on-behalf-of", "ann", *NOON)


def test_an_agent_on_behalf_of_somebody_is_asked_about_twice(place: Path) -> None:
    told = hoopx(place, "policy", "explain", "select * from orders", *ON_BEHALF, "--their-groups", "developers")
    assert "    claude: read on public.orders: nothing permits it" in told.stdout.splitlines()
    assert "    ann: read on public.orders: permitted by reads" in told.stdout.splitlines()
    assert told.stdout.splitlines()[-1].startswith("ruling: deny by `default`: `claude` may not: ")
    said = json.loads(hoopx(place, "policy", "explain", "--connect", *ON_BEHALF, "-o", "json").stdout)
    assert [one["who"] for one in said["opening"]] == ["claude", "ann"]


def test_that_a_session_goes_on_is_explained_with_what_is_demanded_for_it(place: Path) -> None:
    short = explained(place, "--extend", "--for", "10m", *WHO)
    assert (short["ruling"], short["rules"]) == ("allow", ["stays"])
    told = hoopx(place, "policy", "explain", "--extend", "--for", "30m", *WHO, *NOON).stdout.splitlines()
    assert told == [
        "  extend on shop: forbidden by stays-by-word",
        "ruling: ask 1 of dba because of stays-by-word: stays-by-word",
        "  condition: a reason",
        "  condition: asked Mon-Fri 13:00-17:00 Europe/Berlin (closed until 2026-01-12 13:00 CET)",
    ]
    asked = explained(place, "--extend", "--for", "30m", *WHO)
    assert asked["conditions"]["needs_reason"] is True
    assert asked["conditions"]["ask_within"][0][0]["zone"] == "Europe/Berlin"


def test_groups_of_a_human_whom_nobody_named_are_refused(place: Path) -> None:
    refused = hoopx(place, "policy", "explain", "select 1", "--as", "a", "--on", "shop", "--their-groups", "x")
    assert (refused.returncode, "--on-behalf-of" in refused.stderr) == (2, True)
