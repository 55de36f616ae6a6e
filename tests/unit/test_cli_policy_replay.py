"""`hoopx policy replay`: recorded sessions under other policies, like compared with like."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.terms.entries import Approval, Entry, Executed, Finished, Notice, Opened, Statement, StreamOpened
from hoopx_broker.terms.people import Principal
from hoopx_cli.policy_replay import Bench, Judged, Tally, changes, judge_session
from hoopx_cli.scene import target_of
from tests.golden.cli_json import as_told
from tests.unit.cli_stage import HOOPX
from tests.unit.recording_scene import chained

OLD = """
@id("reads") permit (principal in Group::"developers", action == Action::"read", resource);
@id("writes") @approvers("dba") forbid (principal, action == Action::"update", resource)
unless { context.approvals.contains("dba") };
@id("updates") permit (principal, action == Action::"update", resource);
@id("calls") permit (principal, action == Action::"call", resource);
@id("opens") permit (principal, action == Action::"connect", resource);
@id("names") permit (principal, action == Action::"reveal", resource in DataClass::"name");
"""
OPENED_AT = 1_768_215_600.0
ANN = Principal("ann", "human", ("developers",))
OPENED = Opened(
    "s_1", ANN, "shop", "postgres", "app", "peer", "sha256:0", "1", OPENED_AT, OPENED_AT + 3600, ("opens",), "repair"
)
ASKED = Notice("t_1", "NOTICE", "00000", "waiting", approval=Approval("asked", "r_1", "statement"))
ENTRIES: tuple[Entry, ...] = (
    StreamOpened("t_1"),
    Statement("t_1", 1, "select email, name from customers", "allow", ("reads",), masked=("public.customers.email",)),
    Finished("t_1", 1, "SELECT 1", 1),
    ASKED,
    Statement("t_1", 2, "update orders set paid = true where id = 1", "allow", ("updates",), request="r_1"),
    Finished("t_1", 2, "UPDATE 1"),
    Statement("t_1", 3, "drop table orders", "deny", ("default",)),
    Statement("t_1", 4, "select * from orders where id = $1", "allow", ("reads",)),
    Executed("t_1", 5, 4, (b"7",)),
    Finished("t_1", 5, "SELECT 1", 1),
    Statement("t_1", 6, "select discount(1)", "allow", ("calls", "reads")),
    Finished("t_1", 6, "SELECT 1", 1),
    Statement("t_1", 7, "select nothing from", "deny", ("parse",)),
    Statement("t_1", 8, "select 1", "allow", ("reads",)),
    ASKED,
    Statement("t_1", 9, "update orders set paid = true where id = 2", "deny", ("writes",)),  # somebody said no
)
CLASSES = ["public.customers.email=email", "public.customers.name=name"]


def policies(folder: Path, rules: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "rules.cedar").write_text(rules)
    return folder


def judged(folder: Path, rules: str, against: str = "", opened: Opened = OPENED, *entries: Entry) -> list[Judged]:
    then = CedarJudge(load(policies(folder / "old", against))) if against else None
    target = target_of("shop", [], CLASSES)
    bench = Bench(CedarJudge(load(policies(folder / "new", rules))), then, lambda opened: target)
    return list(judge_session(bench, io.BytesIO(chained(opened, *(entries or ENTRIES)))))


def differing(found: list[Judged]) -> dict[str, list[str]]:
    return {one.name: list(changes(one)) for one in found if one.differs}


@pytest.mark.parametrize("against", ["", OLD], ids=["as recorded", "by the old policies"])
def test_the_same_policies_say_the_same(tmp_path: Path, against: str) -> None:
    found = judged(tmp_path, OLD, against)
    assert {one.name.rpartition("#")[2] for one in found} == {"", *map(str, range(1, 10))}
    assert differing(found) == {}


@pytest.mark.parametrize("against", ["", OLD], ids=["as recorded", "by the old policies"])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('resource in DataClass::"name"', 'resource in DataClass::"other"', {"t_1#1": ["masks more"]}),
        ('resource in DataClass::"name"', "resource", {"t_1#1": ["masks less"]}),
        ('@approvers("dba") ', "", {"t_1#2": ["ask to deny"], "t_1#9": ["ask to deny"]}),
        ('unless { context.approvals', 'when { context.ticket == "X" } unless { context.approvals',
         {"t_1#2": ["ask to allow"], "t_1#9": ["ask to allow"]}),
        ('"connect", resource);', '"connect", resource) when { context.duration < 600 };', {"": ["allow to deny"]}),
    ],
)  # fmt: skip
def test_what_would_differ_is_found(
    tmp_path: Path, against: str, before: str, after: str, expected: dict[str, list[str]]
) -> None:
    assert before in OLD
    assert differing(judged(tmp_path, OLD.replace(before, after), against)) == expected


def test_a_run_is_judged_with_the_values_it_ran_with(tmp_path: Path) -> None:
    rule = (
        OLD
        + """
