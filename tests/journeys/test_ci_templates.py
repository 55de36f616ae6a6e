"""What lies in `deploy/ci` is run as it is written there, by doubles of the runners, with honest and hostile inputs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from hoopx_broker import __version__
from tests.journeys.jobs_stage import AUDIENCE, JobsStage, jobs_stage
from tests.peers.clients import Outcome
from tests.peers.postgres import Postgres
from tests.peers.runners import (
    ACTION,
    COMPONENT,
    GitHubRunner,
    RefusedInput,
    gitlab_job,
    run_gitlab_job,
)
from tests.unit.job_claims import github, github_pull_request, gitlab

COUNT = "psql -XAtc 'SELECT count(*) FROM orders'"


@pytest.fixture(scope="module")
def jobs(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsStage]:
    with jobs_stage(tmp_path_factory.mktemp("jobs"), postgres) as stage:
        yield stage


@pytest.fixture
def runner(jobs: JobsStage, tmp_path: Path) -> GitHubRunner:
    """A runner with hoopx on its PATH, in a job that may come to production."""
    return GitHubRunner(tmp_path / "runner", without_broker(jobs, jobs.hub.job(github())))


def without_broker(jobs: JobsStage, job: Mapping[str, str]) -> dict[str, str]:
    environ = jobs.environment_of(job)
    return {name: value for name, value in environ.items() if name not in ("HOOPX_BROKER", "HOOPX_CA")}


def nothing_was_done(folder: Path) -> None:
    assert [path.name for path in (folder / "work").iterdir()] == []


# --- GitHub ---------------------------------------------------------------------------------------------------


def test_the_action_runs_a_script_with_a_session(jobs: JobsStage, runner: GitHubRunner) -> None:
    done = runner.uses(ACTION, broker=jobs.url, ca=jobs.fingerprint, target="shop-prod", run=COUNT)
    assert done.fine().out.splitlines()[-1] == "400"
    jobs.nothing_remains()


def test_the_actions_script_fails_as_a_step_does(jobs: JobsStage, runner: GitHubRunner) -> None:
    script = "false | true\ntouch went-on"
    done = runner.uses(ACTION, broker=jobs.url, ca=jobs.fingerprint, target="shop-prod", run=script)
    assert done.code == 1
    nothing_was_done(runner.folder)


def test_the_action_opens_several_targets(jobs: JobsStage, runner: GitHubRunner) -> None:
    script = 'psql -XAtc "SELECT 1" "$SHOP_PROD_DATABASE_URL"; psql -XAtc "SELECT 2" "$SHOP_DEV_DATABASE_URL"'
    done = runner.uses(ACTION, broker=jobs.url, ca=jobs.fingerprint, target="shop-prod shop-dev", run=script)
    assert done.fine().out.splitlines()[-2:] == ["1", "2"]


def test_a_reason_with_all_kinds_of_signs_reaches_the_recording(jobs: JobsStage, runner: GitHubRunner) -> None:
    reason = """it's "$(touch pwned)" `touch pwned` ${HOME} & ; | > x \\ --wait=1h"""
    given = {"broker": jobs.url, "ca": jobs.fingerprint, "target": "shop-prod", "reason": reason, "ticket": "-1"}
    runner.uses(ACTION, **given, run="true").fine()
    nothing_was_done(runner.folder)
    listed = jobs.in_job(jobs.hub.job(github()), "sessions", "ls", "-o", "json", "--limit", "1").fine().out
    said = yaml.safe_load(listed.splitlines()[0])
    session = said[0] if isinstance(said, list) else said
    assert (session["reason"], session["ticket"]) == (reason, "-1")


def test_without_a_script_the_steps_that_follow_are_made_ready(jobs: JobsStage, runner: GitHubRunner) -> None:
    runner.uses(ACTION, broker=jobs.url, ca=jobs.fingerprint).fine()
    later = {"shell": "bash", "run": f"hoopx exec shop-prod -- {COUNT}"}
    assert runner.step(later, {}).fine().out == "400\n"
    assert runner.environ["HOOPX_HOME"].startswith(str(runner.folder))


HOSTILE = [
    {"target": "x; touch pwned"},
    {"target": "shop-prod; touch pwned"},
    {"target": "$(touch pwned)"},
    {"target": "`touch pwned`"},
    {"target": "shop-prod\ntouch pwned"},
    {"target": '"; touch pwned; "'},
    {"target": "'; touch pwned; '"},
    {"target": "--request=r_1"},
    {"target": "shop-prod --help"},
    {"target": "*"},
    {"target": ""},
    {"broker": "https://127.0.0.1:1; touch pwned"},
    {"broker": "https://127.0.0.1:1\nLD_PRELOAD=/tmp/evil.so"},
    {"broker": "$(touch pwned)"},
    {"ca": "$(touch pwned)"},
    {"ca": "x\nPATH=/tmp"},
    {"audience": "x\nPATH=/tmp"},
    {"reason": "a\nb"},
    {"ticket": "a\rb"},
    {"wait": "15m; touch pwned"},
    {"wait": "$(touch pwned)"},
]


