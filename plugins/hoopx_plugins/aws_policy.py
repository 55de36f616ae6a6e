"""Session policies: what the configuration and the rules bind a session's keys to, as STS takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from hoopx_plugins.aws_account import POLICY_ARN

# STS's own limits; beyond them, what is packed has a limit that only STS knows.
MAX_POLICY = 2048
MAX_ARNS = 10
_VERSION = "2012-10-17"
_STATEMENT = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class SessionPolicy(Struct, frozen=True):
    """Managed policies by their ARNs, and one inline policy: the keys may do what one of them and the role allow."""

    arns: tuple[str, ...] = ()
    inline: str | None = None

    def parameters(self) -> dict[str, Any]:
        """As AssumeRole takes them."""
        arns = {"PolicyArns": [{"arn": arn} for arn in self.arns]} if self.arns else {}
        return arns | ({"Policy": self.inline} if self.inline else {})


def combined(arns: Iterable[str], texts: Iterable[str]) -> SessionPolicy:
    """Of `texts`, each is an ARN or a policy. Raises `ValueError` for what is neither, and beyond STS's limits."""
    named, statements = list(arns), []
    for text in texts:
        if text.lstrip().startswith("{"):
            statements += statements_of(text)
        else:
            named.append(text.strip())
    for arn in named:
        if not POLICY_ARN.fullmatch(arn):
            raise ValueError("is neither the ARN of a managed policy nor a policy in JSON")
    unique = tuple(dict.fromkeys(named))
    if len(unique) > MAX_ARNS:
        raise ValueError(f"names {len(unique)} managed policies, and AWS takes {MAX_ARNS} for a session")
    return SessionPolicy(unique, _written(statements))


def statements_of(text: str) -> list[dict[str, Any]]:
    """The statements of one policy. Raises `ValueError` for what AWS would not take, as far as that can be told."""
    try:
        policy = json.loads(text)
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
        raise ValueError(f"is not JSON ({where})") from None
    if not isinstance(policy, dict) or policy.keys() - {"Version", "Id", "Statement"}:
        raise ValueError("is not a policy: it must be an object of `Version` and `Statement`")
    if policy.get("Version") != _VERSION:
        raise ValueError(f'must have `"Version": "{_VERSION}"`: in older ones variables are plain text')
    statements = policy.get("Statement")
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or not listed:
        raise ValueError("has no `Statement`")
    return [_checked(statement) for statement in listed]


def _checked(statement: Any) -> dict[str, Any]:
    if not isinstance(statement, dict):
        raise ValueError("has a statement that is no object")
    if unknown := sorted(statement.keys() - _STATEMENT):
        raise ValueError(f"has `{unknown[0]}` in a statement, which a session policy cannot have")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("has a statement whose `Effect` is neither `Allow` nor `Deny`")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise ValueError(f"has a statement that needs either `{one}` or `{other}`")
    return statement


def _written(statements: list[dict[str, Any]]) -> str | None:
    """Without the names of statements, which must be unique in a policy, and are not in a union."""
    if not statements:
        return None
    bare = [{key: value for key, value in each.items() if key != "Sid"} for each in statements]
    unique = [each for at, each in enumerate(bare) if each not in bare[:at]]
    text = json.dumps({"Version": _VERSION, "Statement": unique}, separators=(",", ":"))
    if len(text) > MAX_POLICY:
        raise ValueError(f"comes to {len(text)} characters in one session policy, and AWS takes {MAX_POLICY}")
    return text
