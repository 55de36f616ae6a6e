"""Read the outline of a statement off its tree: where values come from and go to, with names as they stand there."""

from __future__ import annotations

from msgspec import structs

from hoopx_broker.policy.facts.column_names import name_of
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.silent import makes_one_column
from hoopx_broker.policy.facts.values import Value, Values, merged
from hoopx_broker.policy.facts.walk import names, qualified
from hoopx_broker.terms.outline import (
    ALL,
    EVERY,
    Computed,
    Join,
    Outline,
    Output,
    Part,
    Reference,
    Source,
    Stored,
    Subquery,
    Table,
    Use,
    With,
)

# Statements that hold another one as their `query`.
_AROUND = frozenset({"ExplainStmt", "PrepareStmt", "DeclareCursorStmt", "CreateTableAsStmt", "ViewStmt"})
_SET_OPERATIONS: dict[str, Use] = {"SETOP_UNION": "group", "SETOP_INTERSECT": "equality", "SETOP_EXCEPT": "equality"}


def outline(node: Node) -> Outline | None:
    """The outline of a statement; None for one in which no query is."""
    ((kind, body),) = node.items()
    if kind in _AROUND:
        return outline(body["query"]) if body.get("query") else None
    if kind == "CopyStmt":
        return _copy(body)
    if kind == "IndexStmt":
        return _index(body)
    return query(node) if kind in _QUERIES else None


def query(node: Node) -> Outline:
    """SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE, wrapped in its kind as the grammar does."""
    ((kind, body),) = node.items()
    return _QUERIES[kind](body)


def _copy(body: Node) -> Outline | None:
    if body.get("query"):
        return query(body["query"])
    if body.get("is_from") or "relation" not in body:
        return None
    columns = names(body.get("attlist", []))
    outputs = tuple(Output(name, (Reference((name,)),), is_plain=True) for name in columns)
    table = structs.replace(_table(body["relation"]), is_copied=True)
    return Outline(outputs or (_star(),), (table,))


def _index(body: Node) -> Outline:
    """What an index computes of each row decides whether it can be made."""
    values = Values(query)
    for each in body.get("indexParams", []):
        values.use("computed", values.value(each["IndexElem"].get("expr")).parts)
    values.choice(body.get("whereClause"))
    return Outline((), (_table(body["relation"]),), values.used)


def _star() -> Output:
    return Output("", (Reference((ALL,)),), is_star=True)


# SELECT.


def _select(body: Node) -> Outline:
    if "larg" in body:
        return _set_operation(body)
    if "valuesLists" in body:
        return _values(body)
    values = Values(query)
    sources = tuple(_source(item, values) for item in body.get("fromClause", []))
    outputs = tuple(_output(item["ResTarget"], values) for item in body.get("targetList", []))
    values.choice(body.get("whereClause"))
    values.choice(body.get("havingClause"))
    _grouping(body, outputs, values)
    for item in body.get("windowClause", []):
        values.window(item["WindowDef"])
    _sorting(body, outputs, values)
    _limits(body, values)
    return Outline(outputs, sources, values.used, (), _withs(body), values.queries)


def _set_operation(body: Node) -> Outline:
    values = Values(query)
    arms = (_select(body["larg"]), _select(body["rarg"]))
    if not (body["op"] == "SETOP_UNION" and body.get("all")):
        values.use_output(_SET_OPERATIONS[body["op"]], EVERY)
    _sorting(body, _leftmost(arms[0]).outputs, values, of_arms=True)
    _limits(body, values)
    return Outline((), (), values.used, arms, _withs(body), values.queries)


def _leftmost(arm: Outline) -> Outline:
    return _leftmost(arm.arms[0]) if arm.arms else arm


def _values(body: Node) -> Outline:
    values = Values(query)
    rows = [[values.value(each) for each in row["List"]["items"]] for row in body["valuesLists"]]
    columns = tuple(
        _values_column(number, [row[number - 1] for row in rows if len(row) >= number])
        for number in range(1, max(map(len, rows)) + 1)
    )
    _sorting(body, columns, values)
    _limits(body, values)
    return Outline(columns, (), values.used, (), _withs(body), values.queries)


def _values_column(number: int, found: list[Value]) -> Output:
    """A list of several values is as good as a question for each of them."""
    is_constant = len(found) == 1 and found[0].is_constant
    return Output(f"column{number}", merged(value.parts for value in found), is_constant=is_constant)


def _output(target: Node, values: Values) -> Output:
    node = target.get("val", {})
    found = values.value(node)
    if _is_star(node):
        return Output("", found.parts, is_star=True)
    name = target.get("name") or name_of(node)
    return Output(name, found.parts, found.is_plain, is_constant=found.is_constant)


