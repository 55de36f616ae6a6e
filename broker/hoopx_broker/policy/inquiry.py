"""Ask policy everything that one ruling needs: entities and questions together, for each kind of ruling."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Literal

from hoopx_broker.policy.clocks import clock_entities
from hoopx_broker.policy.engine import Answer, Asking, ask
from hoopx_broker.policy.entities import (
    LOG,
    bound,
    class_of,
    classes,
    column_of,
    ground,
    log,
    named,
    person,
    person_of,
    target_of,
    user_of,
)
from hoopx_broker.policy.load import Policies
from hoopx_broker.policy.questions import (
    ColumnInterest,
    Question,
    Unanswerable,
    columns_used,
    doubtful,
    opening_context,
    probes,
    probing_context,
    questions,
    revealing_context,
    statement_contexts,
)
from hoopx_broker.seams.judge import Circumstances, IdentityAction
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.targets import ColumnName, Target

# What is asked of a target and of whose it is.
SessionAction = Literal["session.view", "session.kill", "lease.view", "lease.revoke", "audit.hold"]

# Values of a prepared statement that rules are shown, in characters: of a document that is stored, the size of a book.
MAX_PARAMETERS = 1_000_000


class Inquiry:
    """Each method raises `engine.Stumbled` where an answer cannot be trusted."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        interest = ColumnInterest(policies.columns_named, policies.asks_unclassified)
        self._interest = interest if policies.asks_columns else None

    def statements(
        self, who: Principal, target: Target, facts: Sequence[StatementFacts], circumstances: Circumstances
    ) -> list[Answer]:
        """Every question of every statement with its answer. Raises `questions.Unanswerable` too."""
        asked: list[Asking] = []
        for one in facts:
            found = questions(target, one, self._interest)
            contexts = statement_contexts(one, circumstances, {question.through for question in found})
            asked += [Asking(question, contexts[question.through]) for question in found]
        more = self._named(target, facts) + self._of_now(circumstances)
        return ask(self._policies, who.user, ground(who, target), more, asked) if asked else []

    def probing(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        hidden: Collection[ColumnName],
        circumstances: Circumstances,
    ) -> list[Answer]:
        """May the values of hidden columns decide what these statements would have them decide?"""
        asked = [
            Asking(_probe(target, column), probing_context(one, uses, circumstances))
            for one in facts
            for column, uses in probes(one, hidden)
        ]
        if not asked:
            return []
        columns = {column for one in facts for column, _ in probes(one, hidden)}
        more = named(target, set(), [], columns) + self._of_now(circumstances)
        return ask(self._policies, who.user, ground(who, target), more, asked)

    def revealing(self, who: Principal, target: Target, circumstances: Circumstances) -> list[Answer]:
        """May each classified column be seen raw? In the order of `target.classify`."""
        return self._reveal(who, target, list(target.classify), [], circumstances)

    def revealing_classes(
        self, who: Principal, target: Target, names: Sequence[str], circumstances: Circumstances
    ) -> list[Answer]:
        """May values of these classes be seen raw, wherever they are found? In the order of `names`."""
        return self._reveal(who, target, [], names, circumstances)

    def unmasking(
        self, who: Principal, target: Target, names: Collection[str], circumstances: Circumstances
    ) -> list[Answer]:
        """May everything of these classes be seen raw? Raises `Unanswerable` where no class is named.

        Asked of their columns, and of a class as such where detectors may find it, or no column is known to be of it.
        """
        if not names:
            raise Unanswerable("no class is named")
        columns = [column for column, kind in target.classify.items() if kind in names]
        detected = {detector.name for detector in target.masks.detectors}
        by_column = {target.classify[column] for column in columns} - detected
        return self._reveal(who, target, columns, sorted(set(names) - by_column), circumstances)

    def _reveal(
        self,
        who: Principal,
        target: Target,
        columns: Sequence[ColumnName],
        names: Sequence[str],
        circumstances: Circumstances,
    ) -> list[Answer]:
        context = revealing_context(circumstances)
        resources = [*(column_of(target, column) for column in columns), *(class_of(name) for name in names)]
        asked = [Asking(Question("reveal", resource), context) for resource in resources]
        more = named(target, set(), [], set(columns)) + classes(target, names)
        return ask(self._policies, who.user, ground(who, target), more, asked) if asked else []

    def opening(self, who: Principal, target: Target, circumstances: Circumstances) -> list[Answer]:
        return self._of_session("connect", who, target, circumstances)

    def extending(self, who: Principal, target: Target, circumstances: Circumstances) -> list[Answer]:
        return self._of_session("extend", who, target, circumstances)

    def _of_session(
        self, action: Literal["connect", "extend"], who: Principal, target: Target, circumstances: Circumstances
    ) -> list[Answer]:
        asking = Asking(Question(action, target_of(target)), opening_context(circumstances))
        return ask(self._policies, who.user, ground(who, target), self._of_now(circumstances), [asking])

    def session(self, action: SessionAction, who: Principal, target: Target, owner: Owner) -> list[Answer]:
        context = '{"own": true}' if owner.is_of(who) else '{"own": false}'
        asking = Asking(Question(action, target_of(target)), context)
        return ask(self._policies, who.user, ground(who, target), [], [asking])

    def collecting(self, who: Principal, target: Target) -> list[Answer]:
        """May recordings of sessions there be deleted when they are over their time?"""
        asking = Asking(Question("audit.gc", target_of(target)), "{}")
        return ask(self._policies, who.user, ground(who, target), [], [asking])

    def identity(self, action: IdentityAction, who: Principal, user: str) -> list[Answer]:
        context = '{"own": true}' if user in (who.user, who.on_behalf_of) else '{"own": false}'
        asking = Asking(Question(action, person_of(user)), context)
        return ask(self._policies, who.user, json.dumps([user_of(who)]), [person(user)], [asking])

    def log(self, who: Principal) -> list[Answer]:
        """May `who` look at what happened at this broker?"""
        return ask(
            self._policies, who.user, json.dumps([user_of(who)]), [log()], [Asking(Question("audit.view", LOG), "{}")]
        )

    def _named(self, target: Target, facts: Sequence[StatementFacts]) -> list[dict[str, Any]]:
        """Entities for the tables, columns and functions that these statements name or reach."""
        interest = self._interest
        tables = {(use.schema, use.name) for one in facts for use in one.tables}
        functions = [name for one in facts for name in doubtful(one)]
        used = [columns_used(target, one, interest) for one in facts] if interest is not None else []
        return named(target, tables, functions, {column for each in used for _, column in each})

    def _of_now(self, circumstances: Circumstances) -> list[dict[str, Any]]:
        """Entities for what rules of this set look at: clocks, and the values of a prepared statement."""
        clocks = clock_entities(self._policies.clocks, circumstances.now)
        if not self._policies.asks_parameters:
            return clocks
        if sum(len(value or "") for value in circumstances.parameters) > MAX_PARAMETERS:
            raise Unanswerable("the parameters are too large for rules to look at")
        return [*clocks, bound(circumstances.parameters, circumstances.pending)]


def _probe(target: Target, column: ColumnName) -> Question:
    """It needs no permit, but may be forbidden."""
    return Question("probe", column_of(target, column), weighed="forbids")
