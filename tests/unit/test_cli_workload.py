"""A job finds its token by itself, for this broker and nobody else; what a hostile broker asks for it does not get."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.api.messages import About, Jobs
from hoopx_broker.terms.errors import ExitCode, HoopxError, Unreachable
from hoopx_cli import workload
from hoopx_cli.unverified import audiences_of, claims_of
from hoopx_cli.workload import RENEW_BEFORE, Workload, is_of
from hoopx_cli.workload_files import GitLab, Given
from hoopx_cli.workload_github import GitHub
from hoopx_cli.workload_platforms import Buildkite, CircleCI, Spiffe
from hoopx_cli.workload_source import NoJobToken
from tests.peers.job_issuers import GitHubDouble, GitLabDouble, IssuerDouble
from tests.peers.workload_api import WorkloadApiDouble
from tests.unit.job_claims import buildkite, circleci, github, gitlab, kubernetes, svid

BROKER = "https://broker.example.com:8443"
AUDIENCE = "https://broker.example.com"
ID = "spiffe://example.org/ns/prod/sa/deployer"


class Broker:
    """What a broker says of itself, and how often it was asked."""

    def __init__(self, *jobs: tuple[str, str]) -> None:
        self.jobs = tuple(Jobs(issuer, audience) for issuer, audience in jobs)
        self.asked = 0

    def about(self) -> About:
        self.asked += 1
        return About("1", "key", (), self.jobs)


def job(environ: Mapping[str, str], broker: Broker, named: str | None = None) -> Workload:
    source = workload.find(environ)
    assert source is not None
    return Workload(source, BROKER, broker.about, named)


def refused(errand: Workload) -> NoJobToken:
    with pytest.raises(NoJobToken) as refusal:
        errand.token()
    assert refusal.value.exit_code is ExitCode.LOG_IN_FIRST
    return refusal.value


@pytest.fixture
def hub() -> Iterator[GitHubDouble]:
    double = GitHubDouble()
    with double.running():
        yield double


@pytest.fixture
def lab() -> Iterator[GitLabDouble]:
    double = GitLabDouble()
    with double.running():
        yield double


@pytest.fixture(autouse=True)
def no_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a pod would have its token; this machine has none."""
    place = tmp_path / "no-token"
    monkeypatch.setattr(workload, "FILE", place)
    return place


# --- audiences ------------------------------------------------------------------------------------------------

OURS = [
    "https://broker.example.com:8443",
    "https://broker.example.com:8443/",
    "https://broker.example.com",
    "https://Broker.Example.com",
    "broker.example.com",
    "broker.example.com:8443",
    "hoopx",
    "hoopx:prod",
    "hoopx-prod",
]
NOT_OURS = [
    "sts.amazonaws.com",
    "api://AzureADTokenExchange",
    "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "sigstore",
    "npm:registry.npmjs.org",
    "https://kubernetes.default.svc.cluster.local",
    "https://broker.example.com.evil.com",
    "https://broker.example.com:8443.evil.com",
    "https://broker.example.com@evil.com",
    "https://broker.example.com:8443@evil.com",
    "https://broker.example.com:8443/vault",
    "https://broker.example.com/vault",
    "https://broker.example.com:9999",
    "https://broker.example.com?x",
    "https://broker.example.com#x",
    "https://broker.example.com//",
    "https://https://broker.example.com",
    "http://broker.example.com",
    "https://evil.com/https://broker.example.com",
    "broker.example.com.evil.com",
    "xbroker.example.com",
    "example.com",
    "com",
    "8443",
    "",
    "/",
    "https://",
    " hoopx",
    "hoopxevil",
    "hoopx.evil.com",
    "hoopx/evil",
    "HOOPX",
    "hoopx-\0",
    "hoopx-\n",
    "hoopx-\x1b[2J",
    "hoopx-ö",
    "hoopx-" + "x" * 600,
    "vault",
]


@pytest.mark.parametrize("audience", OURS)
def test_an_audience_that_names_the_broker_is_its_own(audience: str) -> None:
    assert is_of(audience, BROKER)


@pytest.mark.parametrize("audience", NOT_OURS)
def test_an_audience_that_may_be_anothers_is_not(audience: str, hub: GitHubDouble) -> None:
    assert not is_of(audience, BROKER)
    assert "need not be its own name" in refused(job(hub.job(github()), Broker((hub.issuer, audience)))).message
    assert hub.audiences == []