@pytest.mark.parametrize("given", HOSTILE, ids=str)
def test_a_hostile_input_of_the_action_runs_nothing(
    jobs: JobsStage, runner: GitHubRunner, given: dict[str, str]
) -> None:
    honest = {"broker": jobs.url, "ca": jobs.fingerprint, "target": "shop-prod", "run": "touch ran"}
    before = dict(runner.environ)
    done = runner.uses(ACTION, **(honest | given))
    assert done.code != 0
    nothing_was_done(runner.folder)
    assert runner.environ == before


@pytest.mark.parametrize("given", [each for each in HOSTILE if "target" not in each], ids=str)
def test_nor_does_it_reach_the_steps_that_follow(jobs: JobsStage, runner: GitHubRunner, given: dict[str, str]) -> None:
    """Without `run` the inputs go into GITHUB_ENV, where a line end would begin a variable of its own."""
    before = dict(runner.environ)
    runner.uses(ACTION, **({"broker": jobs.url, "ca": jobs.fingerprint} | given))
    assert set(runner.environ) - set(before) <= {"HOOPX_BROKER", "HOOPX_CA", "HOOPX_AUDIENCE", "HOOPX_HOME"}
    assert runner.environ["PATH"] == before["PATH"]
    nothing_was_done(runner.folder)


def test_no_input_stands_in_the_text_of_a_script() -> None:
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    assert all("${{" not in step["run"] for step in steps)
    text = COMPONENT.read_text().partition("\n---\n")[2]
    job = next(iter(yaml.safe_load(text.replace("$[[ inputs.job ]]", "job")).values()))
    assert "$[[" not in "".join([*job["before_script"], *job["script"]])


def test_a_pull_request_from_a_fork_gets_nothing_through_the_action(jobs: JobsStage, tmp_path: Path) -> None:
    runner = GitHubRunner(tmp_path / "runner", without_broker(jobs, jobs.hub.job(github_pull_request())))
    done = runner.uses(ACTION, broker=jobs.url, ca=jobs.fingerprint, target="shop-prod", run="touch ran")
    assert done.code == 11
    assert "this token is not accepted" in done.err
    nothing_was_done(runner.folder)


# --- installing -----------------------------------------------------------------------------------------------


