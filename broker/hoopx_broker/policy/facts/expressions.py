"""What the parts of expressions mean: references to columns and rows, calls, operators, subqueries."""

from __future__ import annotations

from typing import Any

from hoopx_broker.policy.facts.functions import takes_rows
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.scopes import everything, mention
from hoopx_broker.policy.facts.settings import literal, set_setting
from hoopx_broker.policy.facts.walk import Handler, Place, Walk, names, qualified
from hoopx_broker.terms.facts import ColumnAction, TableName

# Functions whose arguments come out elsewhere than in the answer: in a setting, a notification, the table of locks.
_OUTLETS = ("set_config", "pg_notify", "pg_advisory", "pg_try_advisory", "setseed")


def is_star(reference: Node) -> bool:
    """`*` or `t.*`."""
    return "A_Star" in reference["fields"][-1]


def column_ref(walk: Walk, body: Node, place: Place) -> None:
    found = walk.found
    if is_star(body):
        found.stars = True
        found.mentions.update(everything(place.scope, names(body["fields"])))
        # A bare star among the columns of a SELECT is seen to there; here it stands inside an expression.
        found.whole_rows |= place.shown
        return
    fields = names(body["fields"])
    mentions = mention(place.scope, fields)
    found.mentions.update(mentions)
    if len(fields) > 1:
        if not mentions:
            found.dotted.add(fields[-1])
        found.attribute(fields[-1])
        found.whole_rows |= place.shown and takes_rows(fields[-1])
    walk.found.mentioned.add(fields[-1])
    if place.shown:
        found.references.add(fields[-1])


def indirection(walk: Walk, body: Node, place: Place) -> None:
    """`(c).email`, `(c).*`, `a[1]`: a field of a row, all of them, an element."""
    for step in body["indirection"]:
        for name in names([step]):
            walk.found.attribute(name)
            walk.found.dotted.add(name)
            walk.found.mentioned.add(name)
        if "A_Star" in step:
            walk.found.whole_rows |= place.shown
    walk.parts("A_Indirection", {"steps": [step for step in body["indirection"] if "A_Indices" in step]}, place)
    walk.field("A_Indirection", body, "arg", place)


def function_call(walk: Walk, body: Node, place: Place) -> None:
    schema, name = qualified(body["funcname"])
    walk.found.function(schema, name)
    arguments = body.get("args", [])
    if len(arguments) == 1:
        walk.found.mentioned.add(name)  # `email(customers)` is `customers.email`
    _act(walk, name, arguments)
    # WITHIN GROUP (ORDER BY x) gives back an x, so the order of an aggregate counts as its argument.
    walk.parts("FuncCall", body, place, without=("funcname", "agg_filter", "over"))
    walk.field("FuncCall", body, "agg_filter", place.hidden())
    walk.field("FuncCall", body, "over", place.hidden())


def _act(walk: Walk, name: str, arguments: list[Node]) -> None:
    """Functions that are statements in disguise."""
    found = walk.found
    name_given = literal(arguments[0]) if arguments else None
    if name == "set_config":
        found.actions.add("set")
        if name_given is None:
            found.actions.add("call")
            found.dangerous.add("set-config")
            found.paths.append(None)
        else:
            set_setting(walk, name_given, literal(arguments[1]) if len(arguments) > 1 else None)
    elif name in ("nextval", "setval"):
        _advance(walk, name_given)
    elif name == "pg_notify":
        found.actions.add("session")
    if name.startswith(_OUTLETS) and _looks_at_rows(arguments):
        found.dangerous.add("side-channel")


def _looks_at_rows(part: Any) -> bool:
    if isinstance(part, list):
        return any(_looks_at_rows(item) for item in part)
    if not isinstance(part, dict):
        return False
    return "ColumnRef" in part or "SubLink" in part or any(_looks_at_rows(value) for value in part.values())


def _advance(walk: Walk, sequence: str | None) -> None:
    """A sequence is written to; one that is not named by a constant could be any."""
    if sequence is None:
        walk.found.actions.add("call")
        return
    schema, _, name = sequence.rpartition(".")
    walk.found.table(schema.strip('"') or None, name.strip('"'), "update")


def operator(walk: Walk, body: Node, place: Place) -> None:
    """`a OPERATOR(schema.+) b` is a function of that schema's owner; a bare one is whatever the catalog has."""
    _operator(walk, body.get("name", []))
    walk.parts("A_Expr", body, place, without=("name",))


def _operator(walk: Walk, items: list[Node]) -> None:
    if len(items) > 1:
        schema, name = qualified(items)
        if schema != "pg_catalog":
            walk.found.function(schema, name)
    else:
        walk.found.operators.update(names(items))


def sublink(walk: Walk, body: Node, place: Place) -> None:
    """A subquery in an expression. EXISTS tells only whether there is a row, never what is in it."""
    inner = place.hidden() if body.get("subLinkType") == "EXISTS_SUBLINK" else place.nested()
    walk.field("SubLink", body, "testexpr", place.nested())
    walk.field("SubLink", body, "subselect", inner.using("read"))
    _operator(walk, body.get("operName", []))


def sort_by(walk: Walk, body: Node, place: Place) -> None:
    """`ORDER BY x USING <`: an operator as well."""
    _operator(walk, body.get("useOp", []))
    walk.field("SortBy", body, "node", place)


def type_name(walk: Walk, body: Node, place: Place) -> None:
    """A cast to a type, or a column of it, may call functions that the catalog knows."""
    walk.found.types.update(names(body.get("names", []))[-1:])
    walk.field("TypeName", body, "typmods", place)


def window(walk: Walk, body: Node, place: Place) -> None:
    """PARTITION BY, ORDER BY and frames choose rows; they show none."""
    walk.parts("WindowDef", body, place.hidden())


def column_target(walk: Walk, body: Node, place: Place) -> None:
    """One column of an answer, or one value of a list."""
    value = body.get("val", {})
    reference = value.get("ColumnRef")
    if reference is not None and is_star(reference):
        walk.found.stars = True
        walk.found.mentions.update(everything(place.scope, names(reference["fields"])))
        walk.found.whole_rows |= place.shown and not place.top
        return
    walk.field("ResTarget", body, "val", place.nested())


def assignment(walk: Walk, body: Node, place: Place, table: TableName, action: ColumnAction) -> None:
    """`column = value` of UPDATE, or one name of an INSERT's column list."""
    if "name" in body:
        walk.found.mentioned.add(body["name"])
        walk.found.column(table, body["name"], action)
    walk.parts("ResTarget", {"indirection": body.get("indirection", [])}, place)
    walk.field("ResTarget", body, "val", place.nested())


HANDLERS: dict[str, Handler] = {
    "ColumnRef": column_ref,
    "A_Indirection": indirection,
    "FuncCall": function_call,
    "A_Expr": operator,
    "SubLink": sublink,
    "SortBy": sort_by,
    "TypeName": type_name,
    "WindowDef": window,
    "ResTarget": column_target,
}