def test_a_broker_without_a_name_is_told_by_its_address() -> None:
    assert is_of("https://[::1]:8443", "https://[::1]:8443")
    assert is_of("[::1]", "https://[::1]:8443")
    assert not is_of("https://[::1", "https://[::1]:8443")


def test_who_knows_the_audience_says_it_and_the_broker_is_not_asked(hub: GitHubDouble) -> None:
    broker = Broker((hub.issuer, "sts.amazonaws.com"))
    token = job(hub.job(github()), broker, "urn:our-broker").token()
    assert (audiences_of(token), broker.asked) == (("urn:our-broker",), 0)


def test_several_audiences_are_not_chosen_from(hub: GitHubDouble) -> None:
    lack = refused(job(hub.job(github()), Broker((hub.issuer, "hoopx"), (hub.issuer, "hoopx-prod"))))
    assert "HOOPX_AUDIENCE" in lack.hint


def test_a_hostile_audience_beside_an_honest_one_is_passed_over(hub: GitHubDouble) -> None:
    token = job(hub.job(github()), Broker((hub.issuer, "sts.amazonaws.com"), (hub.issuer, AUDIENCE))).token()
    assert audiences_of(token) == (AUDIENCE,)


def test_what_a_hostile_broker_says_cannot_act_on_a_terminal(hub: GitHubDouble) -> None:
    lack = refused(job(hub.job(github()), Broker((hub.issuer, "\x1b]0;x\x07" + "y" * 9999))))
    assert "\x1b" not in lack.message
    assert len(lack.message) < 500


# --- GitHub ---------------------------------------------------------------------------------------------------


def test_github_signs_for_the_broker(hub: GitHubDouble) -> None:
    token = job(hub.job(github()), Broker((hub.issuer, AUDIENCE))).token()
    assert claims_of(token)["repository"] == "acme/shop"
    assert hub.heard == ["/_apis/idtoken/7/jobs/8?api-version=2.0&audience=https%3A%2F%2Fbroker.example.com"]


def test_an_audience_in_the_services_address_is_replaced(hub: GitHubDouble) -> None:
    environ = hub.job(github())
    environ["ACTIONS_ID_TOKEN_REQUEST_URL"] += "&audience=sts.amazonaws.com"
    assert audiences_of(job(environ, Broker((hub.issuer, AUDIENCE))).token()) == (AUDIENCE,)
    assert hub.audiences == [AUDIENCE]


def test_a_job_that_may_not_ask_is_told_which_permission_it_lacks(hub: GitHubDouble) -> None:
    environ = {name: value for name, value in hub.job(github()).items() if not name.startswith("ACTIONS_")}
    lack = refused(job(environ, Broker((hub.issuer, AUDIENCE))))
    assert "permissions: {id-token: write}" in lack.hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_github_names_the_permission_too(hub: GitHubDouble, status: int) -> None:
    hub.answers = [(status, {"message": "no"})]
    assert "id-token: write" in refused(job(hub.job(github()), Broker((hub.issuer, AUDIENCE)))).hint


def test_a_service_that_stumbles_is_asked_again(hub: GitHubDouble) -> None:
    slept: list[float] = []
    hub.answers = [(503, {}), (200, {})]
    source = GitHub(hub.job(github()), slept.append)
    assert audiences_of(source.fetch(AUDIENCE)) == (AUDIENCE,)
    assert slept == [0.5, 2.0]


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (200, {"value": 7}), (200, {"value": ""}), (200, {"value": "x" * 100_000}), (302, {"Location": "/x"})],
)
def test_a_service_that_does_not_answer_as_github_does_is_no_use(hub: GitHubDouble, answer: Any) -> None:
    hub.answers = [answer] * 3
    environ = hub.job(github())
    with pytest.raises(Unreachable) as failure:
        GitHub(environ, lambda _: None).fetch(AUDIENCE)
    assert environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] not in failure.value.message + failure.value.hint
    assert len(hub.heard) == 3  # a redirect is not followed


