"""Remember what SQL prepared under which name, so that EXECUTE and FETCH are judged as what they run."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.rulings import Deny

# Names that one stream may have prepared; the oldest are forgotten first.
MAX_NAMES = 1_000
# Different statements that it may have given one name.
MAX_MEANINGS = 16

FORGOTTEN = Deny("what this name stands for was prepared too long ago to be known", "judge", "prepare it again")


class PreparedStatements:
    """Of one stream: a name means everything that was prepared under it, until it is forgotten.

    `turns` grows with each new meaning, so that rulings made before are not used after it.
    """

    def __init__(self) -> None:
        self._meanings: dict[str, tuple[StatementFacts, ...]] = {}
        self._has_forgotten = False
        self.turns = 0

    def learn(self, facts: Iterable[StatementFacts]) -> None:
        """These statements will run, or perhaps fail."""
        for statement in facts:
            name = statement.defines
            if name is not None and statement not in self._meanings.get(name, ()):
                self._add(name, statement)

    def _add(self, name: str, statement: StatementFacts) -> None:
        self.turns += 1
        known = self._meanings.pop(name, ())
        self._has_forgotten |= len(known) == MAX_MEANINGS
        self._meanings[name] = (*known, statement)[-MAX_MEANINGS:]
        if len(self._meanings) > MAX_NAMES:
            self._meanings.pop(next(iter(self._meanings)))
            self._has_forgotten = True

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
