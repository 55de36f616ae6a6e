"""Say what the names of a statement mean, by the target's catalog and the search paths that may hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from hoopx_broker.policy.catalogued import Catalogued
from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.scopes import ALL_COLUMNS
from hoopx_broker.policy.lineage import TooMuch, lineage
from hoopx_broker.policy.lookup import ANYWHERE, SYSTEM_SCHEMAS, Bearings, Lookup
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import ColumnUse, FunctionName, Mention, StatementFacts, TableName, TableUse
from hoopx_broker.terms.lineage import ANYTHING, NOTHING, Lineage

# What is done to the tables behind a view or above a partition. Their structure is changed by their own names only.
_REACHES = frozenset({"read", "insert", "update", "delete", "truncate", "lock"})


def resolve(
    facts: Iterable[StatementFacts], catalog: Catalog, bearings: Bearings = ANYWHERE
) -> tuple[StatementFacts, ...]:
    """Every table, column and function that may be meant, those behind views and partitions included."""
    names = _Names(Lookup(catalog, bearings))
    return tuple(names.resolved(statement) for statement in facts)


class _Names:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._catalog = lookup.catalog

    def resolved(self, statement: StatementFacts) -> StatementFacts:
        tables = set(self._tables(statement.tables))
        behind = {use for each in tables for use in self._behind(each)}
        called = set(self._called(statement, tables | behind))
        lineage = self._lineage(statement, called) if self._catalog.flows else None
        columns = set(self._columns(statement.mentions))
        return structs.replace(
            statement,
            tables=tuple(sorted(tables | behind)),
            columns=tuple(sorted(columns)),
            functions=_functions({self._named_by_server(name) for name in statement.functions}, called),
            actions=statement.actions | {"call"} if called else statement.actions,
            lineage=lineage,
        )

    # Values.

    def _lineage(self, statement: StatementFacts, called: set[FunctionName]) -> Lineage:
        if statement.outline is None:
            calls = bool(called) or "call" in statement.actions or statement.indirect is not None
            return Lineage(None, ANYTHING if calls else NOTHING, is_doubtful=calls)
        try:
            found = lineage(statement.outline, Catalogued(self._lookup))
        except TooMuch:
            return Lineage(None, ANYTHING, is_doubtful=True, is_whole=False)
        # A function of the target's own with the name of a harmless one is no part of any column.
        named = {name.name for name in statement.functions if not is_harmless(name)} | self._catalog.computing
        return structs.replace(
            found,
            is_doubtful=any(function.name not in named for function in called),
            knows_new=any(self._lookup.is_own(TableName(use.schema, use.name)) for use in statement.tables),
        )

    # Tables.

    def _tables(self, uses: Iterable[TableUse]) -> Iterator[TableUse]:
        for use in uses:
            for table in self._lookup.meant(TableName(use.schema, use.name)):
                yield structs.replace(use, schema=table.schema)

    def _behind(self, use: TableUse) -> Iterator[TableUse]:
        """What is reached by way of a relation: the tables of a view, partitions, and what they are parts of."""
        relation = self._lookup.relation(TableName(use.schema, use.name))
        if relation is None or use.through or use.action not in _REACHES or relation.schema in SYSTEM_SCHEMAS:
            return
        through = (f"{use.schema}.{use.name}",)
        for other in self._reached(relation):
            yield TableUse(other.schema, other.name, use.action, through)

    def _reached(self, relation: Relation) -> list[Relation]:
        found: dict[int, None] = {}
        todo = [relation.oid]
        while todo:
            oid = todo.pop()
            below = (*self._catalog.reads.get(oid, ()), *self._catalog.children.get(oid, ()))
            todo += [each for each in below if each not in found]
            found |= dict.fromkeys(below)
        above = list(self._catalog.parents.get(relation.oid, ()))
        while above:
            oid = above.pop()
            if oid not in found:
                found[oid] = None
                above += self._catalog.parents.get(oid, ())
        found.pop(relation.oid, None)
        return [self._catalog.relations[oid] for oid in found if oid in self._catalog.relations]

    # Columns.

    def _columns(self, mentions: Iterable[Mention]) -> Iterator[ColumnUse]:
        for mention in mentions:
            for use in self._column(mention):
                yield use
                yield from self._columns_behind(use)

    def _column(self, mention: Mention) -> Iterator[ColumnUse]:
        """A column is of the innermost tables that have it; one that the catalog does not know may have any."""
        for level in mention.levels:
            meant = [table for each in level for table in self._lookup.meant(each)]
            if mention.unless and any(mention.unless in (self._lookup.columns_of(table) or ()) for table in meant):
                continue
            having = [table for table in meant if self._has(table, mention.column)]
            for table in having:
                for column in self._named(table, mention.column):
                    yield ColumnUse(table.schema, table.name, column, mention.action)
            if having:
                return

    def _has(self, table: TableName, column: str) -> bool:
        known = self._lookup.columns_of(table)
        return known is None or column == ALL_COLUMNS or column in known

    def _named(self, table: TableName, column: str) -> tuple[str, ...]:
        known = self._lookup.columns_of(table)
        return known if column == ALL_COLUMNS and known is not None else (column,)

    def _columns_behind(self, use: ColumnUse) -> Iterator[ColumnUse]:
        """The same column in partitions and parents; of what a view reads, the classified columns."""
        relation = self._lookup.relation(TableName(use.schema, use.table))
        if relation is None:
            return
        through = (f"{use.schema}.{use.table}",)
        for column in self._catalog.views.get(relation.oid, ()):
            yield ColumnUse(column.schema, column.table, column.column, use.action, through)
        if relation.oid in self._catalog.reads:
            return
        for other in self._reached(relation):
            if use.column in self._catalog.columns.get(other.oid, ()):
                yield ColumnUse(other.schema, other.name, use.column, use.action, through)

    # Functions.

    def _called(self, statement: StatementFacts, tables: Iterable[TableUse]) -> Iterator[FunctionName]:
        """The target's own functions that may run: by a name, a dot, an operator, a type, or inside of a view."""
        catalog = self._catalog
        for name in statement.functions:
            for own in catalog.functions.get(name.name, ()):
                if name.schema == own.schema or (name.schema is None and self._lookup.is_visible(own)):
                    yield own
        for attribute in self._attributes(statement):
            yield from filter(self._lookup.is_visible, catalog.functions[attribute])
        for operator in statement.operators & catalog.operators.keys():
            yield from filter(self._lookup.is_visible, catalog.operators[operator])
        for kind in statement.types & catalog.types.keys():
            yield from catalog.types[kind]
        for use in tables:
            relation = self._lookup.relation(TableName(use.schema, use.name))
            for function in catalog.calls.get(relation.oid, ()) if relation is not None else ():
                # What a view computes is its owner's affair; that a read of it writes, is not.
                if function.volatility == "volatile":
                    yield function

    def _attributes(self, statement: StatementFacts) -> frozenset[str]:
        """`row.name` calls a function where no column has that name."""
        lacking = {
            mention.column
            for mention in statement.mentions
            if mention.column in self._catalog.attributes and not self._is_column(mention)
        }
        return (statement.dotted & self._catalog.attributes) | lacking

    def _is_column(self, mention: Mention) -> bool:
        tables = [table for level in mention.levels for each in level for table in self._lookup.meant(each)]
        return all(mention.column in (self._lookup.columns_of(table) or ()) for table in tables)

    def _named_by_server(self, name: FunctionName) -> FunctionName:
        volatility = self._catalog.server.get(name.name)
        if name.schema not in (None, "pg_catalog") or volatility is None or is_harmless(name):
            return name
        return FunctionName("pg_catalog", name.name, volatility)


def _functions(named: set[FunctionName], called: set[FunctionName]) -> tuple[FunctionName, ...]:
    """Those named, in the place of a bare name the ones that it stands for, each with what is known of it."""
    own = {function.name for function in called}
    known = {(function.schema, function.name) for function in called}
    kept = {
        name
        for name in named
        if (name.schema is not None or name.name not in own or is_harmless(name))
        and (name.schema, name.name) not in known
    }
    return tuple(sorted(kept | called, key=lambda each: (each.schema or "", each.name)))
