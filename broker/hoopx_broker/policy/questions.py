"""Turn facts into the questions that policy must answer, and circumstances into what rules may look at."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from hoopx_broker.policy.entities import (
    PARAMETERS,
    Resource,
    column_of,
    columns_of,
    database_of,
    function_of,
    table_of,
)
from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.scopes import ALL_COLUMNS
from hoopx_broker.policy.lookup import DEFAULT_SCHEMA
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.facts import ColumnUse, FunctionName, StatementFacts
from hoopx_broker.terms.targets import ColumnName, Target

# Actions that are asked of the whole database where a statement names nothing smaller.
_OF_THE_DATABASE = frozenset({"read", "ddl", "call", "copy", "admin", "set", "session"})

# Which rules are weighed: all, and then something must permit; only those that forbid; of these, only those that tell
# the columns of a table apart.
Weighed = Literal["whole", "forbids", "columns"]


class Question(Struct, frozen=True):
    """May this action be done to this resource? `through` is what a statement names that the resource lies behind."""

    action: str
    resource: Resource
    through: tuple[str, ...] = ()
    weighed: Weighed = "whole"


class Unanswerable(Exception):
    """Facts that give no question, or one that policy has no words for."""


class ColumnInterest(Struct, frozen=True):
    """Which columns rules want to be asked about: those they name (by id), classified ones, and perhaps all others."""

    named: frozenset[str]
    others: bool


def questions(target: Target, facts: StatementFacts, interest: ColumnInterest | None) -> list[Question]:
    """What must be permitted for a statement to run: each use of a table, each unknown function, and the rest.

    What lies behind the relations that are named, and columns, need no permit; they may be forbidden.
    """
    named = [use for use in facts.tables if not use.through]
    asked = [Question(use.action, table_of(target, use.schema, use.name)) for use in named]
    asked += [Question("call", function_of(target, name.schema, name.name)) for name in doubtful(facts)]
    answered = {question.action for question in asked}
    for action in sorted(facts.actions - answered):
        if action not in _OF_THE_DATABASE:
            raise Unanswerable(f"`{action}` without a table")
        asked.append(Question(action, database_of(target)))
    if not asked:
        raise Unanswerable("nothing to ask about the statement")
    for use in facts.tables:
        if use.through:
            asked.append(Question(use.action, table_of(target, use.schema, use.name), use.through, "forbids"))
    return asked + (list(_of_columns(target, facts, interest)) if interest is not None else [])


def _of_columns(target: Target, facts: StatementFacts, interest: ColumnInterest) -> Iterator[Question]:
    for use, column in columns_used(target, facts, interest):
        yield Question(use.action, column_of(target, column), use.through, "columns")


def columns_used(
    target: Target, facts: StatementFacts, interest: ColumnInterest
) -> Iterator[tuple[ColumnUse, ColumnName]]:
    """Each use of a column that rules want to be asked about.

    `*` means columns that nobody knows: it is all that are classified or named, and one of the name `*`, so that a rule
    that forbids all columns but some forbids it.
    """
    for use in facts.columns:
        schema = use.schema or DEFAULT_SCHEMA
        names = [use.column]
        if use.column == ALL_COLUMNS:
            names = [ALL_COLUMNS, *columns_of(target, schema, use.table, interest.named)]
        for name in names:
            column = ColumnName(schema, use.table, name)
            if interest.others or column in target.classify or column_of(target, column).id in interest.named:
                yield use, column


def doubtful(facts: StatementFacts) -> list[FunctionName]:
    """Functions that are not known to be harmless; each is asked for by name."""
    return [name for name in facts.functions if not is_harmless(name)] if "call" in facts.actions else []


def opening_context(circumstances: Circumstances) -> str:
    """The context of `connect` and of `extend`, as Cedar's JSON."""
    return json.dumps(_circumstances(circumstances))


def probes(facts: StatementFacts, hidden: Container[ColumnName]) -> list[tuple[ColumnName, list[str]]]:
    """The hidden columns whose values decide something in a statement, and how."""
    found: dict[ColumnName, list[str]] = {}
    for probe in facts.lineage.probes if facts.lineage is not None else ():
        if probe.column in hidden:
            found.setdefault(probe.column, []).append(probe.use)
    return list(found.items())


def probing_context(facts: StatementFacts, uses: Sequence[str], circumstances: Circumstances) -> str:
    """The context of `probe`, as Cedar's JSON."""
    return json.dumps({**_circumstances(circumstances), "statement_kind": facts.kind, "uses": list(uses)})


def revealing_context(circumstances: Circumstances) -> str:
    """The context of `reveal`, as Cedar's JSON: it knows no time, so that what is hidden holds until policy changes."""
    approvals = sorted(circumstances.approvals)
    return json.dumps({"reason": circumstances.reason, "ticket": circumstances.ticket, "approvals": approvals})


def statement_contexts(
    facts: StatementFacts, circumstances: Circumstances, ways: set[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """The context of the questions about one statement, as Cedar's JSON, by what they are reached through."""
    common = {
        **_circumstances(circumstances),
        "statement_kind": facts.kind,
        "kinds": sorted(facts.kinds),
        "dangerous": list(facts.dangerous),
        "functions": [_written(name) for name in facts.functions],
        "settings": list(facts.settings),
        "has_where": facts.has_where,
        "has_limit": facts.has_limit,
        "parameters": {"__entity": PARAMETERS},
    }
    return {through: json.dumps({**common, "through": list(through)}) for through in ways}


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
