"""Doubles of the runners of GitHub and GitLab: they run the steps of `deploy/ci` as they are written.

GitHub: composite actions, `${{ inputs }}`, the command of `shell: bash`, GITHUB_PATH and GITHUB_ENV by
docs.github.com/en/actions/reference/workflows-and-actions (metadata-syntax, workflow-syntax, workflow-commands).
GitLab: `spec:inputs` with `regex`, put into the text before it is read as YAML, and before_script and script as one
shell script, by docs.gitlab.com/ci/inputs and docs.gitlab.com/ci/yaml.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import re2
import yaml

from tests.peers.clients import Outcome

CI = Path(__file__).parents[2] / "deploy/ci"
ACTION = CI / "github/action.yml"
COMPONENT = CI / "gitlab/templates/hoopx.yml"
LIMIT = 120  # seconds for one step; the longest makes a virtual environment


class GitHubRunner:
    """One job on one machine, `folder`; `environ` is what its steps see beside what they set themselves."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self._command = 0
        self.work = folder / "work"
        self.work.mkdir(parents=True)

    def uses(self, action: Path, **given: str) -> Outcome:
        """Run a composite action; its first step that fails ends it."""
        described = yaml.safe_load(action.read_text())
        known = described["inputs"]
        assert set(given) <= set(known), "GitHub warns of unexpected inputs"
        inputs = {name: given.get(name, str(known[name].get("default", ""))) for name in known}
        assert described["runs"]["using"] == "composite"
        code, out, err = 0, "", ""
        for step in described["runs"]["steps"]:
            done = self.step(step, inputs)
            code, out, err = done.code, out + done.out, err + done.err
            if code:
                break
        return Outcome(code, out, err)

    def step(self, step: Mapping[str, Any], inputs: Mapping[str, str]) -> Outcome:
        """Expressions are put into the text of a script and into variables alike: only the latter is harmless."""
        assert step["shell"] == "bash"
        script = self._file("script.sh", _evaluated(step["run"], inputs))
        path, env = self._file("path"), self._file("env")
        variables = {name: _evaluated(value, inputs) for name, value in step.get("env", {}).items()}
        places = {"GITHUB_PATH": str(path), "GITHUB_ENV": str(env), "RUNNER_TEMP": str(self.folder)}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = _run(command, self.environ | variables | places, self.work)
        self._take(path.read_text().splitlines(), env.read_text().splitlines())
        return done

    def _take(self, paths: list[str], variables: list[str]) -> None:
        for path in paths:
            self.environ["PATH"] = f"{path}:{self.environ['PATH']}"
        for line in variables:
            name, _, value = line.partition("=")
            self.environ[name] = value

    def _file(self, name: str, content: str = "") -> Path:
        self._command += 1
        path = self.folder / f"{self._command}-{name}"
        path.write_text(content)
        return path


class RefusedInput(Exception):
    """GitLab makes no pipeline of this."""


def gitlab_job(component: Path, **given: str) -> dict[str, Any]:
    """The one job of a component that was included with these inputs. Raises `RefusedInput`."""
    head, _, body = component.read_text().partition("\n---\n")
    known = yaml.safe_load(head)["spec"]["inputs"]
    if unknown := set(given) - set(known):
        raise RefusedInput(f"unknown inputs {unknown}")
    values = {}
    for name, described in known.items():
        value = given.get(name, described.get("default"))
        if value is None:
            raise RefusedInput(f"`{name}` is missing")
        if "regex" in described and not re2.search(described["regex"], value):
            raise RefusedInput(f"`{name}` does not match")
        values[name] = value
    text = re.sub(r"\$\[\[ inputs\.([a-z_-]+) \]\]", lambda found: values[found.group(1)], body)
    jobs: dict[str, Any] = yaml.safe_load(text)
    (job,) = jobs.values()
    return dict(job)


def run_gitlab_job(job: Mapping[str, Any], folder: Path, environ: Mapping[str, str], shell: str) -> Outcome:
    """`environ` is what GitLab sets by itself, the job's `id_tokens` among it."""
    variables = {}
    for name, said in job["variables"].items():
        assert said["expand"] is False, "GitLab would fill other variables in"
        variables[name] = str(said["value"])
    script = folder / "job.sh"
    script.write_text("set -e\n" + "\n".join([*job["before_script"], *job["script"]]))
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return _run([shell, str(script)], {**variables, **environ}, work)


def _evaluated(text: str, inputs: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([a-z_-]+) \}\}", lambda found: inputs[found.group(1)], text)


def _run(command: list[str], environ: Mapping[str, str], work: Path) -> Outcome:
    done = subprocess.run(
        command, env=dict(environ), cwd=work, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
