"""Policies of AWS as sessions may be bound by them: the names of managed ones, and what a document must look like."""

from __future__ import annotations

import json
import re
from typing import Any

# STS's own limit for the policy of a session.
MAX_DOCUMENT = 2048
POLICY_ARN = re.compile(r"arn:aws(-[a-z]+)*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]{1,640}", re.ASCII)
_VERSION = "2012-10-17"
_STATEMENT = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})


def document(text: str) -> dict[str, Any]:
    """A session policy as written. Raises `ValueError` for what AWS would not take, as far as that can be told."""
    try:
        policy = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(policy, dict) or policy.keys() - {"Version", "Id", "Statement"}:
        raise ValueError("is not a policy: it must be an object of `Version` and `Statement`")
    if policy.get("Version") != _VERSION:
        raise ValueError(f'must have `"Version": "{_VERSION}"`: in older ones variables are plain text')
    statements = policy.get("Statement")
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or not listed:
        raise ValueError("has no `Statement`")
    for statement in listed:
        _check(statement)
    if len(json.dumps(policy, separators=(",", ":"))) > MAX_DOCUMENT:
        raise ValueError(f"has more than the {MAX_DOCUMENT} characters that AWS takes")
    return policy


def _check(statement: Any) -> None:
    if not isinstance(statement, dict):
        raise ValueError("has a statement that is no object")
    if unknown := sorted(statement.keys() - _STATEMENT):
        raise ValueError(f"has `{unknown[0]}` in a statement, which a session policy cannot have")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("has a statement whose `Effect` is neither `Allow` nor `Deny`")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise ValueError(f"has a statement that needs either `{one}` or `{other}`")
