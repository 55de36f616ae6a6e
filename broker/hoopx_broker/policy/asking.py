"""What a forbid asks of people, by its annotations: who must agree, and under which conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from hoopx_broker.policy import speech
from hoopx_broker.policy.demands import (
    Mistake,
    demanded_ticket,
    groups_of,
    people_by_group,
    required,
    seconds_of,
    windows_of,
)
from hoopx_broker.policy.lifting import can_be_lifted, is_heard
from hoopx_broker.policy.vocabulary import has_length, is_of_statements
from hoopx_broker.terms.approvals import Conditions

# More people than this for one session is a mistake in a file, not a procedure; the desk seats no more.
MAX_PEOPLE = 50
_CONDITIONS = ("reason", "ticket", "max_duration", "ask_window", "answer_window", "break_glass", "review", "estimate")
ASKING = ("approvers", "quorum", *_CONDITIONS)

Problems = list[tuple[str, str]]


def asked_of_people(
    annotations: Mapping[str, str], policy: dict[str, Any]
) -> tuple[dict[str, int], Conditions, Problems]:
    """How many of which groups must agree, under which conditions, and what is wrong: (annotation, message) each."""
    problems: Problems = []
    if "approvers" not in annotations:
        alone = [name for name in ASKING if name in annotations]
        return {}, Conditions(), [(f"@{name}", f"`@{name}` needs `@approvers`") for name in alone]
    approvers = _approvers(annotations, problems)
    problems += _lifting_problems(approvers, policy) + _scope_problems(annotations, policy)
    return approvers, _conditions(annotations, approvers, problems), problems


def meant(conditions: Conditions, actions: set[str]) -> Conditions:
    """Those that mean something for what is asked: a rule may be about sessions and statements at once."""
    lasts, runs = has_length(actions), is_of_statements(actions)
    breaks = actions != {"extend"}
    return structs.replace(
        conditions,
        longest=conditions.longest if lasts else 0,
        estimates=conditions.estimates and runs,
        breakers=conditions.breakers if breaks else (),
        reviewers=conditions.reviewers if breaks else {},
    )


def _approvers(annotations: Mapping[str, str], problems: Problems) -> dict[str, int]:
    approvers: dict[str, int] = {}
    try:
        groups = groups_of("approvers", annotations["approvers"])
        approvers = dict.fromkeys(groups, 1)
        approvers = people_by_group(groups, annotations.get("quorum", "1"))
        if (people := sum(approvers.values())) > MAX_PEOPLE:
            raise Mistake("quorum", f"asks for {people} people; {MAX_PEOPLE} is the most for one request")
    except Mistake as mistake:
        problems.append(mistake.told)
    return approvers


def _conditions(annotations: Mapping[str, str], approvers: Mapping[str, int], problems: Problems) -> Conditions:
    found: dict[str, Any] = {}
    for name in _CONDITIONS:
        if name in annotations:
            try:
                found |= _condition(name, annotations[name])
            except Mistake as mistake:
                problems.append(mistake.told)
    if "breakers" in found:
        found.setdefault("reviewers", dict.fromkeys(approvers, 1))
    elif "review" in annotations and "break_glass" not in annotations:
        problems.append(("@review", "`@review` needs `@break_glass`: there is nothing else to review"))
    return Conditions(**found)


def _condition(name: str, text: str) -> dict[str, Any]:
    match name:
        case "reason":
            required(name, text, "required")
            return {"needs_reason": True}
        case "ticket":
            needed, patterns = demanded_ticket(text)
            return {"needs_ticket": needed, "tickets": patterns}
        case "max_duration":
            return {"longest": seconds_of(name, text)}
        case "ask_window":
            return {"ask_within": (windows_of(name, text),)}
        case "answer_window":
            return {"answer_within": (windows_of(name, text),)}
        case "break_glass":
            return {"breakers": (groups_of(name, text),)}
        case "review":
            return {"reviewers": dict.fromkeys(groups_of(name, text), 1)}
        case _:
            required(name, text, "rows")
            return {"estimates": True}


def _lifting_problems(approvers: Mapping[str, int], policy: dict[str, Any]) -> Problems:
    """Asking people is for something only where the rule looks at their consent, and is content with it."""
    if "approvals" not in speech.attributes(policy.get("conditions")):
        return [("@approvers", "the rule does not look at `context.approvals`, so nobody could lift it")]
    groups, texts = frozenset(approvers), speech.texts(policy.get("conditions"))
    unread = [group for group in approvers if group not in texts and not is_heard(policy, group, groups)]
    if unread:
        looks = " and ".join(f'`context.approvals.contains("{group}")`' for group in unread)
        return [("@approvers", f"the rule does not look at {looks}, so asking them would change nothing")]
    if approvers and not can_be_lifted(policy, groups):
        return [("@approvers", "the rule would refuse even when all of them have agreed: see its `context.approvals`")]
    return []


def _scope_problems(annotations: Mapping[str, str], policy: dict[str, Any]) -> Problems:
    """Conditions that mean nothing for any action of the rule."""
    actions = speech.actions(policy)
    problems: Problems = []
    if "max_duration" in annotations and not has_length(actions):
        told = "`@max_duration` is for what lasts: `connect`, `extend` and `reveal`; a statement is asked for once"
        problems.append(("@max_duration", told))
    if "estimate" in annotations and not is_of_statements(actions):
        problems.append(("@estimate", "`@estimate` is for statements: nothing else touches rows"))
    if "break_glass" in annotations and actions == {"extend"}:
        told = "the glass is broken to open, to run or to see, not to stay: who must goes in anew"
        problems.append(("@break_glass", told))
    return problems
