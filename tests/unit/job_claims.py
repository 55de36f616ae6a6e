"""Claims of jobs as their providers publish them: the samples that tests change one thing in.

GitHub: docs.github.com/en/actions/reference/security/oidc. GitLab: docs.gitlab.com/ci/secrets/id_token_authentication.
CircleCI: circleci.com/docs/guides/permissions-authentication/openid-connect-tokens. Buildkite:
buildkite.com/docs/agent/cli/reference/oidc. Kubernetes: kubernetes.io/docs/tasks/configure-pod-container/
configure-service-account. SPIFFE: github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md.
"""

from __future__ import annotations

from typing import Any

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITLAB_ISSUER = "https://gitlab.example.com"
CIRCLECI_ISSUER = "https://oidc.circleci.com/org/5e1c2f6e-3f1c-4f5e-9a57-0c2f8b1d7a11"
BUILDKITE_ISSUER = "https://agent.buildkite.com"


def github(**changes: Any) -> dict[str, Any]:
    """A push to `main` of `acme/shop`, in the environment `production`; a change to None takes the claim away."""
    said: dict[str, Any] = {
        "jti": "example-id",
        "sub": "repo:acme/shop:environment:production",
        "environment": "production",
        "aud": "https://broker.example.com",
        "ref": "refs/heads/main",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "repository": "acme/shop",
        "repository_owner": "acme",
        "actor_id": "12",
        "repository_visibility": "private",
        "repository_id": "74",
        "repository_owner_id": "65",
        "run_id": "6281935471",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "actor": "ann",
        "workflow": "deploy",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_protected": "true",
        "ref_type": "branch",
        "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "check_run_id": "44125",
        "iss": GITHUB_ISSUER,
    }
    return changed(said, changes)


def github_pull_request(**changes: Any) -> dict[str, Any]:
    """A pull request to `acme/shop`. A fork's has the same claims: they name the repository that it is made to."""
    return github(
        **{
            "sub": "repo:acme/shop:pull_request",
            "environment": None,
            "ref": "refs/pull/7/merge",
            "head_ref": "fix-typo",
            "base_ref": "main",
            "event_name": "pull_request",
            "ref_protected": "false",
            "workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/pull/7/merge",
            "job_workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/pull/7/merge",
        }
        | changes
    )


def gitlab(**changes: Any) -> dict[str, Any]:
    """A push to the protected branch `main` of `acme/shop`."""
    said: dict[str, Any] = {
        "namespace_id": "72",
        "namespace_path": "acme",
        "project_id": "20",
        "project_path": "acme/shop",
        "job_namespace_id": "72",
        "job_namespace_path": "acme",
        "job_project_id": "20",
        "job_project_path": "acme/shop",
        "user_id": "1",
        "user_login": "ann",
        "user_email": "ann@example.com",
        "user_access_level": "developer",
        "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}],
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["acme", "acme/backend"],
        "runner_id": 1,
        "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.example.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
        "iss": GITLAB_ISSUER,
        "sub": "project_path:acme/shop:ref_type:branch:ref:main",
        "aud": "https://broker.example.com",
    }
    return changed(said, changes)


def circleci(**changes: Any) -> dict[str, Any]:
    """`$CIRCLE_OIDC_TOKEN_V2` of a push to `main` of `github.com/acme/shop`."""
    organization, project = "5e1c2f6e-3f1c-4f5e-9a57-0c2f8b1d7a11", "b3d1f9c2-8a7e-4b6d-9c5f-1e2d3c4b5a69"
    where = f"org/{organization}/project/{project}/user/9c1d2e3f-4a5b-4c6d-8e7f-901234567890"
    said: dict[str, Any] = {
        "aud": organization,
        "iss": CIRCLECI_ISSUER,
        "sub": f"{where}/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main",
        "oidc.circleci.com/project-id": project,
        "oidc.circleci.com/context-ids": ["0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"],
        "oidc.circleci.com/vcs-origin": "github.com/acme/shop",
        "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/ssh-rerun": False,
    }
    return changed(said, changes)


def buildkite(**changes: Any) -> dict[str, Any]:
    """A build of `main` of the pipeline `acme/shop`."""
    said: dict[str, Any] = {
        "iss": BUILDKITE_ISSUER,
        "sub": "organization:acme:pipeline:shop:ref:refs/heads/main:commit:9f318206:step:",
        "aud": "https://broker.example.com",
        "organization_slug": "acme",
        "pipeline_slug": "shop",
        "build_number": 175,
        "build_branch": "main",
        "build_commit": "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
        "step_key": None,
        "job_id": "018485f6-1f53-4f18-9b53-72428db4d239",
        "agent_id": "018485f6-eec2-4b61-a7be-0e35ef563df0",
        "build_source": "webhook",
    }
    return changed(said, changes)


def kubernetes(**changes: Any) -> dict[str, Any]:
    """A projected token of the service account `deployer` in the namespace `prod`."""
    said: dict[str, Any] = {
        "aud": ["https://broker.example.com"],
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "7ee52be0-9045-4653-aa5e-0da57b8dccdc",
        "kubernetes.io": {
            "namespace": "prod",
            "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "migrate-7x2bq", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "deployer", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
        "sub": "system:serviceaccount:prod:deployer",
    }
    return changed(said, changes)


def svid(**changes: Any) -> dict[str, Any]:
    """A JWT-SVID as SPIRE signs it: no `iss`."""
    return changed({"sub": "spiffe://example.org/ns/prod/sa/deployer", "aud": ["https://broker.example.com"]}, changes)


def changed(said: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (said | changes).items() if value is not None}
