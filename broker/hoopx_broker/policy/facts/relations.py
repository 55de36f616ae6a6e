"""What stands in FROM: tables, joins, subqueries, functions, and the WITH names that look like tables."""

from __future__ import annotations

from dataclasses import replace

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.scopes import everything, scope_of
from hoopx_broker.policy.facts.walk import Handler, Place, Walk, names
from hoopx_broker.terms.facts import Mention

# The name by which a session reaches the schema of its temporary objects.
TEMPORARY = "pg_temp"


def range_var(walk: Walk, body: Node, place: Place) -> None:
    schema, name = schema_of(body), body["relname"]
    if schema is None and name in place.ctes and place.use == "read":
        walk.found.rows.add(name)
    else:
        walk.found.table(schema, name, place.use)
        walk.found.rows.add(name)
        if place.locked is not None and (not place.locked or _alias(body, name) in place.locked):
            walk.found.table(schema, name, "lock")
    alias(walk, body, place)


def schema_of(body: Node) -> str | None:
    """The schema that a relation is said to be in: what is made TEMPORARY says it too."""
    given: str | None = body.get("schemaname")
    return TEMPORARY if given is None and body.get("relpersistence") == "t" else given


def _alias(body: Node, name: str) -> str:
    given: str = body.get("alias", {}).get("aliasname", name)
    return given


def alias(walk: Walk, body: Node, place: Place) -> None:
    """An alias names a row; `c(a, b)` renames columns, so that what is shown no longer says which they are."""
    given = body.get("alias", {})
    if "aliasname" in given:
        walk.found.rows.add(given["aliasname"])
    if given.get("colnames"):
        walk.found.whole_rows |= place.shown


def join(walk: Walk, body: Node, place: Place) -> None:
    found = walk.found
    walk.field("JoinExpr", body, "larg", place)
    walk.field("JoinExpr", body, "rarg", place)
    walk.field("JoinExpr", body, "quals", place.hidden())
    shared = names(body.get("usingClause", []))
    found.mentioned.update(shared)
    inside = scope_of([body["larg"], body["rarg"]], place.ctes, None)
    for column in shared:
        found.mentions.update(Mention(column, "read", ((table,),)) for table in inside.tables)
    if body.get("isNatural"):  # joined by whatever columns they share
        found.mentions.update(everything(inside, []))
    found.whole_rows |= place.shown and bool(body.get("isNatural"))
    using = body.get("join_using_alias", {})
    if "aliasname" in using:
        found.rows.add(using["aliasname"])
    alias(walk, body, place)


def subselect(walk: Walk, body: Node, place: Place) -> None:
    given = body.get("alias", {}).get("aliasname")
    locked = place.locked
    if locked:
        locked = frozenset() if given in locked else None
    walk.field("RangeSubselect", body, "subquery", replace(place.nested(), locked=locked))
    if given is not None:
        walk.found.rows.add(given)


def function_in_from(walk: Walk, body: Node, place: Place) -> None:
    walk.parts("RangeFunction", body, place.nested(), without=("alias",))
    if "aliasname" in body.get("alias", {}):
        walk.found.rows.add(body["alias"]["aliasname"])


def table_expression(walk: Walk, body: Node, place: Place) -> None:
    """XMLTABLE and JSON_TABLE: what goes in may come out under any name, and its arguments are shown already."""
    walk.parts("TableExpression", body, place.nested(), without=("alias",))
    if "aliasname" in body.get("alias", {}):
        walk.found.rows.add(body["alias"]["aliasname"])


def with_names(walk: Walk, body: Node, place: Place) -> Place:
    """Walk the WITH clause of a statement, if it has one, and return the place in which its names are known."""
    clause = body.get("withClause")
    if not clause:
        return place
    ctes = [item["CommonTableExpr"] for item in clause.get("ctes", [])]
    known = place.ctes
    everything = known | {cte["ctename"] for cte in ctes}
    for cte in ctes:
        scope = everything if clause.get("recursive") else known
        inside = replace(place.nested(), ctes=scope, use="read", locked=None)
        walk.field("CommonTableExpr", cte, "ctequery", inside)
        known = known | {cte["ctename"]}
    return replace(place, ctes=known)


HANDLERS: dict[str, Handler] = {
    "RangeVar": range_var,
    "JoinExpr": join,
    "RangeSubselect": subselect,
    "RangeFunction": function_in_from,
    "RangeTableFunc": table_expression,
    "JsonTable": table_expression,
}