def shelf(folder: Path, version: str) -> Path:
    """A folder with a package `hoopx` of that version, as an index would give it: its command says what it is."""
    folder.mkdir()
    info = f"hoopx-{version}.dist-info"
    with zipfile.ZipFile(folder / f"hoopx-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hoopx_double.py", f"def main():\n    print('hoopx double {version}')\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: hoopx\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nhoopx = hoopx_double:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def bare(tmp_path: Path, version: str) -> dict[str, str]:
    """A machine without hoopx, whose index has that one version."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shelf(tmp_path / "shelf", version)),
    }


def test_the_action_installs_the_version_it_names(jobs: JobsStage, tmp_path: Path) -> None:
    runner = GitHubRunner(tmp_path / "runner", bare(tmp_path, __version__))
    runner.uses(ACTION, broker=jobs.url).fine()
    seen = runner.step({"shell": "bash", "run": "hoopx; command -v pip python | grep -c runner || true"}, {})
    assert seen.fine().out == f"hoopx double {__version__}\n0\n"  # and nothing else of its environment


@pytest.mark.slow
def test_the_action_installs_no_other_version(jobs: JobsStage, tmp_path: Path) -> None:
    runner = GitHubRunner(tmp_path / "runner", bare(tmp_path, "9.9"))
    assert runner.uses(ACTION, broker=jobs.url).code == 1


@pytest.mark.parametrize("version", ["1; touch pwned", "$(touch pwned)", "--pre", "1 evil", "", "1.0 --index-url=x"])
def test_what_is_no_version_installs_nothing(jobs: JobsStage, tmp_path: Path, version: str) -> None:
    runner = GitHubRunner(tmp_path / "runner", bare(tmp_path, "1"))
    assert runner.uses(ACTION, broker=jobs.url, version=version).code == 2
    nothing_was_done(runner.folder)


def test_the_templates_name_this_version() -> None:
    assert yaml.safe_load(ACTION.read_text())["inputs"]["version"]["default"] == __version__
    spec = next(yaml.safe_load_all(COMPONENT.read_text().partition("\n---\n")[0]))["spec"]
    assert spec["inputs"]["version"]["default"] == __version__


# --- GitLab ---------------------------------------------------------------------------------------------------


def honest(jobs: JobsStage, **more: str) -> dict[str, str]:
    given = {"broker": jobs.url, "ca": jobs.fingerprint, "audience": AUDIENCE, "target": "shop-prod", "run": COUNT}
    return given | more


def in_gitlab(jobs: JobsStage, folder: Path, given: dict[str, str], shell: str = "bash", **more: str) -> Outcome:
    """The component as GitLab runs it, with the token that its `id_tokens` ask for."""
    job = gitlab_job(COMPONENT, **given)
    id_tokens = {name: said["aud"] for name, said in job["id_tokens"].items()}
    return run_gitlab_job(job, folder, without_broker(jobs, jobs.lab.job(gitlab(), **id_tokens)) | more, shell)


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_component_runs_a_command_with_a_session(jobs: JobsStage, tmp_path: Path, shell: str) -> None:
    assert in_gitlab(jobs, tmp_path, honest(jobs), shell).fine().out == "400\n"
    jobs.nothing_remains()


def test_the_components_job_is_where_it_was_put() -> None:
    inputs = {"broker": "https://b.example", "audience": "hoopx", "target": "x", "run": "true", "stage": "test"}
    assert gitlab_job(COMPONENT, **inputs)["stage"] == "test"


def test_a_command_with_all_kinds_of_signs_comes_through_the_component(jobs: JobsStage, tmp_path: Path) -> None:
    command = """printf '%s\\n' "it's: #1 \\\\ & {a: b} [c] * ! % @ $((1+1))" - '"'"""
    reason = """it's "$(touch pwned)" `x` ${HOME}: #1 {a} *b & ; | > x \\"""
    given = honest(jobs, run=command, reason=reason, ticket="- a: b")
    assert in_gitlab(jobs, tmp_path, given).fine().out == "it's: #1 \\ & {a: b} [c] * ! % @ 2\n-\n\"\n"
    nothing_was_done(tmp_path)


def test_the_component_needs_the_rights_of_its_job(jobs: JobsStage, tmp_path: Path) -> None:
    job = gitlab_job(COMPONENT, **honest(jobs, run="touch ran"))
    request = jobs.lab.job(gitlab(pipeline_source="merge_request_event"), HOOPX_ID_TOKEN=AUDIENCE)
    done = run_gitlab_job(job, tmp_path, without_broker(jobs, request), "bash")
    assert done.code == 11
    nothing_was_done(tmp_path)


REFUSED = [
    {"target": "x; touch pwned"},
    {"target": "$(touch pwned)"},
    {"target": "--request=r_1"},
    {"target": "shop-prod --help"},
    {"target": "shop-prod\nscript: [touch pwned]"},
    {"target": ""},
    {"broker": "http://127.0.0.1"},
    {"broker": "https://127.0.0.1\n      expand: true"},
    {"broker": "https://127.0.0.1/$(touch pwned)"},
    {"broker": "https://$CI_SERVER_HOST"},
    {"audience": "a, b"},
    {"audience": "[sts.amazonaws.com, b]"},
    {"audience": "a\n  script: x"},
    {"run": "true\n      expand: true\n  script: [touch pwned]"},
    {"run": ""},
    {"reason": "a\nb"},
    {"ticket": "a\r"},
    {"wait": "15m; touch pwned"},
    {"job": "x:\n  script: [touch pwned]\ny"},
    {"stage": "[touch]: x"},
    {"image": "x\nscript: y"},
    {"version": "1 --index-url=https://evil.example"},
    {"ca": "'; touch pwned; '"},
    {"unknown": "x"},
]


@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_a_hostile_input_of_the_component_makes_no_pipeline(jobs: JobsStage, given: dict[str, str]) -> None:
    with pytest.raises(RefusedInput):
        gitlab_job(COMPONENT, **(honest(jobs) | given))


@pytest.mark.parametrize("target", ["x; touch pwned", "$(touch pwned)", "--help", "*", "-", "a*", "shop-prod --help"])
def test_nor_does_a_hostile_variable_of_a_pipeline_run_anything(jobs: JobsStage, tmp_path: Path, target: str) -> None:
    done = in_gitlab(jobs, tmp_path, honest(jobs, run="touch ran"), HOOPX_INPUT_TARGET=target)
    assert done.code == 2
    nothing_was_done(tmp_path)


@pytest.mark.slow
def test_the_component_installs_the_version_it_names(jobs: JobsStage, tmp_path: Path) -> None:
    job = gitlab_job(COMPONENT, **honest(jobs))
    done = run_gitlab_job(job, tmp_path, bare(tmp_path, __version__), "bash")
    assert done.fine().out == f"hoopx double {__version__}\n"
