"""A broker that takes jobs of doubles of GitHub and GitLab, of a cluster and of a trust domain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.journeys.stage import Stage, playing
from tests.peers import clients, warm
from tests.peers.clients import HOOPX, Outcome, plain_environment
from tests.peers.job_issuers import GitHubDouble, GitLabDouble, IssuerDouble
from tests.peers.postgres import Postgres

AUDIENCE = "https://127.0.0.1"
CLUSTER = "https://kubernetes.default.svc.cluster.local"
TRUST_DOMAIN = "spiffe://example.org"


class JobsStage(Stage):
    """Nobody is logged in here, and nothing is stored: whoever comes in is a job."""

    def __init__(self, home: Path, postgres: Postgres, hub: GitHubDouble, lab: GitLabDouble) -> None:
        self.hub = hub
        self.lab = lab
        self.cluster = IssuerDouble()
        self.cluster.url = CLUSTER
        self.workloads = IssuerDouble()
        super().__init__(home, postgres)

    def environment_of(self, job: Mapping[str, str]) -> dict[str, str]:
        """What `hoopx` finds in the environment of a job."""
        home = self.home / "runner"
        home.mkdir(exist_ok=True)
        return plain_environment() | {
            "HOME": str(home),
            "HOOPX_BROKER": self.url,
            "HOOPX_CA": self.fingerprint,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PATH": f"{HOOPX.parent}:{plain_environment()['PATH']}",
            **job,
        }

    def in_job(self, job: Mapping[str, str], *arguments: str) -> Outcome:
        outcome = warm.run(arguments, self.environment_of(job))
        assert "Traceback" not in outcome.err, outcome.err
        return outcome

    def query(self, job: Mapping[str, str], sql: str = "SELECT count(*) FROM orders") -> Outcome:
        return self.in_job(job, "exec", "shop-prod", "--", *clients.psql(sql))

    def groups(self, job: Mapping[str, str]) -> list[str]:
        said: list[str] = json.loads(self.in_job(job, "whoami", "-o", "json").fine().out)["groups"]
        return said

    def refused(self, outcome: Outcome) -> str:
        """The broker's last word about it in its log, after a look at what the job was told."""
        assert outcome.code == 11, outcome
        assert outcome.out == ""
        assert outcome.err.splitlines()[0].endswith("this token is not accepted")
        (why,) = [line for line in self.broker_said().splitlines() if "identity.refused" in line][-1:]
        return why

    def configuration(self) -> str:
        (self.home / "cluster.json").write_text(json.dumps(self.cluster.keys()))
        bundle = self.workloads.keys()
        bundle["keys"][0]["use"] = "jwt-svid"
        (self.home / "bundle.json").write_text(json.dumps(bundle | {"spiffe_sequence": 1, "spiffe_refresh_hint": 60}))
        text = super().configuration()
        return text[: text.index("identity:")] + self._identity() + text[text.index("targets:") :]

    def _identity(self) -> str:
        return f"""\
identity:
  - issuer: {self.hub.issuer}
    kind: workload
    audience: {AUDIENCE}
    rules:
      - when: {{repository: acme/shop, ref: refs/heads/main, environment: production}}
        groups: [developers]
      - when: {{repository: acme/docs}}
        pull_requests: true
        groups: [ci-readers]
      - when: {{repository: acme/review, ref: refs/heads/*}}
        kind: agent
        groups: [agents]
  - issuer: {self.lab.issuer}
    kind: workload
    audience: {AUDIENCE}
    rules:
      - when: {{project_path: acme/shop, ref_path: refs/heads/main, ref_protected: 'true'}}
        groups: [developers]
  - issuer: {CLUSTER}
    kind: workload
    audience: {AUDIENCE}
    jwks_file: cluster.json
    rules:
      - when: {{kubernetes.io: {{namespace: prod, serviceaccount: {{name: deployer}}}}}}
        groups: [developers]
  - issuer: {TRUST_DOMAIN}
    kind: workload
    audience: {AUDIENCE}
    jwks_file: bundle.json
    rules:
      - when: {{sub: {TRUST_DOMAIN}/ns/prod/sa/*}}
        groups: [developers]
"""


@contextmanager
def jobs_stage(home: Path, postgres: Postgres) -> Iterator[JobsStage]:
    hub, lab = GitHubDouble(), GitLabDouble()
    with ExitStack() as stack:
        stack.enter_context(hub.running())
        stack.enter_context(lab.running())
        yield stack.enter_context(playing(JobsStage(home, postgres, hub, lab)))


def lines(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)
