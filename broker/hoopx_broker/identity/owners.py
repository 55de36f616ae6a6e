"""Issuers that sign for everybody's jobs: a rule for one of them must say whose jobs it means."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hoopx_broker.identity.patterns import is_plain
from hoopx_broker.terms.settings import Rule

# For each claim that names an owner: how many of its first parts must stand there without a star.
_OWNERS: dict[str, Mapping[str, int]] = {
    "https://token.actions.githubusercontent.com": {
        "repository": 1,
        "repository_id": 1,
        "repository_owner": 1,
        "repository_owner_id": 1,
        "enterprise": 1,
        "enterprise_id": 1,
        "sub": 2,
    },
    "https://gitlab.com": {"project_path": 1, "project_id": 1, "namespace_path": 1, "namespace_id": 1, "sub": 2},
    "https://agent.buildkite.com": {"organization_slug": 1, "organization_id": 1, "sub": 2},
}
# A CircleCI issuer is one organization's, but its jobs may be those of forks, which only the origin tells apart.
_CIRCLECI = "https://oidc.circleci.com/"
_ORIGIN = {"oidc.circleci.com/vcs-origin": 2}


def is_everybodys(issuer: str) -> bool:
    """Does this issuer sign for jobs of strangers, too?"""
    return issuer.rstrip("/") in _OWNERS


def owner_claims(issuer: str, rule: Rule) -> tuple[str, ...]:
    """The claims of which one must name an owner plainly and none does; empty where the rule is sound."""
    owners = _OWNERS.get(issuer.rstrip("/"))
    if owners is None and issuer.startswith(_CIRCLECI) and not rule.pull_requests:
        owners = _ORIGIN
    if owners is None or any(_names(rule, claim, parts) for claim, parts in owners.items()):
        return ()
    return tuple(owners)


def _names(rule: Rule, claim: str, parts: int) -> bool:
    wanted = rule.when.get(claim)
    return isinstance(wanted, tuple) and all(_is_named(pattern, parts) for pattern in wanted)


def _is_named(pattern: str, parts: int) -> bool:
    first = re.split("[/:]", pattern)[:parts]
    return len(first) == parts and all(part and is_plain(part) for part in first)
