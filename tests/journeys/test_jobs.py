"""Jobs with nothing stored: a token of GitHub, GitLab, a cluster or a trust domain is all they bring."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.journeys.jobs_stage import AUDIENCE, CLUSTER, JobsStage, jobs_stage
from tests.peers.job_issuers import GitHubDouble, GitLabDouble
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.workload_api import WorkloadApiDouble
from tests.unit.job_claims import github, github_pull_request, gitlab, kubernetes, svid

ID = "spiffe://example.org/ns/prod/sa/deployer"
COUNT = "psql -XAtc 'SELECT count(*) FROM orders'"


@pytest.fixture(scope="module")
def jobs(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsStage]:
    with jobs_stage(tmp_path_factory.mktemp("jobs"), postgres) as stage:
        yield stage


# --- GitHub ---------------------------------------------------------------------------------------------------


def test_a_job_of_github_works_on_production_with_nothing_stored(jobs: JobsStage) -> None:
    job = jobs.hub.job(github())
    environ = jobs.environment_of(job)
    assert not {"HOOPX_TOKEN", "HOOPX_HOME"} & set(environ)
    jobs.hub.audiences.clear()
    assert jobs.query(job).fine().out == "400\n"
    assert set(jobs.hub.audiences) == {AUDIENCE}
    jobs.nothing_remains()
    kept = [path for path in (jobs.home / "runner").rglob("*") if path.is_file() and path.stat().st_size]
    assert {path.name for path in kept if path.suffix != ".pem"} <= {"ports.json"}
    assert not any("eyJ" in path.read_text() for path in kept)


def test_one_command_asks_github_once(jobs: JobsStage) -> None:
    job = jobs.hub.job(github())
    jobs.hub.audiences.clear()
    jobs.query(job).fine()
    assert jobs.hub.audiences == [AUDIENCE]


def test_a_session_outlives_the_token_that_opened_it(jobs: JobsStage) -> None:
    job = jobs.hub.job(github())
    jobs.hub.audiences.clear()
    jobs.hub.life = 63.0  # a minute before its end a token is asked for anew
    try:
        outcome = jobs.in_job(job, "exec", "shop-prod", "--", "sh", "-c", f"sleep 6; {COUNT}")
    finally:
        jobs.hub.life = 300.0
    assert outcome.fine().out == "400\n"
    assert len(jobs.hub.audiences) > 1


def test_who_may_come_in_is_told_to_everybody(jobs: JobsStage) -> None:
    """So that a job knows which audience to ask for."""
    with urlopen(f"{jobs.url}/v1/about", context=ssl._create_unverified_context()) as answer:
        told = json.load(answer)["jobs"]
    assert {"issuer": jobs.hub.issuer, "audience": AUDIENCE} in told
    assert {"issuer": "spiffe://example.org", "audience": AUDIENCE} in told
    assert len(told) == 4


def test_the_broker_knows_the_job_by_its_subject_and_kind(jobs: JobsStage) -> None:
    me = json.loads(jobs.in_job(jobs.hub.job(github()), "whoami", "-o", "json").fine().out)
    assert (me["user"], me["kind"]) == ("repo:acme/shop:environment:production", "job")
    assert me["groups"] == ["developers"]


def test_the_session_in_the_list_is_the_jobs(jobs: JobsStage) -> None:
    job = jobs.hub.job(github())
    jobs.query(job).fine()
    listed = json.loads(jobs.in_job(job, "sessions", "ls", "-o", "json", "--limit", "1").fine().out.splitlines()[0])
    session = listed if isinstance(listed, dict) else listed[0]
    assert session["user"] == "repo:acme/shop:environment:production"


def test_what_the_runner_gave_the_job_stays_the_jobs(jobs: JobsStage) -> None:
    job = jobs.hub.job(github()) | {"HOOPX_ID_TOKEN": ""}
    seen = jobs.in_job(job, "exec", "shop-prod", "--", "env").fine().out
    assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" in seen
    assert "eyJ" not in seen  # no token of the job's, however it was had


def test_a_rule_may_make_an_agent_of_a_job(jobs: JobsStage) -> None:
    job = jobs.hub.job(github(repository="acme/review", sub="repo:acme/review:ref:refs/heads/main"))
    assert json.loads(jobs.in_job(job, "whoami", "-o", "json").fine().out)["kind"] == "agent"


ALLOWED: dict[str, dict[str, Any]] = {
    "a push": github(),
    "a run by hand": github(event_name="workflow_dispatch"),
    "a schedule": github(event_name="schedule"),
    "the newer `sub` with numbers": github(sub="repo:acme@65/shop@74:environment:production"),
    "a `sub` made to order": github(sub="repository_owner:acme"),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a pull request from a fork": (github_pull_request(), "`ref` is"),
    "a pull request that names the environment": (
        github_pull_request(environment="production", sub="repo:acme/shop:environment:production"),
        "`ref` is",
    ),
    "a pull request whose ref is the branch": (
        github_pull_request(environment="production", ref="refs/heads/main"),
        "not for proposed changes",
    ),
    "pull_request_target, which runs on the branch": (
        github(event_name="pull_request_target", head_ref="fix"),
        "not for proposed changes",
    ),
    "a comment": (github(event_name="issue_comment"), "not for proposed changes"),
    "the run of another workflow": (github(event_name="workflow_run"), "not for proposed changes"),
    "a merge queue": (github(event_name="merge_group", ref="refs/heads/gh-readonly-queue/main/pr-7"), "`ref` is"),
    "another repository": (github(repository="acme/shop-evil"), "`repository` is"),
    "another owner": (github(repository="mallory/shop"), "`repository` is"),
    "another environment": (github(environment="staging"), "`environment` is"),
    "no environment": (github(environment=None), "`environment` is missing"),
    "a branch that begins alike": (github(ref="refs/heads/main-evil"), "`ref` is"),
    "a branch in other letters": (github(ref="refs/heads/Main"), "`ref` is"),
    "a tag of that name": (github(ref="refs/tags/main", ref_type="tag"), "`ref` is"),
}


@pytest.mark.parametrize("claims", ALLOWED.values(), ids=ALLOWED)
def test_production_is_for(jobs: JobsStage, claims: dict[str, Any]) -> None:
    assert jobs.query(jobs.hub.job(claims)).fine().out == "400\n"


@pytest.mark.parametrize(("claims", "why"), REFUSED.values(), ids=REFUSED)
def test_production_is_not_for(jobs: JobsStage, claims: dict[str, Any], why: str) -> None:
    assert why in jobs.refused(jobs.query(jobs.hub.job(claims)))


def test_pull_requests_get_what_a_rule_gives_them_and_no_more(jobs: JobsStage) -> None:
    job = jobs.hub.job(github_pull_request(repository="acme/docs", sub="repo:acme/docs:pull_request"))
    assert jobs.groups(job) == ["ci-readers"]
    outcome = jobs.query(job)
    assert outcome.code in (2, 10), outcome  # `ci-readers` may see no target here
    assert outcome.out == ""


def test_another_issuers_token_with_the_same_words_is_refused(jobs: JobsStage) -> None:
    other = GitHubDouble()
    with other.running():
        outcome = jobs.query(other.job(github()))
        assert outcome.code == 11
        assert "takes no tokens of GitHub Actions" in outcome.err
        token = other.sign(github(iss=other.issuer, aud=AUDIENCE))
        assert "is not known" in jobs.refused(jobs.query({"HOOPX_TOKEN": token}))
        forged = other.sign(github(iss=jobs.hub.issuer, aud=AUDIENCE))
        assert "its key" in jobs.refused(jobs.query({"HOOPX_TOKEN": forged}))


def test_a_token_for_another_audience_is_refused(jobs: JobsStage) -> None:
    job = jobs.hub.job(github()) | {"HOOPX_AUDIENCE": "https://vault.example.com"}
    assert "its audience" in jobs.refused(jobs.query(job))


def test_a_job_without_the_permission_is_told_what_it_lacks(jobs: JobsStage) -> None:
    job = {name: value for name, value in jobs.hub.job(github()).items() if not name.startswith("ACTIONS_")}
    outcome = jobs.query(job)
    assert outcome.code == 11
    assert "permissions: {id-token: write}" in outcome.err


def test_no_token_stands_in_the_brokers_log(jobs: JobsStage) -> None:
    jobs.query(jobs.hub.job(github()))
    jobs.query(jobs.hub.job(github_pull_request()))
    assert "eyJ" not in jobs.broker_said()


# --- GitLab ---------------------------------------------------------------------------------------------------

PROTECTED = gitlab()
ELSEWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "a merge request from a fork": (
        gitlab(project_path="mallory/shop", pipeline_source="merge_request_event", ref_protected="false"),
        "`project_path` is",
    ),
    "the same, as GitLab before 18.2.2 wrote it": (
        gitlab(pipeline_source="merge_request_event", job_project_path=None),
        "not for proposed changes",
    ),
    "a child pipeline of a merge request": (
        gitlab(pipeline_source="parent_pipeline", ref_protected="false"),
        "`ref_protected` is",
    ),
    "a branch that is not protected": (gitlab(ref="wip", ref_path="refs/heads/wip"), "`ref_path` is"),
    "a tag of that name": (gitlab(ref_path="refs/tags/main", ref_type="tag"), "`ref_path` is"),
    "another project": (gitlab(project_path="acme/shop-evil", job_project_path=None), "`project_path` is"),
}


def test_a_job_of_gitlab_works_on_production_with_nothing_stored(jobs: JobsStage) -> None:
    assert jobs.query(jobs.lab.job(PROTECTED, HOOPX_ID_TOKEN=AUDIENCE)).fine().out == "400\n"


def test_its_token_is_not_for_its_child(jobs: JobsStage) -> None:
    job = jobs.lab.job(PROTECTED, HOOPX_ID_TOKEN=AUDIENCE, VAULT_ID_TOKEN="https://vault.example.com")
    seen = jobs.in_job(job, "exec", "shop-prod", "--", "env").fine().out
    assert "HOOPX_ID_TOKEN" not in seen
    assert "VAULT_ID_TOKEN=" in seen


@pytest.mark.parametrize(("claims", "why"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_gitlabs_production_is_not_for(jobs: JobsStage, claims: dict[str, Any], why: str) -> None:
    assert why in jobs.refused(jobs.query(jobs.lab.job(claims, HOOPX_ID_TOKEN=AUDIENCE)))


def test_a_job_of_gitlab_without_a_token_is_told_what_to_write(jobs: JobsStage) -> None:
    outcome = jobs.query(jobs.lab.job(PROTECTED))
    assert outcome.code == 11
    assert f"id_tokens: {{HOOPX_ID_TOKEN: {{aud: {AUDIENCE}}}}}" in outcome.err


def test_a_token_for_somebody_else_does_not_leave_the_job(jobs: JobsStage) -> None:
    before = jobs.broker_said()
    outcome = jobs.query(jobs.lab.job(PROTECTED, HOOPX_ID_TOKEN="https://vault.example.com"))
    assert outcome.code == 11
    assert "is not sent to the broker" in outcome.err
    assert jobs.broker_said() == before


# --- clusters and trust domains -------------------------------------------------------------------------------


def mounted(folder: Path, token: str) -> dict[str, str]:
    (folder / "token").write_text(token)
    return {"HOOPX_TOKEN_FILE": str(folder / "token")}


def test_a_pod_works_on_production(jobs: JobsStage, tmp_path: Path) -> None:
    pod = mounted(tmp_path, jobs.cluster.sign(kubernetes(aud=[AUDIENCE])))
    assert jobs.query(pod).fine().out == "400\n"


def test_a_pod_of_another_account_is_refused(jobs: JobsStage, tmp_path: Path) -> None:
    other = {"namespace": "prod", "serviceaccount": {"name": "default"}}
    pod = mounted(tmp_path, jobs.cluster.sign(kubernetes(**{"aud": [AUDIENCE], "kubernetes.io": other})))
    assert "serviceaccount" in jobs.refused(jobs.query(pod))


def test_the_pods_own_token_does_not_leave_it(jobs: JobsStage, tmp_path: Path) -> None:
    before = jobs.broker_said()
    outcome = jobs.query(mounted(tmp_path, jobs.cluster.sign(kubernetes(aud=[CLUSTER]))))
    assert outcome.code == 11
    assert "is not sent to the broker" in outcome.err
    assert jobs.broker_said() == before


def test_a_workload_brings_its_svid_from_a_file(jobs: JobsStage, tmp_path: Path) -> None:
    assert jobs.query(mounted(tmp_path, jobs.workloads.sign(svid(aud=[AUDIENCE])))).fine().out == "400\n"


def test_a_workload_asks_the_workload_api(jobs: JobsStage, tmp_path: Path) -> None:
    double = WorkloadApiDouble(lambda id_, audiences: jobs.workloads.sign({"sub": id_, "aud": audiences}), ID)
    with double.running(tmp_path / "agent.sock") as socket:
        outcome = jobs.query({"SPIFFE_ENDPOINT_SOCKET": socket})
    assert (outcome.fine().out, double.audiences) == ("400\n", [[AUDIENCE]])
    assert "grpc" not in outcome.err.lower()


def test_a_workload_of_another_trust_domain_is_refused(jobs: JobsStage) -> None:
    stranger = jobs.workloads.sign(svid(sub="spiffe://evil.org/ns/prod/sa/deployer", aud=[AUDIENCE]))
    assert "is not known" in jobs.refused(jobs.query({"HOOPX_TOKEN": stranger}))


def test_a_bundle_is_rotated_while_the_broker_runs(jobs: JobsStage) -> None:
    bundle = jobs.home / "bundle.json"
    before = bundle.read_text()
    other = GitLabDouble()
    token = other.sign(svid(aud=[AUDIENCE]))
    assert "its key" in jobs.refused(jobs.query({"HOOPX_TOKEN": token}))
    rotated = other.keys()
    rotated["keys"][0]["use"] = "jwt-svid"
    try:
        bundle.write_text(json.dumps(rotated))
        eventually(lambda: jobs.in_job({"HOOPX_TOKEN": token}, "whoami").code == 0, "the new key is believed")
        bundle.write_text("{")
        eventually(lambda: "identity.keys_not_taken" in _after_a_call(jobs, token), "the broken file is told of")
        assert jobs.in_job({"HOOPX_TOKEN": token}, "whoami").code == 0
    finally:
        bundle.write_text(before)
    honest = jobs.workloads.sign(svid(aud=[AUDIENCE]))
    eventually(lambda: jobs.in_job({"HOOPX_TOKEN": honest}, "whoami").code == 0, "the old key is believed again")


def _after_a_call(jobs: JobsStage, token: str) -> str:
    jobs.in_job({"HOOPX_TOKEN": token}, "whoami").fine()
    return jobs.broker_said()
