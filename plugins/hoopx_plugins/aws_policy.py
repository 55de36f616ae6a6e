"""Session policies: what the configuration and the rules bind a session's keys to, as STS takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from hoopx_broker.terms.iam import MAX_DOCUMENT, POLICY_ARN, document

MAX_ARNS = 10  # STS's own limit


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
    named: list[str] = list(arns)
    statements: list[dict[str, Any]] = []
    for text in texts:
        if text.lstrip().startswith("{"):
            statements += _statements(text)
        else:
            named.append(text.strip())
    for arn in named:
        if not POLICY_ARN.fullmatch(arn):
            raise ValueError("is neither the ARN of a managed policy nor a policy in JSON")
    unique = tuple(dict.fromkeys(named))
    if len(unique) > MAX_ARNS:
        raise ValueError(f"names {len(unique)} managed policies, and AWS takes {MAX_ARNS} for a session")
    return SessionPolicy(unique, _written(statements))


def _statements(text: str) -> list[dict[str, Any]]:
    statements = document(text)["Statement"]
    return [statements] if isinstance(statements, dict) else statements


def _written(statements: list[dict[str, Any]]) -> str | None:
    """Without the names of statements, which must be unique in a policy, and are not in a union."""
    if not statements:
        return None
    bare = [{key: value for key, value in each.items() if key != "Sid"} for each in statements]
    unique = [each for at, each in enumerate(bare) if each not in bare[:at]]
    text = json.dumps({"Version": "2012-10-17", "Statement": unique}, separators=(",", ":"))
    if len(text) > MAX_DOCUMENT:
        raise ValueError(f"comes to {len(text)} characters in one session policy, and AWS takes {MAX_DOCUMENT}")
    return text
