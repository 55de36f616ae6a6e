"""Remember what SQL prepared under which name, so that EXECUTE and FETCH are judged as what they run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.lineage import Lineage
from hoopx_broker.terms.rulings import Deny

# Names that one stream may have prepared; the oldest are forgotten first.
MAX_NAMES = 1_000
# Different statements that it may have given one name.
MAX_MEANINGS = 16

# The version of the policy by which people were asked, and the groups that agreed.
Agreement = tuple[str, frozenset[str]]
_NOBODY: Agreement = ("", frozenset())

FORGOTTEN = Deny("what this name stands for was prepared too long ago to be known", "judge", "prepare it again")


class PreparedStatements:
    """Of one stream: a name means everything that was prepared under it, until it is forgotten.

    `turns` grows with each new meaning, so that rulings made before are not used after it.
    """

    def __init__(self) -> None:
        self._meanings: dict[str, tuple[StatementFacts, ...]] = {}
        self._has_forgotten = False
        # What cursors were bound to when they were declared, whatever the names in them mean by now.
        self._bound: dict[str, Lineage | None] = {}
        # What people agreed to have declared: fetching from it is a part of the run that they were asked about.
        self._agreed: dict[tuple[str, StatementFacts], Agreement] = {}
        # A function of the target's own has run, which may have opened a cursor of any name.
        self._may_be_others = False
        self.turns = 0

    def learn(
        self, facts: Sequence[StatementFacts], resolved: Sequence[StatementFacts], agreement: Agreement = _NOBODY
    ) -> None:
        """These statements will run, or perhaps fail; as they were said, and as their names are found now."""
        self._may_be_others |= any("call" in statement.actions for statement in resolved)
        for statement, now in zip(facts, resolved, strict=True):
            name = statement.defines
            if name is not None and statement not in self._meanings.get(name, ()):
                self._add(name, statement)
                self._bound[name] = now.lineage
            if name is not None and agreement != self._agreed.get((name, statement), _NOBODY):
                self.turns += 1
                self._agreed[name, statement] = agreement

    def is_sure(self, facts: Sequence[StatementFacts], run: Sequence[StatementFacts]) -> bool:
        """Is what these run for sure what was prepared under that name, and does it mean what it did then?"""
        if self._may_be_others or len(facts) != 1 or len(run) != 1:
            return False
        return self._bound.get(facts[0].indirect or "") == run[0].lineage

    def _add(self, name: str, statement: StatementFacts) -> None:
        self.turns += 1
        known = self._meanings.pop(name, ())
        self._has_forgotten |= len(known) == MAX_MEANINGS
        self._meanings[name] = (*known, statement)[-MAX_MEANINGS:]
        if len(self._meanings) > MAX_NAMES:
            oldest = next(iter(self._meanings))
            self._meanings.pop(oldest)
            self._bound.pop(oldest, None)
            self._has_forgotten = True
        known_by = self._meanings
        self._agreed = {(of, what): each for (of, what), each in self._agreed.items() if what in known_by.get(of, ())}

    def meant(self, facts: Iterable[StatementFacts]) -> tuple[StatementFacts, ...] | Deny:
        """What the names that these statements run stand for. A name that only the protocol knows was judged there."""
        found: list[StatementFacts] = []
        for statement in facts:
            if statement.indirect is not None:
                meanings = self._meanings.get(statement.indirect, ())
                if not meanings and self._has_forgotten:
                    return FORGOTTEN
                found += meanings
        return tuple(found)

    def agreed(self, facts: Iterable[StatementFacts], meaning: StatementFacts, policy: str) -> frozenset[str]:
        """The groups that agreed, by this version of the policy, to what these statements run meaning this."""
        found = (self._agreed.get((each.indirect or "", meaning), _NOBODY) for each in facts)
        return frozenset[str]().union(*(groups for version, groups in found if version == policy))
