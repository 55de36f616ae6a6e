"""Ask Cedar: questions in, answers with the rules that made them out. An engine that stumbles has not said yes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cedarpy import Decision, Entities, Schema, is_authorized_batch
from msgspec import Struct

from hoopx_broker.policy.load import Policies
from hoopx_broker.policy.questions import Question

# A statement that needs more answers than this is a script; each costs some 50 microseconds.
MAX_QUESTIONS = 2_000
# Pairs of a person and a target whose entities are kept parsed.
_KEPT = 1_024


class Answer(Struct, frozen=True):
    """`rules` are those that permitted, or those that forbade; none where nothing permitted."""

    question: Question
    allowed: bool
    rules: tuple[str, ...]


class Stumbled(Exception):
    """Evaluation failed somewhere. Cedar skips a rule that errors, which for a forbid would be a yes."""


class Asking(Struct, frozen=True):
    """A question with its context (Cedar's JSON)."""

    question: Question
    context: str


@lru_cache(maxsize=_KEPT)
def _parsed(ground: str, schema: Schema) -> Entities:
    """Checked against the schema, which also adds its actions: without them no action is `in` any group of actions."""
    return Entities.from_json_str(ground, schema)


def ask(
    policies: Policies, user: str, ground: str, more: list[dict[str, Any]], asked: Sequence[Asking]
) -> list[Answer]:
    """Answer all of `asked` in one batch. `ground` and `more` are entities; raises `Stumbled`."""
    if len(asked) > MAX_QUESTIONS:
        raise Stumbled(f"it needs more than {MAX_QUESTIONS} answers")
    entities = _parsed(ground, policies.schema)
    if more:
        entities = entities.with_added_json_str(json.dumps(more))
    results = is_authorized_batch([_request(user, one) for one in asked], policies.handle, entities, policies.schema)
    if len(results) != len(asked):
        raise Stumbled("the engine did not answer every question")
    return [_answer(one.question, result) for one, result in zip(asked, results, strict=True)]


def _request(user: str, asking: Asking) -> dict[str, Any]:
    question = asking.question
    return {
        "principal": {"type": "User", "id": user},
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": question.resource.type, "id": question.resource.id},
        "context": asking.context,
    }


def _answer(question: Question, result: Any) -> Answer:
    if result.diagnostics.errors:
        raise Stumbled("a rule could not be evaluated")
    if result.decision not in (Decision.Allow, Decision.Deny):
        raise Stumbled("the engine came to no decision")
    return Answer(question, result.decision is Decision.Allow, tuple(sorted(result.diagnostics.reasons)))
