"""The pages of `docs/tasks`, typed by the people that they are for: every example, in its order, at one broker."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
import yaml

from hoopx_cli.demo.ground import READY
from tests.journeys.agents import AgentStage
from tests.journeys.stage import playing, running, typed
from tests.journeys.test_login import log_in
from tests.peers import found
from tests.peers.clients import HOOPX, plain_environment
from tests.peers.postgres import Postgres
from tests.peers.processes import bound_to_us, eventually

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "docs" / "tasks"
NOTHING: Mapping[str, str] = {}
DSN = r"postgresql://\S+"


class Page:
    """A page's examples, taken one after another."""

    def __init__(self, name: str, stage: AgentStage) -> None:
        text = (TASKS / f"{name}.md").read_text()
        self._left: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
        self.stage = stage
        self.here = stage.home / f"page-{Path(name).name}"
        self.here.mkdir()

    def takes(self, language: str, **names: str) -> str:
        """The next example; its names are those of the stage then."""
        found_, text = self._left.pop(0)
        assert found_ == language, text
        usual = {
            "https://broker.example.com": self.stage.url,
            "sha256:FINGERPRINT": self.stage.fingerprint,
            "prod-db": "shop-prod",
            "pay-db": "payments-prod",
        }
        for name, ours in {**usual, **names}.items():
            text = text.replace(name, ours)
        return text

    def runs(self, text: str, who: str, more: Mapping[str, str] = NOTHING, code: int = 0) -> str:
        """As that person, line by line until one fails; gives what was printed. The last one leaves with `code`."""
        printed = ""
        *lines, last = text.strip().splitlines()
        for line in lines:
            printed += self._runs(line, who, 0, more)
        return printed + self._runs(last, who, code, more)

    def _runs(self, line: str, who: str, code: int, more: Mapping[str, str]) -> str:
        done = typed(line, self.environment(who, more), self.here)
        assert done.code == code, (line, done.out, done.err)
        return done.out

    def environment(self, who: str, more: Mapping[str, str]) -> dict[str, str]:
        environ = self.stage.environment(who, **more)
        return environ | {"PATH": f"{environ['PATH']}:{found.program('psql').parent}"}

    def is_done(self) -> None:
        assert self._left == [], "not every example was played"


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentStage]:
    found.require("psql")
    with playing(AgentStage(tmp_path_factory.mktemp("tasks"), postgres)) as played:
        yield played


@pytest.mark.parametrize("page", sorted(path.name for path in TASKS.glob("*.md")))
def test_a_page_begins_with_its_commands_and_its_links_lead_somewhere(page: str) -> None:
    text = (TASKS / page).read_text()
    assert re.match(r"# [^\n]+\n\n```sh\nhoopx ", text)
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", plain):
        path, _, section = target.partition("#")
        linked = TASKS / path
        assert linked.is_file(), target
        heads = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
        assert not section or section in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_a_first_connection(stage: AgentStage) -> None:
    page = Page("first-connection", stage)
    hoopx, login, *arguments = shlex.split(page.takes("sh"))
    assert (hoopx, login) == ("hoopx", "login")
    remembered = {"HOOPX_BROKER": "", "HOOPX_CA": ""}
    inside = f"{stage.url}/oidc"  # this broker takes people of another provider too
    log_in(stage, *arguments, "--issuer", inside, **remembered)
    assert "shop-prod" in page.runs(page.takes("sh"), "lena", remembered)
    _, *arguments = shlex.split(page.takes("sh"))
    with running(stage, *arguments, who="lena", **remembered) as connected:
        dsn = connected.says(DSN).group(0)
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select count(*) from orders").fetchone() == (400,)
        connected.end(signal.SIGINT)
    assert "400" in page.runs(page.takes("sh"), "lena", remembered)
    assert "fail" not in page.runs(page.takes("sh"), "lena", remembered)
    page.runs(page.takes("sh"), "lena")
    home = Path(stage.environment("lena")["HOME"])
    assert (home / ".local/share/bash-completion/completions/hoopx").read_bytes().startswith(b"# hoopx completion")
    page.runs(page.takes("sh"), "lena", remembered)
    page.is_done()


def test_a_ci_job(stage: AgentStage) -> None:
    page = Page("ci-job", stage)
    (page.here / "report.sql").write_text("select count(*) from orders;\n")
    job = {
        "HOOPX_TOKEN": "",
        "HOOPX_ID_TOKEN": stage.mint.token("ci", ("developers",)),
        "CI_COMMIT_SHA": "4f2a",
        "CI_PIPELINE_ID": "17",
        "SHELL": "",
    }
    assert "400" in page.runs(page.takes("sh"), "ann", job)
    (described,) = yaml.safe_load(page.takes("yaml")).values()
    install, *script = described["script"]
    assert install == "pip install hoopx"
    assert set(described["id_tokens"]) == {"HOOPX_ID_TOKEN"}
    assert "400" in page.runs("\n".join(script), "ann", job | described["variables"])
    assert page.runs(page.takes("sh"), "ann", job) == "the report failed with 3\n"
    waits = ["bash", "-euc", page.takes("sh")]
    with subprocess.Popen(waits, env=page.environment("ann", job), stdout=subprocess.PIPE, text=True) as waiting:
        (request,) = eventually(lambda: stage.listed("requests", "ls", "--to-decide", who="dora"), "it is asked")
        stage.hoopx("approve", request["id"], "--yes", who="dora").fine()
        assert "400" in waiting.communicate(timeout=100)[0]
        assert waiting.returncode == 0
    page.is_done()


