"""Ask Cedar: questions in, answers with the rules that made them out. An engine that stumbles has not said yes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, assert_never

from cedarpy import Decision, Entities, PolicySet, Schema, is_authorized_batch
from msgspec import Struct, structs

from hoopx_broker.policy.load import Policies, Rules
from hoopx_broker.policy.questions import Question, Weighed

# A statement that needs more answers than this is a script; each costs some 50 microseconds.
MAX_QUESTIONS = 2_000
# Pairs of a person and a target whose entities are kept parsed.
_KEPT = 1_024
_ERRING = re.compile(r"policy `([^`]+)`")


class Shadow(Struct, frozen=True):
    """What the rules in shadow say to a question: which would forbid it, which would permit it, and which erred."""

    forbids: tuple[str, ...] = ()
    permits: tuple[str, ...] = ()
    erred: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        return (*self.forbids, *self.permits)


class Answer(Struct, frozen=True):
    """`rules` are those that permitted, or those that forbade; none where nothing did, or nothing had to permit."""

    question: Question
    allowed: bool
    rules: tuple[str, ...]
    shadow: Shadow = Shadow()

    def enforcing_shadow(self) -> Answer:
        """The answer if no rule were in shadow."""
        if forbids := self.shadow.forbids:
            standing = () if self.allowed else self.rules
            return structs.replace(self, allowed=False, rules=tuple(sorted({*standing, *forbids})))
        if self.shadow.permits and not self.allowed and not self.rules:
            return structs.replace(self, allowed=True, rules=self.shadow.permits)
        return self


class Stumbled(Exception):
    """Evaluation failed somewhere. Cedar skips a rule that errors, which for a forbid would be a yes."""


class Asking(Struct, frozen=True):
    """A question with its context (Cedar's JSON)."""

    question: Question
    context: str


class _Said(Struct, frozen=True):
    """What one set of rules says to one question."""

    permitted: bool = False
    rules: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@lru_cache(maxsize=_KEPT)
def _parsed(ground: str, schema: Schema) -> Entities:
    """Checked against the schema, which also adds its actions: without them no action is `in` any group of actions."""
    return Entities.from_json_str(ground, schema)


def ask(
    policies: Policies, user: str, ground: str, more: list[dict[str, Any]], asked: Sequence[Asking]
) -> list[Answer]:
    """Answer all of `asked`. `ground` and `more` are entities; raises `Stumbled`."""
    if len(asked) > MAX_QUESTIONS:
        raise Stumbled(f"it needs more than {MAX_QUESTIONS} answers")
    entities = _parsed(ground, policies.schema)
    if more:
        entities = entities.with_added_json_str(json.dumps(more))
    enforced = _weigh(policies.enforced, entities, user, asked)
    answers = [_answer(one.question, said) for one, said in zip(asked, enforced, strict=True)]
    if not policies.has_shadow:
        return answers
    shadow = _weigh(policies.shadow, entities, user, asked)
    return [structs.replace(answer, shadow=_shadow(said)) for answer, said in zip(answers, shadow, strict=True)]


def _weigh(rules: Rules, entities: Entities, user: str, asked: Sequence[Asking]) -> list[_Said]:
    """In one batch for each set of rules that must be weighed; a set without rules says nothing."""
    said = [_Said()] * len(asked)
    places: dict[Weighed, list[int]] = {}
    for place, one in enumerate(asked):
        places.setdefault(one.question.weighed, []).append(place)
    for weighed, here in places.items():
        handle = _handle(rules, weighed)
        if handle is None:
            continue
        results = is_authorized_batch([_request(user, asked[place]) for place in here], handle, entities)
        if len(results) != len(here):
            raise Stumbled("the engine did not answer every question")
        for place, result in zip(here, results, strict=True):
            said[place] = _said(result)
    return said


def _handle(rules: Rules, weighed: Weighed) -> PolicySet | None:
    match weighed:
        case "whole":
            return rules.whole
        case "forbids":
            return rules.forbids
        case "columns":
            return rules.columns
        case _:
            assert_never(weighed)


def _request(user: str, asking: Asking) -> dict[str, Any]:
    question = asking.question
    return {
        "principal": {"type": "User", "id": user},
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": question.resource.type, "id": question.resource.id},
        "context": asking.context,
    }


def _said(result: Any) -> _Said:
    if result.decision not in (Decision.Allow, Decision.Deny):
        raise Stumbled("the engine came to no decision")
    rules, errors = tuple(sorted(result.diagnostics.reasons)), tuple(result.diagnostics.errors)
    return _Said(result.decision is Decision.Allow, rules, errors)


def _answer(question: Question, said: _Said) -> Answer:
    if said.errors:
        raise Stumbled("a rule could not be evaluated")
    allowed = said.permitted if question.weighed == "whole" else not said.rules
    return Answer(question, allowed, said.rules)


def _shadow(said: _Said) -> Shadow:
    erred = tuple(sorted({name for error in said.errors for name in _ERRING.findall(error)[:1]}))
    return Shadow((), said.rules, erred) if said.permitted else Shadow(said.rules, (), erred)
