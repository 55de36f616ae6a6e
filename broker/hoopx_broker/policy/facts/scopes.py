"""Which tables a column may belong to: the names that FROM gives to rows, query inside of query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.terms.facts import ColumnAction, Mention, TableName

ALL_COLUMNS = "*"


@dataclass(frozen=True, slots=True)
class Rows:
    """What one name in FROM stands for. No tables: an inner query or a function, which saw to its own columns.

    `is_renamed` where `t(a, b)` gives the columns other names, so that any name may be any column.
    """

    tables: tuple[TableName, ...] = ()
    is_renamed: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that one query can name, and the query around it: a bare column is looked up outwards."""

    rows: Mapping[str, Rows]
    outer: Scope | None = None

    def find(self, name: str) -> Rows | None:
        """The innermost rows of this name."""
        found = self.rows.get(name)
        return found if found is not None or self.outer is None else self.outer.find(name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys(table for rows in self.rows.values() for table in rows.tables))

    @property
    def levels(self) -> tuple[tuple[TableName, ...], ...]:
        """The tables of this query, of the one around it, and so on."""
        around = self.outer.levels if self.outer is not None else ()
        return (self.tables, *around) if self.tables else around

    @property
    def is_renamed(self) -> bool:
        return any(rows.is_renamed for rows in self.rows.values())


def table_name(relation: Node) -> TableName:
    """The table that a `RangeVar` names."""
    return TableName(relation.get("schemaname"), relation["relname"])


def scope_of(items: Iterable[Node], ctes: frozenset[str], outer: Scope | None) -> Scope:
    """What a list of FROM items gives names to."""
    rows: dict[str, Rows] = {}
    for item in items:
        _add(rows, item, ctes)
    return Scope(rows, outer)


def scope_of_target(relation: Node, items: Iterable[Node], ctes: frozenset[str], *also: str) -> Scope:
    """A statement that writes: its table, under the names `also` too, and what it joins."""
    table = Rows((table_name(relation),))
    rows = dict.fromkeys((_alias(relation) or relation["relname"], *also), table)
    for item in items:
        _add(rows, item, ctes)
    return Scope(rows)


def _add(rows: dict[str, Rows], item: Node, ctes: frozenset[str]) -> None:
    for kind, body in item.items():
        match kind:
            case "RangeVar":
                is_cte = "schemaname" not in body and body["relname"] in ctes
                tables = () if is_cte else (table_name(body),)
                rows[_alias(body) or body["relname"]] = Rows(tables, _renames(body))
            case "JoinExpr":
                _add_join(rows, body, ctes)
            case "RangeTableSample":
                _add(rows, body["relation"], ctes)
            case _:
                if name := _alias(body):
                    rows[name] = Rows()


def _add_join(rows: dict[str, Rows], body: Node, ctes: frozenset[str]) -> None:
    joined: dict[str, Rows] = {}
    _add(joined, body["larg"], ctes)
    _add(joined, body["rarg"], ctes)
    rows.update(joined)
    whole = Rows(tuple(table for each in joined.values() for table in each.tables), _renames(body))
    for name in (_alias(body), body.get("join_using_alias", {}).get("aliasname")):
        if name:
            rows[name] = whole


def _alias(body: Node) -> str | None:
    name: str | None = body.get("alias", {}).get("aliasname")
    return name


def _renames(body: Node) -> bool:
    return bool(body.get("alias", {}).get("colnames"))


def mention(scope: Scope | None, fields: list[str], action: ColumnAction = "read") -> list[Mention]:
    """What `column`, `rows.column` or `schema.table.column` may be; nothing where no table is in sight."""
    if scope is None or not fields:
        return []
    if len(fields) > 1:
        rows = scope.find(fields[-2])
        if rows is None or not rows.tables:
            return []
        return [Mention(ALL_COLUMNS if rows.is_renamed else fields[-1], action, (rows.tables,))]
    levels = scope.levels
    found = [Mention(fields[0], action, levels)] if levels else []
    if scope.is_renamed:
        found.append(Mention(ALL_COLUMNS, action, (scope.tables,)))
    rows = scope.find(fields[0])
    if rows is not None and rows.tables:  # a bare name of rows is the whole row
        found.append(Mention(ALL_COLUMNS, action, (rows.tables,), unless=fields[0]))
    return found


def everything(scope: Scope | None, fields: list[str]) -> list[Mention]:
    """`*`, or `rows.*`: all columns of each table."""
    if scope is None:
        return []
    rows = scope.find(fields[-1]) if fields else None
    tables = rows.tables if rows is not None else () if fields else scope.tables
    return [Mention(ALL_COLUMNS, "read", ((table,),)) for table in tables]