@id("seven") forbid (principal, action == Action::"read", resource == Table::"shop/public.orders")
unless { context.parameters.pending }
unless { context.parameters.hasTag("1") && context.parameters.getTag("1") == "8" };
"""
    )
    found = differing(judged(tmp_path, rule))
    assert found["t_1#5"] == ["allow to deny"]
    assert "t_1#4" not in found  # it was only being prepared


def test_what_only_the_catalog_could_tell_is_told_apart(tmp_path: Path) -> None:
    rules = OLD.replace('@id("calls") permit (principal, action == Action::"call", resource);', "")
    found = judged(tmp_path, rules)
    tally = Tally()
    for one in found:
        tally.take(one)
    assert tally.changes == {}
    assert tally.in_doubt == {"allow to deny": 1}
    (doubtful,) = [one for one in found if one.differs]
    assert doubtful.in_doubt == ("function discount",)
    again = Tally()
    for one in judged(tmp_path, rules, OLD):  # the same facts on both sides: it is policy alone
        again.take(one)
    assert again.changes == {"allow to deny": 1}


def test_an_agent_is_judged_as_one(tmp_path: Path) -> None:
    bot = Principal("bot", "agent", ("developers",), on_behalf_of="eva", their_groups=("guests",))
    opened = structs.replace(OPENED, principal=bot)
    found = judged(tmp_path, OLD, "", opened, *ENTRIES[:3])
    assert differing(found) == {"t_1#1": ["allow to deny", "masks less"]}


def hoopx(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"HOME": str(place), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    command = [HOOPX, "policy", "replay", *arguments]
    return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_lists_what_differs_and_says_so_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "r.hoopx").write_bytes(chained(OPENED, *ENTRIES))
    policies(tmp_path / "policies", OLD)
    policies(
        tmp_path / "new", OLD.replace('@approvers("dba") ', "") + '@id("no") forbid (principal, action, resource);'
    )
    same = hoopx(tmp_path, "r.hoopx", "--label", "env=prod")
    assert (same.returncode, same.stdout) == (0, "")
    assert "1 sessions, 9 statements: nothing differs" in same.stderr
    assert "no classes of `shop` are known here" in same.stderr
    done = hoopx(tmp_path, "r.hoopx", "--policies", "new", "--against", "policies")
    assert done.returncode == 2
    assert "  s_1 t_1#2  ask by writes → deny by no" in done.stdout
    assert "    ann on shop: update orders set paid = true where id = 1" in done.stdout
    told = as_told("policy replay", hoopx(tmp_path, "r.hoopx", "--policies", "new", "-o", "json").stdout)
    assert told[-1]["type"] == "summary"
    assert told[0]["changes"] == ["allow to deny"]
    assert hoopx(tmp_path, "r.hoopx", "--policies", "new", "--exit-code", "0").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((), "which sessions?"), (("r.hoopx", "--user", "ann"), "sessions are named, and looked for"),
     (("./gone.hoopx",), "cannot be read"), (("r.hoopx", "--policies", "broken"), "not in order")],
)  # fmt: skip
def test_what_cannot_be_judged_is_said(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "r.hoopx").write_bytes(chained(OPENED))
    policies(tmp_path / "policies", OLD)
    policies(tmp_path / "broken", "permit (")
    done = hoopx(tmp_path, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