def _is_star(node: Node) -> bool:
    """`*`, `t.*` and `(t).*` by themselves; inside of an expression they are one row."""
    last = [*node.get("ColumnRef", {}).get("fields", []), *node.get("A_Indirection", {}).get("indirection", [])][-1:]
    return bool(last) and "A_Star" in last[0]


def _grouping(body: Node, outputs: tuple[Output, ...], values: Values) -> None:
    for item in body.get("groupClause", []):
        _group(item, outputs, values)
    for item in body.get("distinctClause", []):
        if item:  # DISTINCT ON sorts by them
            _sort(item, outputs, values)
        else:
            values.use_output("group", EVERY)


def _group(node: Node, outputs: tuple[Output, ...], values: Values) -> None:
    if "GroupingSet" in node or "RowExpr" in node:
        for each in node.get("GroupingSet", {}).get("content") or node.get("RowExpr", {}).get("args", []):
            _group(each, outputs, values)
        return
    meant = _meant(node, outputs)
    if "ColumnRef" in node and meant:
        values.group_by_name(node, meant[0])
        return
    for number in meant:
        values.use_output("group", number)
    values.group(node)


def _sorting(body: Node, outputs: tuple[Output, ...], values: Values, *, of_arms: bool = False) -> None:
    """ORDER BY. The answer of a set operation is sorted by its own columns only."""
    for item in body.get("sortClause", []):
        node = item["SortBy"]["node"]
        if not of_arms:
            _sort(node, outputs, values)
        elif any(output.is_star or not output.name for output in outputs):
            values.use_output("order", EVERY)
        else:
            for number in _meant(node, outputs) or [EVERY]:
                values.use_output("order", number)


def _sort(node: Node, outputs: tuple[Output, ...], values: Values) -> None:
    meant = _meant(node, outputs)
    for number in meant or _perhaps(node, outputs):
        values.use_output("order", number)
    if not meant:
        values.order(node)


def _perhaps(node: Node, outputs: tuple[Output, ...]) -> list[int]:
    """The outputs that a bare name may stand for, because nobody knows what the server calls them."""
    if len(names(node.get("ColumnRef", {}).get("fields", []))) != 1:
        return []
    return [number for number, output in enumerate(outputs, 1) if not output.name and not _is_of_rows(output)]


def _is_of_rows(output: Output) -> bool:
    """`*` and `t.*`, whose columns a bare name finds in FROM as well."""
    return output.is_star and isinstance(output.parts[0], Reference)


def _meant(node: Node, outputs: tuple[Output, ...]) -> list[int]:
    """The outputs that `1` or a bare name stands for. After a `*` nobody can count, so every one is meant."""
    constant = node.get("A_Const", {})
    if "ival" in constant:
        number = constant["ival"].get("ival", 0)
        counted = not any(output.is_star for output in outputs[:number])
        return [number if counted and 0 < number <= len(outputs) else EVERY]
    fields = names(node.get("ColumnRef", {}).get("fields", []))
    if len(fields) != 1:
        return []
    return [number for number, output in enumerate(outputs, 1) if output.name == fields[0]]


def _limits(body: Node, values: Values) -> None:
    for name in ("limitCount", "limitOffset"):
        values.use("computed", values.value(body.get(name)).parts)


def _withs(body: Node) -> tuple[With, ...]:
    clause = body.get("withClause", {})
    recursive = bool(clause.get("recursive"))
    return tuple(_with(item["CommonTableExpr"], is_recursive=recursive) for item in clause.get("ctes", []))


def _with(body: Node, *, is_recursive: bool) -> With:
    search, cycle = body.get("search_clause", {}), body.get("cycle_clause", {})
    more = [search.get("search_seq_column"), cycle.get("cycle_mark_column"), cycle.get("cycle_path_column")]
    columns = tuple(names(body.get("aliascolnames", [])))
    return With(body["ctename"], query(body["ctequery"]), columns, is_recursive, tuple(each for each in more if each))


# FROM.


def _source(node: Node, values: Values) -> Source:
    ((kind, body),) = node.items()
    alias = body.get("alias", {})
    name, columns = alias.get("aliasname", ""), tuple(names(alias.get("colnames", [])))
    match kind:
        case "RangeVar":
            return _table(body)
        case "RangeTableSample":
            values.use("computed", values.value([body.get("args", []), body.get("repeatable")]).parts)
            return _source(body["relation"], values)
        case "RangeSubselect":
            return Subquery(name, query(body["subquery"]), columns, bool(body.get("lateral")))
        case "JoinExpr":
            return _join(body, values, name, columns)
        case "RangeFunction":
            return _functions(body, values, name, columns)
        case _:
            parts = values.value([value for key, value in body.items() if key != "alias"]).parts
            values.use("computed", parts)
            return Computed(name, parts)


