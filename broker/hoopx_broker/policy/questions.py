"""Turn facts into the questions that policy must answer yes to, and circumstances into what rules may look at."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from hoopx_broker.policy.entities import Resource, database_of, function_of, table_of
from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.facts import FunctionName, StatementFacts
from hoopx_broker.terms.targets import Target

# Actions that are asked of the whole database where a statement names nothing smaller.
_OF_THE_DATABASE = frozenset({"read", "ddl", "call", "copy", "admin", "set", "session"})


class Question(Struct, frozen=True):
    """May this action be done to this resource?"""

    action: str
    resource: Resource


class Unanswerable(Exception):
    """Facts that give no question, or one that policy has no words for."""


def questions(target: Target, facts: StatementFacts) -> list[Question]:
    """What must be permitted for a statement to run: each use of a table, each unknown function, and the rest."""
    asked = [Question(use.action, table_of(target, use.schema, use.name)) for use in facts.tables]
    asked += [Question("call", function_of(target, name.schema, name.name)) for name in doubtful(facts)]
    answered = {question.action for question in asked}
    for action in sorted(facts.actions - answered):
        if action not in _OF_THE_DATABASE:
            raise Unanswerable(f"`{action}` without a table")
        asked.append(Question(action, database_of(target)))
    if not asked:
        raise Unanswerable("nothing to ask about the statement")
    return asked


def doubtful(facts: StatementFacts) -> list[FunctionName]:
    """Functions that are not known to be harmless; each is asked for by name."""
    return [name for name in facts.functions if not is_harmless(name)] if "call" in facts.actions else []


def opening_context(circumstances: Circumstances) -> str:
    """The context of `connect`, as Cedar's JSON."""
    return json.dumps(_circumstances(circumstances))


def statement_context(facts: StatementFacts, circumstances: Circumstances) -> str:
    """The context of all questions about one statement, as Cedar's JSON."""
    return json.dumps(
        {
            **_circumstances(circumstances),
            "statement_kind": facts.kind,
            "kinds": sorted(facts.kinds),
            "dangerous": list(facts.dangerous),
            "functions": [_written(name) for name in facts.functions],
            "settings": list(facts.settings),
            "has_where": facts.has_where,
            "has_limit": facts.has_limit,
        }
    )


def _written(name: FunctionName) -> str:
    return name.name if name.schema is None else f"{name.schema}.{name.name}"


def _circumstances(circumstances: Circumstances) -> dict[str, Any]:
    now = datetime.fromtimestamp(circumstances.now, UTC)
    return {
        "reason": circumstances.reason,
        "ticket": circumstances.ticket,
        "duration": circumstances.duration,
        "approvals": sorted(circumstances.approvals),
        "now": {"__extn": {"fn": "datetime", "arg": now.strftime("%Y-%m-%dT%H:%M:%SZ")}},
        "hour": now.hour,
        "weekday": now.isoweekday(),
    }
