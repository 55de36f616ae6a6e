"""Follow what a session's statements do to the meaning of names: its search paths, its temporary tables, its role."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.relations import TEMPORARY
from hoopx_broker.policy.facts.settings import listed
from hoopx_broker.policy.names import Bearings
from hoopx_broker.terms.facts import StatementFacts

# Paths and temporary tables that one session may have; with more, a name means everything of that name.
MAX_KNOWN = 64
# A DO block, and any function but the server's own, may set the path without saying so.
_BLIND = frozenset({"do", "call"})


class Compass:
    """What is known of the paths of all streams of a session. It only ever learns: a rollback takes back nothing here.

    `turns` grows with each lesson, so that rulings made before are not used after it.
    """

    def __init__(self, path: str | None = None, user: str = "") -> None:
        """`path` is the one that connections start with, as the server writes it."""
        start = listed(path) if path is not None else None
        self.bearings = Bearings(None if start is None else (start,), user)
        self.turns = 0

    def follow(self, facts: Iterable[StatementFacts]) -> None:
        """These statements will run, or perhaps fail."""
        for statement in facts:
            self._learn(_paths_after(statement))
            for use in statement.tables:
                if use.schema == TEMPORARY and use.action == "ddl":
                    self._learn_temporary(use.name)

    def _learn(self, paths: tuple[tuple[str, ...] | None, ...]) -> None:
        known = self.bearings.paths
        if known is None or set(paths) <= set(known):
            return
        certain = tuple(path for path in paths if path is not None)
        learnt = tuple(dict.fromkeys((*known, *certain)))
        too_much = len(certain) < len(paths) or len(learnt) > MAX_KNOWN
        self._turn(Bearings(None if too_much else learnt, self.bearings.user, self.bearings.temporary))

    def _learn_temporary(self, name: str) -> None:
        known = self.bearings.temporary
        if name not in known and len(known) < MAX_KNOWN * MAX_KNOWN:
            self._turn(Bearings(self.bearings.paths, self.bearings.user, known | {name}))

    def _turn(self, bearings: Bearings) -> None:
        self.bearings = bearings
        self.turns += 1


def _paths_after(statement: StatementFacts) -> tuple[tuple[str, ...] | None, ...]:
    blind = not _BLIND.isdisjoint(statement.kinds) or any(_may_set_path(statement))
    return (*statement.paths, None) if blind else statement.paths


def _may_set_path(statement: StatementFacts) -> Iterable[bool]:
    """A function of the target's own, unless it is immutable, which it could not be if it changed a setting."""
    if "call" not in statement.actions:
        return
    for function in statement.functions:
        yield not is_harmless(function) and function.schema != "pg_catalog" and function.volatility != "immutable"
