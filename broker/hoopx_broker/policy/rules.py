"""A rule: one Cedar policy, its name, and what its annotations promise to people."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from hoopx_broker.policy import speech
from hoopx_broker.policy.asking import ASKING, asked_of_people
from hoopx_broker.policy.sources import Source
from hoopx_broker.policy.vocabulary import OF_PEOPLE
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.entries import Detail

# What binds the credential of a session that a permit allows.
AWS_POLICY, PROFILE = "aws_policy", "profile"
OBLIGATIONS = frozenset({AWS_POLICY, PROFILE})
# How much of rows the recording of such a session keeps.
RECORD = "record"
ANNOTATIONS = frozenset({"id", "message", "hint", "mode", RECORD, *ASKING, *OBLIGATIONS})
MODES = ("enforce", "shadow")
# What is asked without the time, and where nothing records what a rule in shadow would have done.
_TIMELESS = frozenset({"reveal", *OF_PEOPLE})
# Names of stages that fail closed, which a ruling gives in place of a rule's.
RESERVED = frozenset({"default", "judge", "parse", "mask", "record"})
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Rule(Struct, frozen=True):
    """`approvers` maps each group that can lift this forbid to how many of its people must agree, under `conditions`.

    `obligations` is what the credential of a session that it permits is bound to, by annotation: whole policies of AWS.

    `record` is how much of rows and COPY data the recording of such a session keeps.

    A rule in shadow decides nothing: what it would have done is recorded.
    """

    id: str
    effect: str
    source: Source
    message: str = ""
    hint: str = ""
    approvers: dict[str, int] = field(default_factory=dict)
    is_shadow: bool = False
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    conditions: Conditions = Conditions()
    record: Detail = "full"


def rule_of(source: Source, policy: dict[str, Any]) -> tuple[Rule | None, list[tuple[str, str]]]:
    """The rule that a parsed policy is, and what is wrong with its annotations: (annotation, message) each.

    There is no rule where there is no usable name; with any problem the rule is not to be used.
    """
    # An annotation without a value, as `@id`, has None.
    annotations: dict[str, str] = {name: value or "" for name, value in policy.get("annotations", {}).items()}
    effect: str = policy["effect"]
    problems = _unknown(annotations) + _misplaced(annotations, effect)
    name = annotations.get("id", "")
    problems += _name_problems(name)
    approvers, conditions, asking_problems = asked_of_people(annotations, policy)
    problems += asking_problems + _mode_problems(annotations, policy) + _clock_problems(policy)
    if not name:
        return None, problems
    message, hint = annotations.get("message", ""), annotations.get("hint", "")
    is_shadow = annotations.get("mode") == "shadow"
    return Rule(name, effect, source, message, hint, approvers, is_shadow, conditions=conditions), problems


def _unknown(annotations: dict[str, str]) -> list[tuple[str, str]]:
    known = ", ".join(f"`@{name}`" for name in sorted(ANNOTATIONS))
    return [
        (f"@{name}", f"unknown annotation `@{name}`; there are {known}")
        for name in annotations
        if name not in ANNOTATIONS
    ]


def _misplaced(annotations: dict[str, str], effect: str) -> list[tuple[str, str]]:
    if effect == "forbid":
        return []
    only = [name for name in ("message", "hint", *ASKING) if name in annotations]
    return [(f"@{name}", f"`@{name}` belongs on a `forbid`: a `permit` refuses nobody") for name in only]


def _name_problems(name: str) -> list[tuple[str, str]]:
    if not name:
        return [("@id", 'no `@id("…")`: rulings name the rule that decided')]
    if name in RESERVED:
        return [("@id", f'`@id("{name}")` is reserved for what hoopx itself refuses')]
    if not _ID.fullmatch(name):
        return [("@id", f'`@id("{name}")` is not 1 to 64 of a-z, 0-9, `.`, `_`, `-`')]
    return []


def _mode_problems(annotations: dict[str, str], policy: dict[str, Any]) -> list[tuple[str, str]]:
    mode = annotations.get("mode", "enforce")
    if mode not in MODES:
        return [("@mode", f'`@mode("{mode}")` is not known; it is `enforce` or `shadow`')]
    actions = speech.actions(policy)
    if mode == "shadow" and actions is not None and actions <= _TIMELESS:
        return [("@mode", "what a rule in shadow would have done is recorded of sessions and statements only")]
    return []


def _clock_problems(policy: dict[str, Any]) -> list[tuple[str, str]]:
    actions = speech.actions(policy)
    if not speech.clocks(policy) or (actions is not None and actions.isdisjoint(_TIMELESS)):
        return []
    only = '`action == Action::"connect"` or `action in Action::"query"`'
    return [(speech.CLOCK, f"clocks are for sessions and statements only: say {only}, or a part of it")]
