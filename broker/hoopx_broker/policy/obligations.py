"""What a permit binds a session to: its credential by `@aws_policy` and `@profile`, its recording by `@record`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hoopx_broker.policy import speech
from hoopx_broker.policy.problems import Problem
from hoopx_broker.policy.rules import AWS_POLICY, OBLIGATIONS, PROFILE, RECORD, Rule
from hoopx_broker.terms.entries import Detail
from hoopx_broker.terms.iam import MAX_DOCUMENT, POLICY_ARN, document
from hoopx_broker.terms.leases import TARGETS_OWN

Bound = dict[str, tuple[str, ...]]

# From the most to the least.
DETAILS: tuple[Detail, ...] = ("full", "digest", "shape")

_PROFILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE_HINT = "it is the ARN of a managed policy, or a JSON file of this directory: `aws/s3-read.json`"


def obligations_of(
    rule: Rule, policy: Mapping[str, Any], directory: Path, documents: dict[str, str]
) -> tuple[Bound, list[Problem]]:
    """What the rule's annotations bind to, and what is wrong with them. Adds the files they name to `documents`."""
    written = {name: value or "" for name, value in policy.get("annotations", {}).items() if name in OBLIGATIONS}
    bound: Bound = {}
    problems: list[Problem] = []
    for name, text in written.items():
        try:
            _demand_permit_to_connect(name, policy)
            bound[name] = _values(name, text, directory, documents)
        except ValueError as error:
            problems.append(Problem(rule.source.file, rule.source.line_of(f"@{name}"), str(error)))
    return bound, problems


def record_of(rule: Rule, policy: Mapping[str, Any]) -> tuple[Detail, list[Problem]]:
    """How much of rows the rule has recorded, and what is wrong with how it says so."""
    annotations = policy.get("annotations", {})
    if RECORD not in annotations:
        return "full", []
    text = annotations[RECORD] or ""
    try:
        _demand_permit_to_connect(RECORD, policy)
        if text not in DETAILS:
            raise ValueError(f'`@{RECORD}("{text}")` is not known; it is `full`, `digest` or `shape`')
    except ValueError as error:
        return "full", [Problem(rule.source.file, rule.source.line_of(f"@{RECORD}"), str(error))]
    return DETAILS[DETAILS.index(text)], []


def least(details: Iterable[Detail]) -> Detail:
    """Several rules: the least that any of them says."""
    return DETAILS[max((DETAILS.index(each) for each in details), default=0)]


def added_up(rules: Iterable[Rule]) -> Bound:
    """What all of them say; one that says nothing adds nothing."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for name, values in rule.obligations.items():
            found.setdefault(name, set()).update(values)
    return {name: tuple(sorted(values)) for name, values in sorted(found.items())}


def at_odds(one: Bound, other: Bound) -> tuple[str, ...]:
    """What two rulings bind to different things. Nothing narrower than both can be asked of every source for them."""
    return tuple(name for name in sorted(one.keys() & other.keys()) if set(one[name]) != set(other[name]))


def of_both(one: Bound, other: Bound) -> Bound:
    """What holds for both, which are not at odds: where no rule binds one of them, the target's own holds as well."""
    alone = one.keys() ^ other.keys()
    return {name: (*values, TARGETS_OWN) if name in alone else values for name, values in (one | other).items()}


def named(bound: Bound, documents: Mapping[str, str]) -> Bound:
    """As rules write them: files by their names."""
    names = {text: name for name, text in documents.items()}
    return {kind: tuple(sorted(names.get(value, value) for value in values)) for kind, values in bound.items()}


def _demand_permit_to_connect(name: str, policy: Mapping[str, Any]) -> None:
    actions = speech.actions(dict(policy))
    if policy["effect"] != "permit":
        raise ValueError(f"`@{name}` belongs on a `permit`: a `forbid` opens no session")
    if actions is not None and "connect" not in actions:
        raise ValueError(f'`@{name}` belongs on a permit for `action == Action::"connect"`: it is about sessions')


def _values(name: str, text: str, directory: Path, documents: dict[str, str]) -> tuple[str, ...]:
    if name == PROFILE:
        if not _PROFILE.fullmatch(text):
            raise ValueError(
                f'`@{PROFILE}("{text}")` is not the name of one profile: 1 to 64 of a-z, 0-9, `.`, `_`, `-`'
            )
        return (text,)
    values = [each.strip() for each in text.split(",")]
    if not all(values) or len(set(values)) < len(values):
        raise ValueError(f"`@{AWS_POLICY}` is a list of different policies, with commas between them; {_FILE_HINT}")
    return tuple(sorted(_aws_policy(each, directory, documents) for each in values))


def _aws_policy(value: str, directory: Path, documents: dict[str, str]) -> str:
    if value.startswith("arn:"):
        if not POLICY_ARN.fullmatch(value):
            raise ValueError(f"`{value}` is not the ARN of a managed policy")
        return value
    if not value.endswith(".json"):
        raise ValueError(f"`{value}` is no policy of AWS; {_FILE_HINT}")
    if value not in documents:
        documents[value] = _read(value, directory)
    return documents[value]


def _read(name: str, directory: Path) -> str:
    """A policy of AWS, in as few characters as it takes. Raises `ValueError`."""
    place = (directory / name).resolve()
    if not place.is_relative_to(directory.resolve()):
        raise ValueError(f"`{name}` is not in the directory of policies")
    try:
        data = place.read_bytes()
        if len(data) > 10 * MAX_DOCUMENT:
            raise ValueError(f"`{name}` is larger than any session policy")
        return json.dumps(document(data.decode()), separators=(",", ":"))
    except OSError as error:
        raise ValueError(f"`{name}` cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"`{name}` is not text") from None
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith("`") else f"`{name}` {error}") from None
