"""A change that is only proposed is not production: every way in which a provider's token tells that it is one."""

from __future__ import annotations

from typing import Any

import pytest

from hoopx_broker.identity.proposals import proposed
from tests.unit.job_claims import buildkite, circleci, github, github_pull_request, gitlab, kubernetes, svid

CIRCLECI_REF = "oidc.circleci.com/vcs-ref"

PROPOSED: dict[str, dict[str, Any]] = {
    "a pull request": github_pull_request(),
    "with an environment, whose `sub` tells nothing": github_pull_request(
        sub="repo:acme/shop:environment:production", environment="production"
    ),
    "with a `sub` made to order": github_pull_request(sub="repository_owner:acme", event_name="pull_request"),
    "by an old server that says nothing but `sub`": github(event_name=None, sub="repo:acme/shop:pull_request"),
    "by a `sub` that goes on": github(sub="repo:acme/shop:pull_request:job_workflow_ref:acme/x@refs/heads/main"),
    "pull_request_target, which names the base branch": github(event_name="pull_request_target", head_ref="fix"),
    "pull_request_target without the branch": github(event_name="pull_request_target"),
    "a review": github(event_name="pull_request_review"),
    "a comment in a review": github(event_name="pull_request_review_comment"),
    "a comment, perhaps on a pull request": github(event_name="issue_comment"),
    "the run of another workflow, perhaps of a fork's": github(event_name="workflow_run"),
    "a merge queue": github(event_name="merge_group", ref="refs/heads/gh-readonly-queue/main/pr-7-714a629c"),
    "a merge queue's branch": github(ref="refs/heads/gh-readonly-queue/main/pr-7-714a629c"),
    "the ref of a pull request": github(ref="refs/pull/7/head"),
    "a branch to be merged": github(head_ref="fix"),
    "a branch to merge into": github(base_ref="main"),
    "an event that is no text": github(event_name=["pull_request"]),
    "a merge request": gitlab(pipeline_source="merge_request_event", ref_protected="false"),
    "a merge request of a fork's `main`, as GitLab before 18.2.2 wrote it": gitlab(
        pipeline_source="merge_request_event"
    ),
    "a merge train": gitlab(pipeline_source="merge_request_event", pipeline_source_event="merge_train"),
    "a pull request of another forge": gitlab(pipeline_source="external_pull_request_event"),
    "the ref of a merge request": gitlab(ref_path="refs/merge-requests/7/head"),
    "a child pipeline of a merge request": gitlab(pipeline_source="parent_pipeline", ref_protected="false"),
    "a child pipeline that does not say": gitlab(pipeline_source="parent_pipeline", ref_protected=None),
    "a child pipeline that says so by a number": gitlab(pipeline_source="parent_pipeline", ref_protected=1),
    "a project that is no text": gitlab(project_path=["acme/shop"]),
    "a fork's code in our project": gitlab(project_path="mallory/shop"),
    "a fork's code, as later versions may say": gitlab(source_project_path="mallory/shop"),
    "a fork built by CircleCI": circleci(**{CIRCLECI_REF: "refs/pull/7/head"}),
    "the branch by which CircleCI names it": circleci(**{CIRCLECI_REF: "pull/7"}),
    "the same, in full": circleci(**{CIRCLECI_REF: "refs/heads/pull/7"}),
    "a fork built by Buildkite": buildkite(build_branch="mallory:main"),
    "a pull request's ref built by Buildkite": buildkite(build_branch="refs/pull/7/head"),
    "a merge queue built by Buildkite": buildkite(build_branch="gh-readonly-queue/main/pr-7-714a629c"),
}

MERGED: dict[str, dict[str, Any]] = {
    "a push": github(),
    "a push without an environment": github(environment=None, sub="repo:acme/shop:ref:refs/heads/main"),
    "the newer `sub` with numbers": github(sub="repo:acme@65/shop@74:ref:refs/heads/main"),
    "a release": github(event_name="release", ref="refs/tags/v1", ref_type="tag"),
    "a schedule": github(event_name="schedule"),
    "by hand": github(event_name="workflow_dispatch"),
    "a branch that is named like a pull request": github(ref="refs/heads/refs/pull/7/merge"),
    "a branch about pull requests": github(
        ref="refs/heads/pull_request", sub="repo:acme/shop:ref:refs/heads/pull_request"
    ),
    "a push to GitLab": gitlab(),
    "a schedule of GitLab": gitlab(pipeline_source="schedule"),
    "a tag of GitLab": gitlab(ref="v1", ref_type="tag", ref_path="refs/tags/v1"),
    "a branch of GitLab that is not protected": gitlab(ref="wip", ref_path="refs/heads/wip", ref_protected="false"),
    "a child pipeline of a protected branch": gitlab(pipeline_source="parent_pipeline"),
    "GitLab before it said where the job is": gitlab(job_project_path=None),
    "CircleCI": circleci(),
    "CircleCI by a webhook": circleci(**{CIRCLECI_REF: None}),
    "Buildkite": buildkite(),
    "Kubernetes": kubernetes(),
    "SPIFFE": svid(),
    "a person": {"sub": "u-1", "email": "ann@example.com"},
}


@pytest.mark.parametrize("claims", PROPOSED.values(), ids=PROPOSED)
def test_it_is_proposed(claims: dict[str, Any]) -> None:
    assert proposed(claims)


@pytest.mark.parametrize("claims", MERGED.values(), ids=MERGED)
def test_it_is_not(claims: dict[str, Any]) -> None:
    assert proposed(claims) is None


def test_what_told_it_is_told_in_the_log() -> None:
    assert proposed(github_pull_request()) == "its `event_name` is 'pull_request'"


def test_a_hostile_branch_name_stays_on_one_line_of_the_log() -> None:
    told = proposed(github(head_ref="a\n2026-01-01 all is well" + "x" * 5000))
    assert told is not None
    assert "\n" not in told
    assert len(told) < 200