def test_the_right_to_ask_never_travels_in_the_clear(hub: GitHubDouble) -> None:
    environ = hub.job(github()) | {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://198.51.100.1/token?x=1"}
    with pytest.raises(Unreachable, match="not an https address"):
        job(environ, Broker((hub.issuer, AUDIENCE))).token()


@pytest.mark.parametrize(
    ("server", "issuer", "fits"),
    [
        ("https://github.com", "https://token.actions.githubusercontent.com", True),
        ("https://github.com", "https://token.actions.githubusercontent.com/acme", True),
        ("https://github.com", "https://token.actions.githubusercontent.com.evil.com", False),
        ("https://github.com", "https://gitlab.com", False),
        ("https://acme.ghe.com", "https://token.actions.acme.ghe.com", True),
        ("https://acme.ghe.com", "https://token.actions.evil.ghe.com", False),
        ("https://git.example.com", "https://git.example.com/_services/token", True),
        ("https://git.example.com", "https://token.actions.githubusercontent.com", False),
    ],
)
def test_each_github_has_its_issuer(server: str, issuer: str, fits: bool) -> None:
    assert GitHub({"GITHUB_SERVER_URL": server}).may_be_of(issuer) is fits


def test_a_token_near_its_end_is_asked_for_anew(hub: GitHubDouble) -> None:
    now = [time.time()]
    source = workload.find(hub.job(github()))
    assert source is not None
    errand = Workload(source, BROKER, Broker((hub.issuer, AUDIENCE)).about, clock=lambda: now[0])
    first = errand.token().reveal()
    assert errand.token().reveal() == first
    now[0] += 300 - RENEW_BEFORE + 2  # its end is a whole second, and may be one that has begun since
    errand.token()
    assert len(hub.audiences) == 2


def test_a_broker_that_takes_no_jobs_of_github_is_told_apart(hub: GitHubDouble) -> None:
    lack = refused(job(hub.job(github()), Broker(("https://gitlab.com", AUDIENCE))))
    assert "takes no tokens of GitHub Actions" in lack.message


# --- GitLab ---------------------------------------------------------------------------------------------------


def test_gitlab_wrote_the_token_into_the_environment(lab: GitLabDouble) -> None:
    token = job(lab.job(gitlab(), HOOPX_ID_TOKEN=AUDIENCE), Broker((lab.issuer, AUDIENCE))).token()
    assert claims_of(token)["project_path"] == "acme/shop"


def test_a_job_of_gitlab_without_a_token_is_told_what_to_write(lab: GitLabDouble) -> None:
    lack = refused(job(lab.job(gitlab()), Broker((lab.issuer, AUDIENCE))))
    assert "`id_tokens: {HOOPX_ID_TOKEN: {aud: https://broker.example.com}}`" in lack.hint


def test_a_token_for_somebody_else_is_not_sent_and_the_job_is_told_what_to_write(lab: GitLabDouble) -> None:
    for elsewhere in ("https://vault.example.com", AUDIENCE + ".evil.com", "hoopx"):
        lack = refused(job(lab.job(gitlab(), HOOPX_ID_TOKEN=elsewhere), Broker((lab.issuer, AUDIENCE))))
        assert f"is for `{elsewhere}`" in lack.message
        assert "`id_tokens: {HOOPX_ID_TOKEN: {aud: https://broker.example.com}}`" in lack.hint


def test_a_token_for_the_broker_and_somebody_else_is_not_sent(lab: GitLabDouble) -> None:
    both = lab.sign(gitlab(iss=lab.issuer, aud=[AUDIENCE, "https://vault.example.com"]))
    lack = refused(job({"GITLAB_CI": "true", "HOOPX_ID_TOKEN": both}, Broker((lab.issuer, AUDIENCE))))
    assert "https://vault.example.com" in lack.message


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.e30.c", "." * 9, "x" * 99_999])
def test_what_is_no_token_is_not_sent(token: str) -> None:
    lack = refused(job({"HOOPX_ID_TOKEN": token}, Broker(("https://gitlab.com", AUDIENCE)), AUDIENCE))
    assert lack.message == "HOOPX_ID_TOKEN holds no signed token"


def test_no_message_repeats_a_token(lab: GitLabDouble) -> None:
    environ = lab.job(gitlab(), HOOPX_ID_TOKEN="elsewhere")
    lack = refused(job(environ, Broker((lab.issuer, AUDIENCE))))
    assert environ["HOOPX_ID_TOKEN"][:20] not in lack.message + lack.hint


# --- files: Kubernetes, spiffe-helper -------------------------------------------------------------------------


def pod(place: Path, audience: str | list[str]) -> IssuerDouble:
    cluster = IssuerDouble()
    cluster.url = "https://kubernetes.default.svc.cluster.local"
    place.write_text(cluster.sign(kubernetes(aud=audience)) + "\n")
    return cluster


def test_a_pod_finds_the_token_that_was_mounted_for_hoopx(no_pod: Path) -> None:
    cluster = pod(no_pod, [AUDIENCE])
    token = job({}, Broker((cluster.issuer, AUDIENCE))).token()
    assert claims_of(token)["sub"] == "system:serviceaccount:prod:deployer"


def test_a_file_may_be_named(tmp_path: Path) -> None:
    cluster = pod(tmp_path / "mine", [AUDIENCE])
    assert job({"HOOPX_TOKEN_FILE": str(tmp_path / "mine")}, Broker((cluster.issuer, AUDIENCE))).token()


def test_the_clusters_own_token_is_never_sent_whoever_asks_for_it(tmp_path: Path) -> None:
    api = "https://kubernetes.default.svc.cluster.local"
    cluster = pod(tmp_path / "api", [api])
    environ = {"HOOPX_TOKEN_FILE": str(tmp_path / "api")}
    assert "need not be its own name" in refused(job(environ, Broker((cluster.issuer, api)))).message
    assert f"is for `{api}`" in refused(job(environ, Broker((cluster.issuer, AUDIENCE)))).message


def test_a_file_that_was_renewed_is_read_again(tmp_path: Path) -> None:
    cluster = pod(tmp_path / "mine", [AUDIENCE])
    (tmp_path / "mine").write_text(cluster.sign(kubernetes(), life=10))
    errand = job({"HOOPX_TOKEN_FILE": str(tmp_path / "mine")}, Broker((cluster.issuer, AUDIENCE)))
    first = errand.token().reveal()
    (tmp_path / "mine").write_text(cluster.sign(kubernetes(), life=900))
    assert errand.token().reveal() != first


def test_a_trust_domain_is_told_by_the_subject(tmp_path: Path) -> None:
    place = tmp_path / "svid"
    place.write_text(IssuerDouble().sign(svid()))
    environ = {"HOOPX_TOKEN_FILE": str(place)}
    assert job(environ, Broker(("spiffe://example.org", AUDIENCE))).token()
    assert "takes no tokens" in refused(job(environ, Broker(("spiffe://example.or", AUDIENCE)))).message


def test_a_file_that_is_not_there_is_told() -> None:
    lack = refused(job({"HOOPX_TOKEN_FILE": "/nowhere"}, Broker(("spiffe://example.org", AUDIENCE))))
    assert lack.message == "the token file `/nowhere` cannot be read: no such file or directory"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"secret-of-somebody", b"x" * 99_999])
