"""What one transaction has done to the structure of its database, which no other connection sees before it ends."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.terms.facts import StatementFacts

# What these make is new, so that every name goes on to mean what it did.
_NEW = frozenset(
    [
        "analyze",
        "comment",
        "create-index",
        "create-schema",
        "create-sequence",
        "create-statistics",
        "create-table",
        "create-table-as",
        "create-view",
        "grant",
        "refresh",
        "reindex",
        "vacuum",
    ]
)


class Structure:
    """Of the transaction that is open on one stream."""

    def __init__(self) -> None:
        # Something was changed; and so that names may mean something else.
        self.is_open = self.is_turned = False

    def changes(self, facts: Iterable[StatementFacts]) -> None:
        """These statements will run, or perhaps fail."""
        for statement in facts:
            if statement.changes_structure:
                self.is_open = True
                self.is_turned |= statement.kind not in _NEW
