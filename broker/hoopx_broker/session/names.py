"""Say what the names of a statement may mean, by the target's catalog."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import FunctionName, StatementFacts, TableUse


def resolve(facts: Iterable[StatementFacts], catalog: Catalog) -> tuple[StatementFacts, ...]:
    """A name without a schema stands for every relation and function of that name: each must be permitted.

    What `search_path` says now is not asked: it may change between judging and running. A name that the catalog does
    not know is taken to be in `public`.
    """
    return tuple(_resolved(statement, catalog) for statement in facts)


def _resolved(statement: StatementFacts, catalog: Catalog) -> StatementFacts:
    tables = tuple(sorted(set(_uses(statement.tables, catalog))))
    own = set(_own_functions(statement, catalog))
    if not own:
        return msgspec.structs.replace(statement, tables=tables)
    functions = sorted({*statement.functions, *own}, key=lambda each: (each.schema or "", each.name))
    return msgspec.structs.replace(
        statement, tables=tables, functions=tuple(functions), actions=statement.actions | {"call"}
    )


def _own_functions(statement: StatementFacts, catalog: Catalog) -> Iterable[FunctionName]:
    """The target's own functions that may be meant: by a name that PostgreSQL has too, or by `row.name`."""
    called = {name.name for name in statement.functions if name.schema is None}
    for name in (called & catalog.functions.keys()) | (statement.mentioned & catalog.attributes):
        for schema in catalog.functions[name]:
            yield FunctionName(schema, name)


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
