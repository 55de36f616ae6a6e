"""A catalog as far as a case tells it, so that statements mean what they would at a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from hoopx_broker.policy.names import resolve
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, Mention, StatementFacts, TableName, Volatility
from hoopx_broker.terms.lineage import Flow
from hoopx_broker.terms.targets import ColumnName

NOTHING_KNOWN = Catalog()


def catalog(
    tables: Mapping[str, tuple[str, ...]], views: Mapping[str, tuple[str, ...]], functions: Mapping[str, Volatility]
) -> Catalog:
    """`tables` have columns; `views` read relations or columns. Raises `ValueError` for a name without a schema."""
    known = {_table(name): columns for name, columns in tables.items()}
    read = {_table(view): [_parts(each) for each in reads] for view, reads in views.items()}
    behind = {view: tuple(TableName(*parts[:2]) for parts in each) for view, each in read.items()}
    names = sorted({*known, *read, *(table for each in behind.values() for table in each)})
    relations = {
        name: Relation(oid, name.schema or "", name.name, "v" if name in read else "r")
        for oid, name in enumerate(names, 1)
    }
    return Catalog(
        relations={relation.oid: relation for relation in relations.values()},
        by_name={
            name: tuple(relation for key, relation in relations.items() if key.name == name)
            for name in {each.name for each in names}
        },
        columns={relations[name].oid: columns for name, columns in known.items()},
        reads={relations[view].oid: tuple(relations[table].oid for table in each) for view, each in behind.items()},
        views={
            relations[view].oid: frozenset(ColumnName(*parts) for parts in each if len(parts) == 3)
            for view, each in read.items()
        },
        functions=_functions(functions),
    )


def _functions(functions: Mapping[str, Volatility]) -> dict[str, tuple[FunctionName, ...]]:
    found: dict[str, tuple[FunctionName, ...]] = {}
    for name, volatility in functions.items():
        schema, plain = _parts(name)[:2]
        found[plain] = (*found.get(plain, ()), FunctionName(schema, plain, volatility))
    return found


def _table(name: str) -> TableName:
    return TableName(*_parts(name)[:2])


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("."))
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"`{name}` is not `schema.name`")
    return parts


def resolved(
    facts: Iterable[StatementFacts], known: Catalog = NOTHING_KNOWN, classified: Iterable[ColumnName] = ()
) -> tuple[StatementFacts, ...]:
    """Names without a schema that the catalog does not know: those that begin with `pg_` are PostgreSQL's own.

    Tables that hold `classified` columns are taken to be there.
    """
    return resolve((_at_home(one) for one in facts), _with_classes(known, tuple(classified)))


def _with_classes(known: Catalog, classified: tuple[ColumnName, ...]) -> Catalog:
    """The catalog with what flows into classified columns, and into the views that are said to read those."""
    flows: dict[int, dict[str, Flow]] = {}
    for column in classified:
        known, oid = _with_relation(known, TableName(column.schema, column.table))
        flows.setdefault(oid, {})[column.column] = Flow(frozenset({column}), is_plain=True)
    for view, columns in known.views.items():
        for column in columns & set(classified):
            flows.setdefault(view, {})[column.column] = Flow(frozenset({column}), is_plain=True)
    return structs.replace(known, flows=flows)


def _with_relation(known: Catalog, table: TableName) -> tuple[Catalog, int]:
    there = known.by_name.get(table.name, ())
    for relation in there:
        if relation.schema == table.schema:
            return known, relation.oid
    made = Relation(max(known.relations, default=0) + 1, table.schema or "", table.name, "r")
    relations, by_name = known.relations | {made.oid: made}, known.by_name | {table.name: (*there, made)}
    return structs.replace(known, relations=relations, by_name=by_name), made.oid


def _at_home(facts: StatementFacts) -> StatementFacts:
    tables = tuple(structs.replace(use, schema=_home(use.schema, use.name)) for use in facts.tables)
    mentions = tuple(_mention_at_home(mention) for mention in facts.mentions)
    return structs.replace(facts, tables=tables, mentions=mentions)


def _mention_at_home(mention: Mention) -> Mention:
    levels = tuple(
        tuple(TableName(_home(each.schema, each.name), each.name) for each in level) for level in mention.levels
    )
    return structs.replace(mention, levels=levels)


def _home(schema: str | None, name: str) -> str | None:
    return "pg_catalog" if schema is None and name.startswith("pg_") else schema
