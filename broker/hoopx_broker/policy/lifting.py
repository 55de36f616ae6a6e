"""Could a forbid be lifted by the consent of the groups that it asks? Read off its conditions alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hoopx_broker.policy import speech

_APPROVALS = {".": {"left": {"Var": "context"}, "attr": "approvals"}}
_ASKS = ("contains", "containsAll", "containsAny")
# Twice as many combinations to try with each more of what a rule looks at; beyond it the doubt is the rule's.
_MAX_OTHERS = 8

# What an expression looks at beside approvals, by its text, and how that is answered.
Answers = Mapping[str, bool]


def can_be_lifted(policy: dict[str, Any], groups: frozenset[str]) -> bool:
    """May it be that the rule refuses while nobody has agreed, and is content once `groups` have?

    Whatever it looks at beside approvals may be so or not, and stays as it is. What cannot be told counts as a yes.
    """
    situations = _situations(policy)
    return situations is None or any(
        _refuses(policy, known, frozenset()) and not _refuses(policy, known, groups) for known in situations
    )


def is_heard(policy: dict[str, Any], group: str, groups: frozenset[str]) -> bool:
    """May it be that the word of `group` makes a difference, alone or after all others of `groups`?"""
    situations = _situations(policy)
    return situations is None or any(
        _refuses(policy, known, before) != _refuses(policy, known, before | {group})
        for known in situations
        for before in (frozenset[str](), groups - {group})
    )


def _situations(policy: dict[str, Any]) -> list[Answers] | None:
    """All that may be so of what the rule looks at beside approvals; None where that cannot be told."""
    others = sorted({text for each in policy["conditions"] for text in _others(each["body"])})
    if len(others) > _MAX_OTHERS or any('"approvals"' in text for text in others):
        return None
    return [dict(zip(others, answers, strict=True)) for answers in product((False, True), repeat=len(others))]


def _refuses(policy: dict[str, Any], known: Answers, groups: frozenset[str]) -> bool:
    return all(_holds(each["body"], known, groups) is (each["kind"] == "when") for each in policy["conditions"])


def _others(part: Any) -> Iterator[str]:
    """What an expression looks at beside approvals."""
    operands = _operands(part)
    if operands is None:
        if not _is_of_approvals(part) and not _is_constant(part):
            yield _text(part)
        return
    for operand in operands:
        yield from _others(operand)


def _operands(part: dict[str, Any]) -> list[Any] | None:
    """What an operator of logic joins; None for all else."""
    ((operator, of),) = part.items()
    match operator:
        case "!":
            return [of["arg"]]
        case "&&" | "||":
            return [of["left"], of["right"]]
        case "if-then-else":
            return [of["if"], of["then"], of["else"]]
        case _:
            return None


def _holds(part: dict[str, Any], known: Answers, groups: frozenset[str]) -> bool:
    operands = _operands(part)
    if operands is None:
        if _is_constant(part):
            return bool(part["Value"])
        return _of_approvals(part, groups) if _is_of_approvals(part) else known[_text(part)]
    values = [_holds(operand, known, groups) for operand in operands]
    match next(iter(part)):
        case "!":
            return not values[0]
        case "&&":
            return all(values)
        case "||":
            return any(values)
        case _:
            return values[1] if values[0] else values[2]


def _is_constant(part: dict[str, Any]) -> bool:
    return isinstance(part.get("Value"), bool)


def _is_of_approvals(part: dict[str, Any]) -> bool:
    """Is it one of the questions about approvals that can be answered here?"""
    ((operator, of),) = part.items()
    if operator == "isEmpty":
        return bool(of["arg"] == _APPROVALS)
    return operator in _ASKS and of["left"] == _APPROVALS and _literals(of["right"]) is not None


def _of_approvals(part: dict[str, Any], groups: frozenset[str]) -> bool:
    ((operator, of),) = part.items()
    if operator == "isEmpty":
        return not groups
    wanted = _literals(of["right"]) or set()
    return not wanted.isdisjoint(groups) if operator == "containsAny" else wanted <= groups


def _literals(part: dict[str, Any]) -> set[str] | None:
    """The texts of a literal, one or a set of them."""
    items = part.get("Set", [part])
    return speech.texts(items) if all(isinstance(item.get("Value"), str) for item in items) else None


def _text(part: Any) -> str:
    return json.dumps(part, sort_keys=True)
