"""Approvals from the command line: what commands say and leave with, jobs that ask by a key, the page's examples."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.journeys.approvals_stage import ASKING, BOTH, SHUT, STRICT, ApprovalsStage, blocks
from tests.journeys.stage import Running, playing
from tests.peers import clients, found
from tests.peers.clients import Outcome
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

REQUEST = r"\b(r_[0-9a-z]{10})\b"
ASK = ("request", STRICT, "--ticket", "OPS-1", "--reason")


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalsStage]:
    found.require("psql")
    with playing(ApprovalsStage(tmp_path_factory.mktemp("approvals"), postgres)) as played:
        yield played


@pytest.fixture(scope="module")
def ids(stage: ApprovalsStage) -> dict[str, str]:
    """A request in each state that people run into."""
    made = {name: _asked(stage, *ASK, name) for name in ("waiting", "denied", "cancelled", "approved")}
    stage.hoopx("deny", made["denied"], "--comment", "not today", who="dora").fine()
    stage.hoopx("approve", made["approved"], who="dora").fine()
    stage.hoopx("requests", "cancel", made["cancelled"]).fine()
    assert stage.hoopx(*ASK, "late", "--wait", "1s").code == 12
    [late] = [one for one in stage.listed("requests", "ls", "--mine") if one["reason"] == "late"]
    assert late["state"] == "waiting" or late["state"] == "expired"
    keyed = _asked(stage, *ASK, "keyed", "--key", "run-1")
    two = _asked(stage, "request", BOTH)
    stage.hoopx("approve", two, who="dora").fine()
    return made | {"expired": late["id"], "keyed": keyed, "two": two}


# Who does what, the code they leave with, and what they are told.
TABLE = {
    "an unknown id is approved": ("dora", "approve r_none", 2, "there is no request `r_none`"),
    "an unknown id is denied": ("dora", "deny r_none", 2, "there is no request `r_none`"),
    "an unknown id is shown": ("dora", "requests show r_none", 2, "there is no request `r_none`"),
    "an unknown id is awaited": ("ann", "requests wait r_none", 2, "there is no request `r_none`"),
    "an unknown id is cancelled": ("ann", "requests cancel r_none", 2, "there is no request `r_none`"),
    "an unknown id is reviewed": ("sam", "requests review r_none --accept", 2, "there is no request `r_none`"),
    "denied already": ("dave", "approve {denied}", 2, r"already denied \(by `dora`, "),
    "denied after it was cancelled": ("dave", "deny {cancelled}", 2, "already cancelled"),
    "denied after it was approved": ("dave", "deny {approved}", 2, r"already approved \(by `dora`, "),
    "cancelled twice": ("ann", "requests cancel {cancelled}", 2, "already cancelled"),
    "too late": ("dora", "approve {expired}", 2, "already expired"),
    "not an approver": ("bob", "approve {waiting}", 10, "decided by 1 of `dba`, and `bob` is in none"),
    "not an approver denies": ("bob", "deny {waiting}", 10, "decided by 1 of `dba`, and `bob` is in none"),
    "a stranger looks": ("bob", "requests show {waiting}", 10, "decided by 1 of `dba`"),
    "of one group and not the other": ("bob", "approve {two}", 10, "decided by 2 of `dba` and 1 of `security`"),
    "one's own": ("ann", "approve {waiting}", 10, "is your own"),
    "one's second account": ("dora-admin", "approve {waiting}", 10, "is your own"),
    "cancelled by an approver": ("dora", "requests cancel {waiting}", 10, "belongs to `ann`"),
    "no reason": ("ann", f"request {STRICT} --ticket OPS-1", 2, "asks for a reason"),
    "no ticket": ("ann", f"request {STRICT} --reason x", 2, "asks for a ticket"),
    "a ticket of another form": ("ann", f"request {STRICT} --reason x --ticket Ops-1", 2, "ticket `Ops-1`"),
    "half a ticket": ("ann", f"request {STRICT} --reason x --ticket OPS-1x", 2, "ticket `OPS-1x`"),
    "outside of the hours": ("ann", f"request {SHUT} --reason x", 10, "lets nobody ask now: ... 00:00-23:59 UTC"),
    "a key for something else": (
        "ann",
        f"request {STRICT} --reason y --ticket OPS-1 --key run-1",
        2,
        "`run-1` belongs",
    ),
    "a key that is not text": ("ann", f"request {STRICT} --reason x --ticket OPS-1 --key a\ab", 2, "printable"),
    "a key that is empty": ("ann", f"request {STRICT} --reason x --ticket OPS-1 --key ", 2, "--key is empty"),
    "a run's key that is empty": ("ann", f"exec {STRICT} --key  -- true", 2, "--key is empty"),
    "nothing to ask": ("ann", "request shop-dev", 2, "needs no approval"),
    "no such target": ("ann", "request shop-dve", 2, "there is no target `shop-dve`"),
    "no such state": ("ann", "requests ls --state open", 2, "is no state of a request"),
    "no such review": ("ann", "requests ls --review done", 2, "is no state of a review"),
    "awaited and refused": ("ann", "requests wait {denied}", 13, "refused by dora: not today"),
    "awaited and cancelled": ("ann", "requests wait {cancelled}", 12, "is cancelled"),
    "awaited and too late": ("ann", "requests wait {expired}", 12, "is expired"),
    "awaited in vain": ("ann", "requests wait {waiting} --wait 1s", 12, "not answered yet: 1 person to agree"),
    "some are missing": ("ann", "requests wait {two} --wait 1s", 12, "at least 2 of 3 to agree"),
    "not to be reviewed": ("sam", "requests review {waiting} --accept", 2, "did not go through broken glass"),
    "reviewed with no word": ("sam", "requests review {waiting}", 2, "say what you think"),
    "reviewed with two": ("sam", "requests review {waiting} --accept --object", 2, "say what you think"),
    "glass to ask": ("oscar", f"request {STRICT} --break-glass --reason x", 2, "nothing to ask for"),
    "two wishes": ("ann", f"request {STRICT} --unmask email --extend s_1", 2, "exclude each other"),
    "watching one": ("dora", "approve {waiting} --watch", 2, "--watch shows all"),
    "opened by another's": ("bob", f"exec {STRICT} --request {{approved}} -- true", 2, "there is no request"),
    "opened by a refusal": ("ann", f"exec {STRICT} --request {{denied}} -- true", 13, "`dora` denied request"),
    "opened by what waits": ("ann", f"exec {STRICT} --request {{waiting}} -- true", 12, "waits for 1 of `dba`"),
    "opened by what is over": ("ann", f"exec {STRICT} --request {{cancelled}} -- true", 10, "was cancelled"),
    "opened elsewhere": ("ann", "exec payments-prod --request {approved} -- true", 10, "another target"),
    "two approvals named": ("ann", f"exec {STRICT} --request r_1 --key k -- true", 2, "give one of them"),
    "without a login": ("lena", f"request {STRICT}", 11, "log in"),
}


@pytest.mark.parametrize("what", TABLE)
def test_each_mistake_has_its_code_and_one_line(stage: ApprovalsStage, ids: dict[str, str], what: str) -> None:
    who, line, code, told = TABLE[what]
    outcome = stage.hoopx(*line.format(**ids).split(" "), who=who)
    assert outcome.code == code, outcome.err
    said = [text for text in outcome.err.splitlines() if text.startswith("hoopx: ")]
    assert len(said) == 1, outcome.err
    assert re.search(told, said[0] + outcome.err), outcome.err
    assert outcome.err.splitlines()[-2:][0] == said[0] or outcome.err.splitlines()[-1] == said[0]


def test_a_target_tells_beforehand_what_a_request_must_fulfil(stage: ApprovalsStage) -> None:
    shown = stage.hoopx("show", STRICT).fine().out
    glass = "or at once by whoever is in `oncall`, reviewed by 1 of `security`"
    for told in ("a reason", "a ticket like `OPS-[0-9]+`", "at most 1h", glass):
        assert told in shown
    [view] = stage.listed("show", STRICT)
    assert (view["conditions"]["tickets"], view["conditions"]["longest"]) == (["OPS-[0-9]+"], 3600)


def test_lists_are_narrowed_down(stage: ApprovalsStage, ids: dict[str, str]) -> None:
    def listed(*options: str, who: str = "dora") -> set[str]:
        return {one["id"] for one in stage.listed("requests", "ls", *options, who=who)}

    known = set(ids.values())
    assert listed("--to-decide") & known == {ids["waiting"], ids["keyed"]}  # on the other she has voted
    assert listed("--to-decide", who="dave") & known == {ids["waiting"], ids["keyed"], ids["two"]}
    assert not listed("--to-decide", who="ann")
    assert not listed("--to-decide", who="dora-admin") & known, "a second account has nothing to decide either"
    assert not listed("--mine")
    assert listed("--mine", who="ann") >= known
    assert listed("--state", "denied") & known == {ids["denied"]}
    assert listed("--target", BOTH) & known == {ids["two"]}
    assert not listed("--requester", "bob")
    assert len(listed("--limit", "2")) == 2


def test_a_request_is_the_same_in_json_wherever_it_is_printed(stage: ApprovalsStage, ids: dict[str, str]) -> None:
    shown = json.loads(stage.hoopx("requests", "show", ids["two"], "-o", "json", who="dora").fine().out)
    [listed] = [one for one in stage.listed("requests", "ls", who="dora") if one["id"] == ids["two"]]
    assert shown == listed
    assert {"id", "state", "kind", "approvers", "ballots", "conditions", "link", "glass", "review"} <= shown.keys()
    assert shown["link"].startswith(f"{stage.url}/requests/r_")
    assert [ballot["approver"] for ballot in shown["ballots"]] == ["dora"]


def test_ids_are_kept_for_the_shell_to_complete(stage: ApprovalsStage, ids: dict[str, str]) -> None:
    stage.hoopx("requests", "ls", who="dora").fine()
    [kept] = Path(stage.environment("dora")["HOOPX_HOME"]).rglob("names/*/*/requests")
    assert set(ids.values()) <= set(kept.read_text().split())


# Jobs.

MIGRATE = '#!/bin/sh\nexec psql -Atc "SELECT \'migrated\'" ${1:+-c "SELECT 1/0" -v ON_ERROR_STOP=1}\n'


@pytest.fixture
def job(stage: ApprovalsStage, tmp_path: Path) -> Iterator[Job]:
    with ExitStack() as begun:
        yield Job(stage, tmp_path, begun)


class Job:
    """The script of the page, as a runner runs it: a token of its own, no terminal, nobody logged in."""

    def __init__(self, stage: ApprovalsStage, folder: Path, begun: ExitStack) -> None:
        self.stage = stage
        self.folder = folder
        self._begun = begun
        (folder / "migrate").write_text(MIGRATE)
        (folder / "migrate").chmod(0o755)

    def begin(self, script: str, run: str) -> Running:
        environ = self.stage.environment("job", CI_PIPELINE_ID=run, CI_COMMIT="1a2b3c4", TICKET="OPS-7")
        running = Running(["/bin/sh", "-euc", f"cd {self.folder}\n{script}"], environ, self.folder)
        self._begun.callback(running.close)
        return running

    def request(self, running: Running) -> str:
        return running.says(REQUEST).group(1)


def test_a_job_asks_waits_runs_and_leaves_by_code(job: Job) -> None:
    (script, in_two_steps) = blocks("Jobs")
    running = job.begin(script, "run-7")
    request = job.request(running)
    again = job.begin(script, "run-7")  # tried again while people think
    assert job.request(again) == request
    running.close()
    job.stage.hoopx("approve", request, who="dora").fine()
    assert again.end().fine().out == "migrated\n"
    used = job.begin(script, "run-7").end()
    assert (used.code, used.out) == (10, "")
    assert "used already" in used.err
    steps = job.begin(in_two_steps, "run-8")
    job.stage.hoopx("approve", job.request(steps), who="dora").fine()
    assert steps.end().fine().out == "migrated\n"


def test_a_refusal_stops_a_job_and_its_retry(job: Job) -> None:
    script = blocks("Jobs")[0]
    running = job.begin(script, "run-9")
    job.stage.hoopx("deny", job.request(running), "--comment", "freeze", who="dora").fine()
    for outcome in (running.end(), job.begin(script, "run-9").end()):
        assert (outcome.code, outcome.out) == (13, "")
        assert "freeze" in outcome.err


def test_the_code_of_a_child_is_its_own_whatever_people_said(stage: ApprovalsStage) -> None:
    request = _asked(stage, *ASK, "fails")
    stage.hoopx("approve", request, who="dora").fine()
    assert stage.hoopx("exec", STRICT, "--request", request, "--", "sh", "-c", "exit 12").code == 12


# At Ctrl-C.


@pytest.mark.parametrize("command", ["exec", "connect"])
def test_an_interrupted_wait_takes_its_own_request_back(stage: ApprovalsStage, command: str) -> None:
    ended, request = _interrupted(stage, command, "--wait", "2m")
    assert ended.code == 130
    assert f"request {request} was taken back" in ended.err
    assert _state(stage, request) == "cancelled"


def test_an_interrupted_wait_leaves_what_has_a_name_or_was_there_before(stage: ApprovalsStage) -> None:
    _, keyed = _interrupted(stage, "exec", "--wait", "2m", "--key", "mine")
    assert _state(stage, keyed) == "waiting"
    _, named = _interrupted(stage, "exec", "--wait", "2m", "--request", keyed)
    assert (named, _state(stage, keyed)) == (keyed, "waiting")
    before = _asked(stage, "request", "payments-prod", "--reason", "asked before")
    _, found_there = _interrupted(stage, "exec", "--wait", "2m", "--reason", "asked before")
    assert (found_there, _state(stage, before)) == (before, "waiting")


def _interrupted(stage: ApprovalsStage, command: str, *options: str) -> tuple[Outcome, str]:
    tail = ["--", "true"] if command == "exec" else []
    with closing(stage.begin(command, "payments-prod", *options, *tail)) as running:
        request = running.says(REQUEST).group(1)
        running.says("waiting; Ctrl-C")
        return running.end(signal.SIGINT), request


# The page.


def test_the_page_is_right_about_asking_and_deciding(stage: ApprovalsStage, tmp_path: Path) -> None:
    asking, _ = blocks("Ask")
    deciding, watching = blocks("Decide")
    running = Running(["/bin/sh", "-ec", asking], stage.environment("ann"), tmp_path)
    watch = Running(["/bin/sh", "-ec", f"exec {watching}"], stage.environment("dave"), tmp_path)
    with closing(running), closing(watch):
        request = running.says(REQUEST).group(1)
        watch.says(request)
        decided = clients.run(["/bin/sh", "-ec", deciding], stage.environment("dora", id=request)).fine()
        assert request in decided.out
        assert "restore order 17" in decided.out
        assert running.end().fine().out.splitlines()[-1] == "200"
        assert watch.end(signal.SIGINT).code == 130
        assert all(json.loads(line)["state"] == "waiting" for line in watch.out.splitlines())


def test_the_page_is_right_about_broken_glass(stage: ApprovalsStage) -> None:
    breaking, reviewing = blocks("Break the glass")
    broken = clients.run(["/bin/sh", "-ec", breaking], stage.environment("oscar")).fine()
    assert broken.out == "1\n"
    assert "GLASS BROKEN" in broken.err
    [open_] = stage.listed("requests", "ls", "--review", "open", who="sam")
    assert (open_["state"], open_["glass"], open_["requester"]) == ("used", True, "oscar")
    for who, told in (("oscar", "is your own"), ("dora", "reviewed by 1 of `security`")):
        refused = stage.hoopx("requests", "review", open_["id"], "--accept", who=who)
        assert (refused.code, told in refused.err) == (10, True)
    assert "on prod-db: 1 statements" in stage.hoopx("requests", "show", open_["id"], who="sam").fine().out
    reviewed = clients.run(["/bin/sh", "-ec", reviewing], stage.environment("sam", id=open_["id"])).fine()
    assert "accepted" in reviewed.err
    assert not stage.listed("requests", "ls", "--review", "open", who="sam")
    assert stage.hoopx("requests", "review", open_["id"], "--object", who="sam").code == 2


@pytest.mark.parametrize(
    ("who", "options", "code", "told"),
    [
        ("oscar", [], 2, "needs a reason"),
        ("ann", ["--reason", "now"], 10, "may not break the glass of rule `prod-needs-approval`"),
    ],
)
def test_glass_is_not_broken(stage: ApprovalsStage, who: str, options: list[str], code: int, told: str) -> None:
    outcome = stage.hoopx("exec", ASKING, "--break-glass", *options, "--", "true", who=who)
    assert (outcome.code, outcome.out) == (code, "")
    assert told in outcome.err


def test_the_page_is_right_about_more_time(stage: ApprovalsStage, tmp_path: Path) -> None:
    _, extending = blocks("Ask")
    options = ["--break-glass", "--reason", "a long restore", "--for", "5m"]
    with closing(stage.begin("exec", ASKING, *options, "--", "sleep", "60", who="oscar")) as session:
        session.says("GLASS BROKEN")
        find = ["sessions", "ls", "--state", "open", "--target", ASKING]
        [open_] = eventually(lambda: stage.listed(*find, who="oscar"), "the session is open")
        environ = stage.environment("oscar", session=open_["id"])
        with closing(Running(["/bin/sh", "-ec", extending], environ, tmp_path)) as asking:
            request = asking.says(REQUEST).group(1)
            shown = stage.hoopx("approve", request, who="dora").fine().out
            assert "30 min more on prod-db" in shown
            assert f"session {open_['id']} goes on for 30 min more" in asking.end().fine().err
        session.says(f"{ASKING}: this session goes on until")
        session.end(signal.SIGTERM)


def _asked(stage: ApprovalsStage, *arguments: str) -> str:
    return stage.hoopx(*arguments).fine().out.strip()


def _state(stage: ApprovalsStage, request: str) -> str:
    return str(json.loads(stage.hoopx("requests", "show", request, "-o", "json").fine().out)["state"])
