"""Say which relations the unqualified names of a statement may mean, by the target's catalog."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import StatementFacts, TableUse


def resolve(facts: Iterable[StatementFacts], catalog: Catalog) -> tuple[StatementFacts, ...]:
    """A name without a schema stands for every relation of that name: each must be permitted.

    What `search_path` says now is not asked: it may change between judging and running. A name that the catalog does
    not know is taken to be in `public`.
    """
    return tuple(
        msgspec.structs.replace(statement, tables=tuple(sorted(set(_uses(statement.tables, catalog)))))
        for statement in facts
    )


def _uses(tables: Iterable[TableUse], catalog: Catalog) -> Iterable[TableUse]:
    for use in tables:
        if use.schema is not None:
            yield use
            continue
        candidates = catalog.by_name.get(use.name, ())
        if not candidates:
            yield TableUse("public", use.name, use.action)
        for relation in candidates:
            yield TableUse(relation.schema, use.name, use.action)