def test_a_file_that_holds_something_else_is_not_sent(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    environ = {"HOOPX_TOKEN_FILE": str(tmp_path / "other")}
    lack = refused(job(environ, Broker(("https://gitlab.com", AUDIENCE)), AUDIENCE))
    assert "holds no signed token" in lack.message
    assert "secret-of-somebody" not in lack.message + lack.hint


# --- agents that are commands ---------------------------------------------------------------------------------


def agent(folder: Path, name: str, script: str) -> dict[str, str]:
    """A double of a provider's command, first on the PATH."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_buildkites_agent_is_asked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(IssuerDouble().sign(buildkite()))
    environ = {"BUILDKITE": "true"} | agent(
        tmp_path, "buildkite-agent", f'echo "$@" > {tmp_path}/heard; echo noise >&2; cat {tmp_path}/token'
    )
    token = job(environ, Broker(("https://agent.buildkite.com", AUDIENCE))).token()
    assert claims_of(token)["pipeline_slug"] == "shop"
    assert (tmp_path / "heard").read_text() == f"oidc request-token --audience {AUDIENCE}\n"


def test_circlecis_command_is_asked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(IssuerDouble().sign(circleci(aud=[AUDIENCE])))
    environ = {"CIRCLECI": "true"} | agent(
        tmp_path, "circleci", f'printf "%s\\n" "$@" > {tmp_path}/heard; cat {tmp_path}/token'
    )
    assert job(environ, Broker((circleci()["iss"], AUDIENCE))).token()
    heard = (tmp_path / "heard").read_text().splitlines()
    assert heard[:4] == ["run", "oidc", "get", "--claims"]
    assert json.loads(heard[4]) == {"aud": AUDIENCE}


def test_circlecis_ready_token_is_used_where_its_audience_was_named(tmp_path: Path) -> None:
    organization = circleci()["aud"]
    environ = {"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": IssuerDouble().sign(circleci()), "PATH": str(tmp_path)}
    assert job(environ, Broker(), organization).token()
    assert "need not be its own name" in refused(job(environ, Broker((circleci()["iss"], organization)))).message
    assert "has no `circleci`" in refused(job(environ, Broker((circleci()["iss"], AUDIENCE)))).message


@pytest.mark.parametrize("script", ["exit 3", "echo", "echo not-a-token", "yes", "cat token; exit 1"])
def test_a_command_that_gives_no_token_is_told(tmp_path: Path, script: str) -> None:
    (tmp_path / "token").write_text(IssuerDouble().sign(buildkite()))
    environ = {"BUILDKITE": "true"} | agent(tmp_path, "buildkite-agent", script.replace("token;", f"{tmp_path}/token;"))
    with pytest.raises(Unreachable, match="gives no token"):
        job(environ, Broker(("https://agent.buildkite.com", AUDIENCE))).token()


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopx_cli.workload_platforms.ASK_SECONDS", 0.2)
    environ = {"BUILDKITE": "true"} | agent(tmp_path, "buildkite-agent", "exec sleep 60")
    with pytest.raises(Unreachable, match="gives no token"):
        job(environ, Broker(("https://agent.buildkite.com", AUDIENCE))).token()


def test_a_token_for_another_audience_than_asked_for_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(IssuerDouble().sign(buildkite(aud="sts.amazonaws.com")))
    environ = {"BUILDKITE": "true"} | agent(tmp_path, "buildkite-agent", f"cat {tmp_path}/token")
    lack = refused(job(environ, Broker(("https://agent.buildkite.com", AUDIENCE))))
    assert "another audience" in lack.message


# --- SPIFFE's Workload API ------------------------------------------------------------------------------------


def test_a_workload_api_is_asked(tmp_path: Path) -> None:
    double = WorkloadApiDouble(lambda id_, audiences: IssuerDouble().sign({"sub": id_, "aud": audiences}), ID)
    with double.running(tmp_path / "agent.sock") as socket:
        token = job({"SPIFFE_ENDPOINT_SOCKET": socket}, Broker(("spiffe://example.org", AUDIENCE))).token()
    assert claims_of(token)["sub"] == ID
    assert double.audiences == [[AUDIENCE]]


def test_a_workload_that_nobody_registered_is_told(tmp_path: Path) -> None:
    with (
        WorkloadApiDouble(lambda id_, audiences: "", None).running(tmp_path / "agent.sock") as socket,
        pytest.raises(Unreachable, match="no identity issued"),
    ):
        job({"SPIFFE_ENDPOINT_SOCKET": socket}, Broker(("spiffe://example.org", AUDIENCE))).token()


def test_a_workload_api_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopx_cli.workload_platforms.ASK_SECONDS", 2)
    environ = {"SPIFFE_ENDPOINT_SOCKET": f"unix://{tmp_path}/none.sock"}
    with pytest.raises(Unreachable):
        job(environ, Broker(("spiffe://example.org", AUDIENCE))).token()
    with pytest.raises(HoopxError):
        job({"SPIFFE_ENDPOINT_SOCKET": "rubbish"}, Broker(("spiffe://example.org", AUDIENCE))).token()


def test_without_the_package_the_job_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spiffe", None)
    lack = refused(job({"SPIFFE_ENDPOINT_SOCKET": "unix:///x"}, Broker(("spiffe://example.org", AUDIENCE))))
    assert "hoopx[spiffe]" in lack.hint


# --- what comes first -----------------------------------------------------------------------------------------


def test_what_was_given_on_purpose_comes_first(tmp_path: Path, no_pod: Path) -> None:
    pod(no_pod, [AUDIENCE])
    token = IssuerDouble().sign(gitlab())
    everything = {
        "HOOPX_ID_TOKEN": token,
        "HOOPX_TOKEN_FILE": str(no_pod),
        "GITHUB_ACTIONS": "true",
        "GITLAB_CI": "true",
        "BUILDKITE": "true",
        "CIRCLECI": "true",
        "SPIFFE_ENDPOINT_SOCKET": "unix:///x",
    }
    order = [
        (Given, "HOOPX_ID_TOKEN"),
        (Given, "HOOPX_TOKEN_FILE"),
        (GitHub, "GITHUB_ACTIONS"),
        (GitLab, "GITLAB_CI"),
        (Buildkite, "BUILDKITE"),
        (CircleCI, "CIRCLECI"),
        (Given, ""),
    ]
    for kind, name in order:
        assert isinstance(workload.find(everything), kind)
        everything.pop(name, None)
    no_pod.unlink()
    assert isinstance(workload.find(everything), Spiffe)


@pytest.mark.parametrize("environ", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "false"}, {"HOOPX_ID_TOKEN": ""}])
def test_elsewhere_nobody_is_a_job(environ: dict[str, str]) -> None:
    assert workload.find(environ) is None
