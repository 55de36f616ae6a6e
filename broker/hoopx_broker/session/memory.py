"""Remember rulings for as long as nothing changes that they rest on."""

from __future__ import annotations

from typing import TypeVar

from hoopx_broker.policy.facts.stencils import is_told_by_stencil, stencil
from hoopx_broker.policy.lookup import Bearings
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.effects import Passage

# A pool of applications repeats some hundreds of texts. Longer ones are not repeated to the letter.
MAX_REMEMBERED = 2_000
MAX_REMEMBERED_TEXT = 16 * 1024
# Ways to look for names that the streams of one session have at the same time: a schema for each tenant, say.
MAX_WAYS = 64

_Key = TypeVar("_Key")


class Memory:
    """By the statement's bytes and by its stencil, which need no reading; and by its facts, which more texts share."""

    __slots__ = ("by_facts", "by_stencil", "by_text")

    def __init__(self) -> None:
        self.by_text: dict[bytes, Passage | Deny] = {}
        self.by_stencil: dict[bytes, Passage | Deny] = {}
        self.by_facts: dict[tuple[StatementFacts, ...], Passage | Deny] = {}

    def keep(self, text: bytes, ruling: Passage | Deny, facts: tuple[StatementFacts, ...] | None) -> None:
        if len(text) <= MAX_REMEMBERED_TEXT:
            _put(self.by_text, text, ruling)
        if facts is None:
            return
        _put(self.by_facts, facts, ruling)
        if len(text) <= MAX_REMEMBERED_TEXT and is_told_by_stencil(facts) and (of := stencil(text)) is not None:
            _put(self.by_stencil, of, ruling)

    def of_stencil(self, text: bytes) -> Passage | Deny | None:
        """What was ruled on a text that differs in numbers only."""
        if not self.by_stencil or len(text) > MAX_REMEMBERED_TEXT or (of := stencil(text)) is None:
            return None
        return self.by_stencil.get(of)


class Memories:
    """One memory for each way to look for names: the same text may mean another table to another stream."""

    def __init__(self) -> None:
        self._by_way: dict[Bearings, Memory] = {}

    def of(self, bearings: Bearings) -> Memory:
        found = self._by_way.get(bearings)
        if found is None:
            if len(self._by_way) >= MAX_WAYS:
                self._by_way.pop(next(iter(self._by_way)))
            found = self._by_way[bearings] = Memory()
        return found


def _put(remembered: dict[_Key, Passage | Deny], key: _Key, ruling: Passage | Deny) -> None:
    if key not in remembered and len(remembered) >= MAX_REMEMBERED:
        remembered.pop(next(iter(remembered)))
    remembered[key] = ruling
