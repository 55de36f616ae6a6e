"""Vault's policies: read their HCL or JSON, and say what a path allows to somebody who has some of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.peers.vault.answers import Refused

CAPABILITIES = {"create", "read", "update", "patch", "delete", "list", "scan", "sudo", "deny"}
OLD = {
    "deny": ["deny"],
    "read": ["read", "list"],
    "write": ["create", "read", "update", "delete", "list"],
    "sudo": ["create", "read", "update", "delete", "list", "sudo"],
}
DEFAULT = """\
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"""
TOKENS = re.compile(r'\s+|(?:\#|//)[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d+|[{}\[\]=,:]', re.S)
Rules = dict[str, set[str]]


def parse(text: str) -> Rules:
    """Path patterns with their capabilities; anything else Vault knows in a policy is refused, not ignored."""
    try:
        found = json.loads(text)["path"] if text.lstrip().startswith("{") else _Reader(_cut(text)).document()
    except (ValueError, KeyError, IndexError, TypeError) as problem:
        raise Refused(400, f"failed to parse policy: {problem}") from problem
    return {path: _capabilities(path, block) for path, block in found.items()}


def allowed(policies: Iterable[Rules], path: str) -> set[str]:
    """The capabilities of the most specific pattern that fits, over all policies; empty where one says deny."""
    patterns: dict[str, set[str]] = {}
    for rules in policies:
        for pattern, capabilities in rules.items():
            if fits(pattern, path):
                patterns.setdefault(pattern, set()).update(capabilities)
    if not patterns:
        return set()
    best = patterns[max(patterns, key=_rank)]
    return set() if "deny" in best else best


def fits(pattern: str, path: str) -> bool:
    body, prefix = (pattern[:-1], True) if pattern.endswith("*") else (pattern, False)
    expression = "/".join("[^/]+" if part == "+" else re.escape(part) for part in body.split("/"))
    return re.fullmatch(expression + (".*" if prefix else ""), path) is not None


def _rank(pattern: str) -> tuple[object, ...]:
    """Vault's order: the later the first wildcard the better, then no glob, fewer `+`, longer, and greater."""
    plus, star = re.search(r"(^|/)\+(/|$)", pattern), pattern.endswith("*")
    first = min([plus.start() if plus else len(pattern) + 1, len(pattern) - 1 if star else len(pattern) + 1])
    return (first, not star, -len(re.findall(r"(?<![^/])\+(?![^/])", pattern)), len(pattern), pattern)


def _capabilities(path: str, block: Mapping[str, Any]) -> set[str]:
    unknown = set(block) - {"capabilities", "policy"}
    if unknown:
        raise Refused(
            400, f'failed to parse policy: path "{path}": invalid key {sorted(unknown)} (or not in the double)'
        )
    found = set(block.get("capabilities") or OLD[block["policy"]])
    for capability in sorted(found - CAPABILITIES):
        raise Refused(400, f'failed to parse policy: path "{path}": invalid capability "{capability}"')
    return found


def _cut(text: str) -> list[str]:
    parts, at = [], 0
    while at < len(text):
        match = TOKENS.match(text, at)
        if match is None:
            raise ValueError(f"illegal character or literal not terminated at {at}")
        at = match.end()
        if not re.match(r"\s|\#|//|/\*", match[0]):
            parts.append(match[0])
    return parts


class _Reader:
    """Read `path "x" { key = value … } …` from its tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._left = tokens[::-1]

    def document(self) -> dict[str, dict[str, Any]]:
        blocks: dict[str, dict[str, Any]] = {}
        while self._left:
            self._take("path")
            path = self._value()
            self._take("{")
            block: dict[str, Any] = {}
            while self._left[-1] != "}":
                key = self._left.pop()
                self._take("=")
                block[key] = self._value()
            self._take("}")
            blocks[path] = block
        return blocks

    def _take(self, expected: str) -> None:
        found = self._left.pop().strip('"')
        if found != expected:
            raise ValueError(f"expected {expected}, got {found}")

    def _value(self) -> Any:
        token = self._left.pop()
        if token != "[":
            return json.loads(token)
        values = []
        while (each := self._left.pop()) != "]":
            if each != ",":
                values.append(json.loads(each))
        return values
