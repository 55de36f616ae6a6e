"""SELECT, INSERT, UPDATE, DELETE and MERGE: which tables they touch, and what may flow into their answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hoopx_broker.policy.facts.expressions import assignment
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.relations import schema_of, with_names
from hoopx_broker.policy.facts.scopes import ALL_COLUMNS, scope_of, scope_of_target, table_name
from hoopx_broker.policy.facts.settings import set_by_catalog, set_setting
from hoopx_broker.policy.facts.statement import Statement
from hoopx_broker.policy.facts.walk import Place, Walk, names
from hoopx_broker.terms.facts import ColumnAction, TableAction

# Clauses that choose, order and group rows, but put nothing of them into the answer.
_CHOOSING = (
    "whereClause",
    "groupClause",
    "havingClause",
    "windowClause",
    "distinctClause",
    "limitOffset",
    "limitCount",
)
# Names that PostgreSQL 18 gives in RETURNING to a row before and after the change.
_OLD_AND_NEW = ("old", "new")
_MERGE_ACTIONS: dict[str, TableAction] = {"CMD_INSERT": "insert", "CMD_UPDATE": "update", "CMD_DELETE": "delete"}


def select(walk: Walk, body: Node, place: Place) -> None:
    """SELECT, VALUES, TABLE, set operations, and SELECT INTO."""
    setting = set_by_catalog(body)
    if setting is not None:
        walk.found.actions.add("set")
        walk.found.function(None, "set_config")
        set_setting(walk, *setting)
        walk.field("SelectStmt", body, "fromClause", place.nested().using("read"))
        return
    place = with_names(walk, body, place.using("read"))
    place = place.within(scope_of(body.get("fromClause", []), place.ctes, place.scope))
    if "intoClause" in body:
        into(walk, body["intoClause"])
        place = place.nested()
    if place.top and "limitCount" in body:
        walk.found.has_limit = True
    inner = replace(place.nested(), locked=_locks(body, place))
    for name in ("larg", "rarg", "fromClause"):
        walk.field("SelectStmt", body, name, inner)
    place = replace(place, locked=None)
    walk.field("SelectStmt", body, "targetList", place)
    walk.field("SelectStmt", body, "valuesLists", place.nested())
    for name in _CHOOSING:
        walk.field("SelectStmt", body, name, place.hidden())
    _order(walk, body, place.hidden())


def _order(walk: Walk, body: Node, place: Place) -> None:
    """ORDER BY a name of the answer looks at no table: that column is read where it is made."""
    made = {item["ResTarget"].get("name") for item in body.get("targetList", [])}
    for item in body.get("sortClause", []):
        fields = names(item["SortBy"]["node"].get("ColumnRef", {}).get("fields", []))
        named = len(fields) == 1 and fields[0] in made
        walk.wrapped(item, replace(place, scope=None) if named else place)


def _locks(body: Node, place: Place) -> frozenset[str] | None:
    """The aliases that FOR UPDATE and its kin lock in this FROM; empty for all of them."""
    clauses = [item["LockingClause"] for item in body.get("lockingClause", [])]
    if not clauses:
        return place.locked
    named = [clause.get("lockedRels", []) for clause in clauses]
    if not all(named) or place.locked == frozenset():
        return frozenset()
    return frozenset(item["RangeVar"]["relname"] for items in named for item in items) | (place.locked or frozenset())


def into(walk: Walk, clause: Node) -> None:
    """The table that SELECT INTO, CREATE TABLE AS and CREATE MATERIALIZED VIEW make."""
    relation = clause["rel"]
    walk.found.table(schema_of(relation), relation["relname"], "ddl")
    walk.found.kinds.add("create-table-as")


def insert(walk: Walk, body: Node, place: Place) -> None:
    place = with_names(walk, body, place)
    _target(walk, body, place, "insert")
    _source(walk, body.get("selectStmt", {}), place)
    place = place.within(scope_of_target(body["relation"], [], place.ctes, "excluded", *_OLD_AND_NEW))
    _inserts(walk, body, body.get("cols", []), place)
    conflict = body.get("onConflictClause")
    if conflict:
        _on_conflict(walk, body, conflict, place)
    _returning(walk, body, place)


def _inserts(walk: Walk, body: Node, columns: list[Node], place: Place) -> None:
    """The columns that get a value; without a list it is all of them."""
    _assignments(walk, body, columns, place, "insert")
    if not columns:
        walk.found.column(table_name(body["relation"]), ALL_COLUMNS, "insert")


def _source(walk: Walk, node: Node, place: Place) -> None:
    """A plain list of values is no query, and needs no permission to read."""
    query = node.get("SelectStmt", {})
    if "valuesLists" in query and "withClause" not in query:
        walk.field("SelectStmt", query, "valuesLists", place.nested())
    else:
        walk.wrapped(node, place.nested())


def _on_conflict(walk: Walk, body: Node, conflict: Node, place: Place) -> None:
    walk.field("OnConflictClause", conflict, "infer", place.hidden())
    walk.field("OnConflictClause", conflict, "whereClause", place.hidden())
    _assignments(walk, body, conflict.get("targetList", []), place, "update")
    _target(walk, body, place, "read")
    if conflict.get("action") == "ONCONFLICT_UPDATE":
        walk.found.kinds.add("update")
        _target(walk, body, place, "update")


def update(walk: Walk, body: Node, place: Place) -> None:
    place = with_names(walk, body, place)
    _target(walk, body, place, "update")
    place = place.within(scope_of_target(body["relation"], body.get("fromClause", []), place.ctes, *_OLD_AND_NEW))
    _assignments(walk, body, body.get("targetList", []), place, "update")
    walk.field("UpdateStmt", body, "fromClause", place.nested().using("read"))
    _where(walk, body, place)
    if _mentions_column(body.get("targetList", [])):
        _target(walk, body, place, "read")
    _returning(walk, body, place)


def delete(walk: Walk, body: Node, place: Place) -> None:
    place = with_names(walk, body, place)
    _target(walk, body, place, "delete")
    place = place.within(scope_of_target(body["relation"], body.get("usingClause", []), place.ctes, *_OLD_AND_NEW))
    walk.field("DeleteStmt", body, "usingClause", place.nested().using("read"))
    _where(walk, body, place)
    _returning(walk, body, place)


def merge(walk: Walk, body: Node, place: Place) -> None:
    place = with_names(walk, body, place)
    _target(walk, body, place, "read")
    source = [body["sourceRelation"]]
    place = place.within(scope_of_target(body["relation"], source, place.ctes, *_OLD_AND_NEW))
    walk.field("MergeStmt", body, "sourceRelation", place.nested().using("read"))
    walk.field("MergeStmt", body, "joinCondition", place.hidden())
    joins = _mentions_column(body.get("joinCondition"))
    for item in body.get("mergeWhenClauses", []):
        _merge_when(walk, body, item["MergeWhenClause"], place)
        _bound(walk, item["MergeWhenClause"], joins=joins)
    _returning(walk, body, place)


def _merge_when(walk: Walk, body: Node, when: Node, place: Place) -> None:
    action = _MERGE_ACTIONS.get(when.get("commandType", ""))
    if action is not None:
        walk.found.kinds.add(action)
        _target(walk, body, place, action)
    walk.field("MergeWhenClause", when, "condition", place.hidden())
    walk.field("MergeWhenClause", when, "values", place.nested())
    if action == "insert":
        _inserts(walk, body, when.get("targetList", []), place)
    elif action == "update":
        _assignments(walk, body, when.get("targetList", []), place, action)


def _bound(walk: Walk, when: Node, *, joins: bool) -> None:
    """What bounds an UPDATE or DELETE of MERGE is its join, or for rows that do not join its own condition."""
    bounds = joins and when.get("matchKind") != "MERGE_WHEN_NOT_MATCHED_BY_SOURCE"
    changes = when.get("commandType") in ("CMD_UPDATE", "CMD_DELETE")
    if changes and not bounds and not _mentions_column(when.get("condition")):
        walk.found.has_where = False


def _target(walk: Walk, body: Node, place: Place, action: TableAction) -> None:
    """The relation written to is a table even where a WITH name is the same."""
    walk.field("Target", body, "relation", replace(place.nested(), ctes=frozenset(), use=action))


def _assignments(walk: Walk, body: Node, targets: list[Node], place: Place, action: ColumnAction) -> None:
    table = table_name(body["relation"])
    for target in targets:
        assignment(walk, target["ResTarget"], place, table, action)


def _where(walk: Walk, body: Node, place: Place) -> None:
    """A WHERE that looks at no column (`WHERE true`, `WHERE 1 = 1`) is none."""
    condition = body.get("whereClause")
    if condition is None or not _mentions_column(condition):
        walk.found.has_where = False
    if condition is not None:
        _target(walk, body, place, "read")
        walk.field("Where", body, "whereClause", place.hidden())


def _returning(walk: Walk, body: Node, place: Place) -> None:
    clause = body.get("returningClause")
    if not clause:
        return
    _target(walk, body, place, "read")
    walk.found.rows.update(option["ReturningOption"].get("value", "") for option in clause.get("options", []))
    walk.field("ReturningClause", clause, "exprs", place.using("read"))


def _mentions_column(part: Any) -> bool:
    if isinstance(part, list):
        return any(_mentions_column(item) for item in part)
    if not isinstance(part, dict):
        return False
    return "ColumnRef" in part or "CurrentOfExpr" in part or any(_mentions_column(value) for value in part.values())


STATEMENTS: dict[str, Statement] = {
    "SelectStmt": Statement("select", ("read",), select),
    "InsertStmt": Statement("insert", ("insert",), insert),
    "UpdateStmt": Statement("update", ("update",), update),
    "DeleteStmt": Statement("delete", ("delete",), delete),
    "MergeStmt": Statement("merge", (), merge),
}