def test_an_agent(stage: AgentStage) -> None:
    page = Page("agent", stage)
    assert re.search(r"\b\d+\b", page.runs(page.takes("sh"), "ann"))
    assert "shop-prod" in page.runs(page.takes("sh"), "ann")
    assert "claude" in page.runs(page.takes("sh"), "ann")
    page.is_done()


# Doubles of what is not here: an assistant, what makes another user of one, and what puts it into a container.
PROGRAMS = {
    "claude": 'echo "agent $HOOPX_AGENT at work"',
    "sudo": 'for last; do :; done; exec "$last"',
    "docker": 'echo "agent $HOOPX_AGENT in $*"',
}


def test_ways_to_start_an_agent(stage: AgentStage) -> None:
    page = Page("../agents", stage)
    for name, script in PROGRAMS.items():
        (page.here / name).write_text(f"#!/bin/sh\n{script}\n")
        (page.here / name).chmod(0o755)
    path = {"PATH": f"{page.here}:{page.environment('ann', NOTHING)['PATH']}"}
    lines = [line for _ in range(2) for line in page.takes("sh").replace("\\\n", "").splitlines()]
    commands = [line for line in lines if line.startswith("hoopx ")]
    told = [page.runs(command, "ann", path) for command in commands]
    assert told[:3] == ["agent 1 at work\n"] * 3
    assert told[3].startswith("agent 1 in run --rm -it --network=host")
    page.is_done()


def test_an_approver(stage: AgentStage) -> None:
    page = Page("approver", stage)
    first, second = (asked(stage, reason) for reason in ("one", "two"))
    told = page.runs(page.takes("sh", r_4k2m8q0xyz4k2m8q=first), "dora")
    assert first in told
    page.runs(page.takes("sh", r_7p3n5w1abc7p3n5w=second), "dora")
    states = {one["id"]: one["state"] for one in stage.listed("requests", "ls", who="dora")}
    assert (states[first], states[second]) == ("approved", "denied")
    page.runs(page.takes("sh"), "dora")
    page.is_done()


def asked(stage: AgentStage, reason: str) -> str:
    (request,) = stage.listed("request", "payments-prod", "--reason", reason, who="bob")
    return str(request["id"])


def test_a_policy_author(stage: AgentStage) -> None:
    page = Page("policy-author", stage)
    policies = page.here / "policies"
    shutil.copytree(ROOT / "policies", policies)
    recording = ROOT / "tests/golden/recordings/v2.hoopx"
    shutil.copy(recording, page.here / "session.hoopx")
    checks, rule = page.takes("sh"), page.takes("cedar")
    (policies / "tests" / "salaries.yaml").write_text(page.takes("yaml"))
    page.runs(checks, "ann", code=2)  # the case can fail
    (policies / "95-salaries.cedar").write_text(rule)
    page.runs(checks, "ann")
    assert "no-ddl-in-prod" in page.runs(page.takes("sh"), "ann")
    replay = page.takes("sh")
    (policies / "95-salaries.cedar").write_text(rule.replace('when { resource.name == "salaries" }', ""))
    assert page.runs(f"{replay.strip()} || echo left with $?", "ann")
    page.is_done()


def test_an_operator(stage: AgentStage) -> None:
    page = Page("operator", stage)
    check, run = page.takes("sh").splitlines()
    postgres = stage.postgres
    here = {"127.0.0.1:5432": f"{postgres.host}:{postgres.port}", "hoopx_admin": postgres.admin}
    configuration = page.takes("yaml", **here, **{"127.0.0.1:8443": "127.0.0.1:0"})
    (page.here / "hoopx.yaml").write_text(configuration.replace("database: app", f"database: {postgres.database}"))
    (page.here / "policies").symlink_to(ROOT / "policies")
    secrets = {"ANN_PASSWORD": "ann-types-this", "ADMIN_PASSWORD": postgres.admin_password}
    page.runs(check, "ann", secrets)
    ran_to_its_end(page, shlex.split(run), secrets)
    key = page.runs(page.takes("sh"), "ann", secrets)
    assert re.match(r"\S+\+[0-9a-f]{8}\+\S+\n", key)
    page.runs(page.takes("sh"), "ann", secrets)
    with running(stage, "exec", "shop-prod", "--", "psql", "-c", "select pg_sleep(60)", who="bob") as work:
        session = eventually(lambda: stage.open_sessions(), "bob is at work")
        assert ("shop-prod", "bob", None) in session
        assert "bob" in page.runs(page.takes("sh"), "olga")
        page.runs(page.takes("sh"), "sam")
        assert work.end().code != 0
    page.is_done()


def ran_to_its_end(page: Page, command: list[str], secrets: Mapping[str, str]) -> None:
    """A broker that is started, says that it is ready, and is stopped as a service manager stops it."""
    said = page.here / "broker.log"
    environ = plain_environment() | dict(secrets) | {"HOOPX_HOME": str(page.here), "HOME": str(page.here)}
    with said.open("wb") as log:
        program = [*bound_to_us(), str(HOOPX), *command[1:]]
        broker = subprocess.Popen(program, env=environ, cwd=page.here, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually(lambda: READY.search(said.read_text()), "the broker is ready")
    finally:
        broker.send_signal(signal.SIGTERM)
        assert broker.wait(60) == 0, said.read_text()
