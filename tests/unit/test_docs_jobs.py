"""The page on jobs: its samples hold, and its table of proposed changes is the one that the broker goes by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hoopx_broker.daemon.config import load
from hoopx_broker.identity import proposals
from hoopx_broker.identity.proposals import proposed
from hoopx_broker.identity.rules import holding
from hoopx_broker.terms.settings import OidcIssuer
from tests.peers.certificates import Authority
from tests.unit.identity_stage import EC_KEY, jwk, jwks
from tests.unit.job_claims import buildkite, circleci, github, gitlab, kubernetes, svid

PAGE = (Path(__file__).parents[2] / "docs/jobs.md").read_text()
SAMPLES: list[str] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
ENTRIES = [sample for sample in SAMPLES if sample.startswith("identity:")]
REST = """\
policies: .
targets:
  db: {kind: postgres, address: localhost, database: app, credentials: {from: static, user: u, password: p}}
"""
MIGRATOR = {"kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "migrator"}}}
JOBS = [github(), gitlab(), kubernetes(**MIGRATOR), svid(), buildkite(), circleci()]


def loaded(folder: Path, sample: str) -> OidcIssuer:
    (folder / "bundle.json").write_bytes(jwks(jwk(EC_KEY, "s1", use="jwt-svid")))
    Authority.make("cluster").write(folder / "cluster-ca.pem")
    (folder / "hoopx.yaml").write_text(sample + REST)
    (issuer,) = load(folder / "hoopx.yaml", {}).identity
    return issuer


@pytest.mark.parametrize(("sample", "claims"), list(zip(ENTRIES, JOBS, strict=True)))
def test_the_job_of_a_sample_gets_the_samples_groups(tmp_path: Path, sample: str, claims: dict[str, Any]) -> None:
    issuer = loaded(tmp_path, sample)
    assert "deployers" in holding(issuer.rules, claims)[0].groups
    assert claims.get("iss", issuer.issuer) == issuer.issuer


@pytest.mark.parametrize("sample", [sample for sample in SAMPLES if sample not in ENTRIES])
def test_every_other_sample_is_yaml(sample: str) -> None:
    assert isinstance(yaml.safe_load(sample), dict)


def test_the_table_of_proposed_changes_names_every_claim_that_is_looked_at() -> None:
    table = PAGE[PAGE.index("## What is a proposed change") : PAGE.index("## Which audience")]
    named = set(
        re.findall(r"`([^`]+)`", "".join(row.split("|")[1] for row in table.splitlines() if row.count("|") > 3))
    )
    looked_at = set(proposals._SIGNS) | {"job_project_path", "source_project_path", "project_path", "claim"}
    assert named | {"claim"} == looked_at


@pytest.mark.parametrize("event", ["workflow_run", "issue_comment", "merge_group", "pull_request_target"])
def test_the_events_of_the_table_are_proposals(event: str) -> None:
    assert proposed(github(event_name=event))


@pytest.mark.parametrize("event", ["issues", "discussion", "fork", "watch"])
def test_the_events_beside_it_are_not(event: str) -> None:
    assert proposed(github(event_name=event)) is None
