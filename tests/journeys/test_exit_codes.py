"""The table of exit codes, each one provoked through the installed command: docs/cli.md has what they mean."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.stage import Stage, running
from tests.peers.clients import Outcome
from tests.peers.processes import closed_port

DOCS = Path(__file__).parents[2] / "docs"
WAITS = ("exec", "payments-prod", "--reason", "month end", "--wait", "2m", "--", "echo", "inside")
# Loaded by Python at its start: a bug of ours in the middle of a command.
PLANTED = """
import hoopx_cli.settings

def read(*given):
    raise RuntimeError("planted: Bearer 0123456789abcdef")

hoopx_cli.settings.read = read
"""


def ran(stage: Stage, *arguments: str, who: str = "ann", **more: str) -> Outcome:
    with running(stage, *arguments, who=who, **more) as command:
        return command.end()


def a_bug_of_ours(stage: Stage) -> Outcome:
    place = stage.home / "planted"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(PLANTED)
    outcome = ran(stage, "ls", PYTHONPATH=str(place))
    [log] = re.findall(r"its trace is in (\S+)", outcome.err)
    kept = Path(log).read_text()
    assert "RuntimeError: planted" in kept
    assert "0123456789abcdef" not in kept + outcome.err
    return outcome


def bad_usage(stage: Stage) -> Outcome:
    return ran(stage, "exec", "shop-prod", "--reson", "x", "--", "true")


def an_unknown_target(stage: Stage) -> Outcome:
    return ran(stage, "exec", "shop-prd", "--", "true")


def a_mistake_in_sql(stage: Stage) -> Outcome:
    return ran(stage, "sql", "shop-prod", "select 1/0")


def denied(stage: Stage) -> Outcome:
    return ran(stage, "exec", "shop-prod", "--", "true", who="nobody")


def not_logged_in(stage: Stage) -> Outcome:
    return ran(stage, "ls", HOOPX_TOKEN="")


def still_pending(stage: Stage) -> Outcome:
    return ran(stage, "exec", "payments-prod", "--reason", "in a hurry", "--", "echo", "inside")


def refused(stage: Stage) -> Outcome:
    with running(stage, *WAITS) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        stage.hoopx("deny", request, "--comment", "not today", who="dora").fine()
        return command.end()


def unreachable(stage: Stage) -> Outcome:
    return ran(stage, "ls", HOOPX_BROKER=f"https://127.0.0.1:{closed_port()}")


def a_target_that_is_down(stage: Stage) -> Outcome:
    return ran(stage, "exec", "asleep", "--", "echo", "inside")


def interrupted_by(number: signal.Signals) -> Callable[[Stage], Outcome]:
    def scene(stage: Stage) -> Outcome:
        with running(stage, *WAITS) as command:
            command.says(r"hoopx approve r_\w+")
            return command.end(number)

    return scene


def child(*command: str, options: tuple[str, ...] = ()) -> Callable[[Stage], Outcome]:
    return lambda stage: ran(stage, "exec", "shop-prod", *options, "--", *command)


# What happens, the code, and what stderr says of it; standard output is empty in each.
TABLE = {
    "fine": (child("true"), 0, r"\A\Z"),
    "a bug": (a_bug_of_ours, 1, r"\Ahoopx: unexpected: RuntimeError\n  this is a bug in hoopx; its trace is in .+\n\Z"),
    "usage": (bad_usage, 2, r"\Ahoopx: there is no option `--reson`; did you mean `--reason`\?\n  .+\n\Z"),
    "unknown": (an_unknown_target, 2, r"\Ahoopx: there is no target `shop-prd`\n  did you mean `shop-prod`\?\n\Z"),
    "SQL": (a_mistake_in_sql, 3, r"\AERROR:  division by zero\n\Z"),
    "denied": (denied, 10, r"\Ahoopx: .+\n(  .+\n)?\Z"),
    "log in": (not_logged_in, 11, r"\Ahoopx: .+\n  log in with `hoopx login`\n\Z"),
    "pending": (still_pending, 12, r"\Ahoopx: an approval is needed: request `r_\w+` waits for .+\n  .*--wait.*\n\Z"),
    "refused": (refused, 13, r"hoopx: .*not today"),
    "unreachable": (unreachable, 14, r"\Ahoopx: .+\n  .+\n\Z"),
    "target down": (a_target_that_is_down, 15, r"\Ahoopx: .+\n(  .+\n)?\Z"),
    "INT": (interrupted_by(signal.SIGINT), 130, "was taken back"),
    "TERM": (interrupted_by(signal.SIGTERM), 143, "was taken back"),
    "HUP": (interrupted_by(signal.SIGHUP), 129, "was taken back"),
    "QUIT": (interrupted_by(signal.SIGQUIT), 131, "was taken back"),
    "the child's": (child("sh", "-c", "exit 42"), 42, r"\A\Z"),
    "the child's 14": (child("sh", "-c", "exit 14"), 14, r"\A\Z"),
    "the child killed": (child("sh", "-c", "kill -KILL $$"), 137, r"\A\Z"),
    "no such command": (child("no-such-command"), 127, r"\Ahoopx: there is no command `no-such-command`\n  .+\n\Z"),
    "no program": (child("/"), 126, r"\Ahoopx: `/` cannot be run: is a directory\n  .+\n\Z"),
    "too long": (child("sleep", "600", options=("--timeout", "1s")), 124, r"\Athe command .*--timeout.*\n\Z"),
}


@pytest.mark.parametrize("happening", TABLE)
def test_each_exit_code_is_what_the_table_says(stage: Stage, happening: str) -> None:
    scene, code, says = TABLE[happening]
    outcome = scene(stage)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert re.search(says, outcome.err), outcome.err


def test_the_documented_codes_are_those_of_the_table() -> None:
    page = (DOCS / "cli.md").read_text().partition("## Exit codes\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if re.match(r"\| \d", line)]
    documented = {int(code) for row in rows for code in re.findall(r"\d+", row)}
    made_up = {42, 137}  # a child's own
    assert documented == {code for _, code, _ in TABLE.values()} - made_up
