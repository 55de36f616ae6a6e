"""Tell whether a job runs a change that is only proposed: a pull request, a merge request, a merge queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hoopx_broker.identity.jws import shown
from hoopx_broker.identity.patterns import fits

# docs/jobs.md has the table with the documents that these signs were taken from. One sign is enough, whoever the
# issuer is: what is taken for a proposal by mistake gets less, never more.

# GitHub events that strangers set off and whose token names the repository's own branch, although the job may well
# work on a stranger's code: it is started by the run of a pull request, by a comment on one, by a queue of them.
_GITHUB_EVENTS = frozenset({"issue_comment", "workflow_run", "merge_group"})
_GITLAB_SOURCES = frozenset({"merge_request_event", "external_pull_request_event"})
_REFS = ("refs/pull/", "refs/merge-requests/", "refs/heads/gh-readonly-queue/")
_CIRCLECI_REFS = ("pull/", "refs/heads/pull/", *_REFS)


def _is_said(value: str) -> bool:
    return bool(value)


# Claims that tell it alone.
_SIGNS: dict[str, Callable[[str], bool]] = {
    "event_name": lambda event: event.startswith("pull_request") or event in _GITHUB_EVENTS,
    "head_ref": _is_said,
    "base_ref": _is_said,
    "ref": lambda ref: ref.startswith(_REFS),
    "ref_path": lambda ref: ref.startswith(_REFS),
    # With an environment GitHub's `sub` tells nothing of pull requests; without one it ends so, if not made to order.
    "sub": lambda subject: "pull_request" in subject.split(":"),
    "pipeline_source": lambda source: source in _GITLAB_SOURCES,
    "pipeline_source_event": _is_said,
    "oidc.circleci.com/vcs-ref": lambda ref: ref.startswith(_CIRCLECI_REFS),
    # Buildkite writes a fork's branch as `owner:branch`; Git allows no colon in a branch's own name.
    "build_branch": lambda branch: ":" in branch or branch.startswith(("pull/", "gh-readonly-queue/", *_REFS)),
}


def proposed(claims: Mapping[str, Any]) -> str | None:
    """Why this token is one of a proposed change, for the broker's log; None where nothing speaks for it."""
    for name in _SIGNS:
        if (value := claims.get(name)) is not None and tells(name, value):
            return f"its `{name}` is {shown(value)}"
    return _of_a_child(claims) or _of_a_fork(claims)


def tells(name: str, value: object) -> bool:
    """Does this value of the claim `name` alone make a token one of a proposed change? What is no text does."""
    sign = _SIGNS.get(name)
    return sign is not None and (sign(value) if isinstance(value, str) else True)


def _of_a_child(claims: Mapping[str, Any]) -> str | None:
    """GitLab's child pipelines of a merge request name its branch and not the request; their ref is never protected."""
    if claims.get("pipeline_source") != "parent_pipeline" or fits("true", claims.get("ref_protected")):
        return None
    return "it is of a child pipeline whose ref is not protected, which may be one of a merge request"


def _of_a_fork(claims: Mapping[str, Any]) -> str | None:
    """GitLab's job in one project with the code of another, `source_project_path` or (before it) `project_path`."""
    said = [claims.get(name) for name in ("project_path", "job_project_path", "source_project_path")]
    paths = [path for path in said if path is not None]
    return "it runs the code of one project in another" if any(path != paths[0] for path in paths) else None
