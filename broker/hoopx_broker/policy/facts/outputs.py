"""For a plain query, which names each column of its answer is made of; None where that is not plain to see."""

from __future__ import annotations

from typing import Any

from hoopx_broker.policy.facts.functions import takes_rows
from hoopx_broker.policy.facts.grammar import Node


class _Unclear(Exception):
    """More may flow into the column than the names in it."""


def outputs(body: Node) -> tuple[frozenset[str] | None, ...] | None:
    """One set of names for each output column of a SELECT over tables alone: columns read, functions called.

    None for a column that a row, a `*` or a subquery may flow into. None for all where they cannot be told apart: a
    `*`, a set operation, WITH, subqueries or functions in FROM, merged join columns, column aliases of tables.
    """
    rows = _tables(body.get("fromClause", []))
    if rows is None or body.get("op", "SETOP_NONE") != "SETOP_NONE" or not body.get("targetList"):
        return None
    if not body.keys().isdisjoint(("withClause", "intoClause", "valuesLists")):
        return None
    targets = [item["ResTarget"]["val"] for item in body["targetList"]]
    if any(_is_star(target) for target in targets):
        return None
    return tuple(_names_or_none(target, rows) for target in targets)


def _tables(items: list[Node]) -> frozenset[str] | None:
    """The names by which rows can be referred to, where FROM holds nothing but tables and plain joins."""
    rows: set[str] = set()
    for item in items:
        ((kind, body),) = item.items()
        found = _table(body) if kind == "RangeVar" else _join(body) if kind == "JoinExpr" else None
        if found is None:
            return None
        rows |= found
    return frozenset(rows)


def _table(body: Node) -> frozenset[str] | None:
    alias = body.get("alias", {})
    return None if "colnames" in alias else frozenset({body["relname"], alias.get("aliasname", body["relname"])})


def _join(body: Node) -> frozenset[str] | None:
    if not body.keys().isdisjoint(("isNatural", "usingClause", "alias", "join_using_alias")):
        return None
    return _tables([body["larg"], body["rarg"]])


def _is_star(target: Node) -> bool:
    return any("A_Star" in field for field in target.get("ColumnRef", {}).get("fields", [])) or any(
        "A_Star" in field for field in target.get("A_Indirection", {}).get("indirection", [])
    )


def _names_or_none(target: Node, rows: frozenset[str]) -> frozenset[str] | None:
    names: set[str] = set()
    try:
        _collect(target, rows, names)
    except _Unclear:
        return None
    return frozenset(names)


def _collect(part: Any, rows: frozenset[str], names: set[str]) -> None:
    if isinstance(part, list):
        for item in part:
            _collect(item, rows, names)
        return
    if not isinstance(part, dict):
        return
    for kind, body in part.items():
        if kind == "SubLink":
            raise _Unclear
        if kind == "ColumnRef":
            _reference(body["fields"], rows, names)
            continue
        if kind == "FuncCall":  # `email(customers)` is `customers.email`
            names.add(body["funcname"][-1]["String"]["sval"])
        if kind == "A_Indirection":
            _attributes(body["indirection"], names)
        _collect(body, rows, names)


def _reference(fields: list[Node], rows: frozenset[str], names: set[str]) -> None:
    _attributes(fields[-1:], names)
    # A bare name is a row where no column has it, and then everything in the row flows. So it does where a function of
    # rows is called by a dot: `c.to_json`.
    name = fields[-1]["String"]["sval"]
    is_row = name in rows if len(fields) == 1 else takes_rows(name)
    if is_row:
        raise _Unclear


def _attributes(fields: list[Node], names: set[str]) -> None:
    for field in fields:
        if "A_Star" in field:
            raise _Unclear
        if "String" in field:
            names.add(field["String"]["sval"])