def _table(body: Node, *also: str) -> Table:
    alias = body.get("alias", {})
    name = also[0] if also else alias.get("aliasname") or body["relname"]
    columns = tuple(names(alias.get("colnames", [])))
    return Table(body.get("schemaname"), body["relname"], name, columns, is_aside=bool(also))


def _target(relation: Node) -> Table:
    return structs.replace(_table(relation), is_written=True)


def _join(body: Node, values: Values, alias: str, columns: tuple[str, ...]) -> Join:
    # What an alias hides is only in sight inside of the join, and so for its own condition.
    own = Values(query) if alias else values
    left, right = _source(body["larg"], own), _source(body["rarg"], own)
    own.choice(body.get("quals"))
    conditions, queries = (own.used, own.queries) if alias else ((), ())
    shared, using = tuple(names(body.get("usingClause", []))), body.get("join_using_alias", {}).get("aliasname", "")
    return Join(left, right, shared, bool(body.get("isNatural")), alias, columns, using, conditions, queries)


def _functions(body: Node, values: Values, alias: str, columns: tuple[str, ...]) -> Computed:
    calls = [item["List"]["items"][0] for item in body.get("functions", [])]
    parts = merged(values.value(each).parts for each in body.get("functions", []))
    values.use("computed", parts)
    defined = tuple(item["ColumnDef"]["colname"] for item in body.get("coldeflist", []))
    name = qualified(calls[0]["FuncCall"]["funcname"])[1] if len(calls) == 1 and "FuncCall" in calls[0] else ""
    last = ("ordinality",) if body.get("ordinality") else ()
    if defined:
        known: tuple[str, ...] | None = (*(columns or defined), *last)
    elif makes_one_column(name):
        known = columns if len(columns) > len(last) else ((columns or (alias or name,))[0], *last)
    else:
        known = None
    return Computed(alias or name, parts, known)


# Writes.


def _insert(body: Node) -> Outline:
    values = Values(query)
    relation = body["relation"]
    columns = [item["ResTarget"]["name"] for item in body.get("cols", [])]
    source = body.get("selectStmt")
    into = columns[0] if len(columns) == 1 else ALL
    stored = [_stored(relation, into, (values.inner(query(source)),))] if source else []
    conflict = body.get("onConflictClause", {})
    values.choice(conflict.get("whereClause"))
    stored += _assignments(relation, conflict.get("targetList", []), values)
    sources = (_target(relation), _table(relation, "excluded"))
    return _written(body, sources, values, stored)


def _update(body: Node) -> Outline:
    values = Values(query)
    sources = (_target(body["relation"]), *(_source(item, values) for item in body.get("fromClause", [])))
    stored = _assignments(body["relation"], body.get("targetList", []), values)
    values.choice(body.get("whereClause"))
    return _written(body, sources, values, stored)


def _delete(body: Node) -> Outline:
    values = Values(query)
    sources = (_target(body["relation"]), *(_source(item, values) for item in body.get("usingClause", [])))
    values.choice(body.get("whereClause"))
    return _written(body, sources, values, [])


def _merge(body: Node) -> Outline:
    values = Values(query)
    sources = (_source(body["sourceRelation"], values), _target(body["relation"]))
    values.choice(body.get("joinCondition"))
    stored: list[Stored] = []
    for item in body.get("mergeWhenClauses", []):
        when = item["MergeWhenClause"]
        values.choice(when.get("condition"))
        stored += _assignments(body["relation"], when.get("targetList", []), values)
        stored.append(_stored(body["relation"], ALL, values.value(when.get("values", [])).parts))
    return _written(body, sources, values, stored)


def _written(body: Node, sources: tuple[Source, ...], values: Values, stored: list[Stored]) -> Outline:
    clause = body.get("returningClause", {})
    renamed = [item["ReturningOption"].get("value", "") for item in clause.get("options", [])]
    rows = tuple(_table(body["relation"], name) for name in ("old", "new", *renamed) if name)
    outputs = tuple(_output(item["ResTarget"], values) for item in clause.get("exprs", []))
    kept = tuple(each for each in stored if each.parts)
    return Outline(outputs, (*sources, *rows), values.used, (), _withs(body), values.queries, kept)


def _assignments(relation: Node, targets: list[Node], values: Values) -> list[Stored]:
    found = []
    for item in targets:
        target = item["ResTarget"]
        subscripts = values.value(target.get("indirection", [])).parts
        values.use("computed", subscripts)
        found.append(_stored(relation, target.get("name", ALL), values.value(target.get("val", {})).parts))
    return found


def _stored(relation: Node, column: str, parts: tuple[Part, ...]) -> Stored:
    return Stored(relation.get("schemaname"), relation["relname"], column, parts)


_QUERIES = {
    "SelectStmt": _select,
    "InsertStmt": _insert,
    "UpdateStmt": _update,
    "DeleteStmt": _delete,
    "MergeStmt": _merge,
}
