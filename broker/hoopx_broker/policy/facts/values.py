"""What an expression is made of, and what the values in it decide: read off the tree, names not yet looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.silent import is_silent, makes_rows
from hoopx_broker.policy.facts.walk import names, qualified
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.outline import ALL, Call, Field, Inner, Outline, Part, Reference, Use, Used

_COMPARISONS: dict[str, Use] = {
    **dict.fromkeys(("=", "<>", "!="), "equality"),
    **dict.fromkeys(("<", ">", "<=", ">="), "range"),
    **dict.fromkeys(("~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*", "^@", "@@", "@@@"), "pattern"),
    **dict.fromkeys(("@>", "<@", "?", "?|", "?&", "@?", "&&"), "pattern"),
    **dict.fromkeys(("+", "-", "*", "/", "%", "^", "|/", "||/", "@", "&", "|", "#", "<<", ">>"), "arithmetic"),
}
# Operators that give a value for any operands, and raise no error.
_SILENT_OPERATORS = frozenset({"||", "->", "->>", "#>", "#>>"})
_KINDS: dict[str, Use] = {
    "AEXPR_LIKE": "pattern",
    "AEXPR_ILIKE": "pattern",
    "AEXPR_SIMILAR": "pattern",
    "AEXPR_BETWEEN": "range",
    "AEXPR_NOT_BETWEEN": "range",
    "AEXPR_BETWEEN_SYM": "range",
    "AEXPR_NOT_BETWEEN_SYM": "range",
    "AEXPR_DISTINCT": "equality",
    "AEXPR_NOT_DISTINCT": "equality",
    "AEXPR_NULLIF": "equality",
}
# Types whose text is the value itself, so that a cast to them neither fails nor changes what is compared.
_TEXTS = frozenset((schema, name) for schema in (None, "pg_catalog") for name in ("text", "varchar", "bpchar"))
_SEARCHES = frozenset(
    [
        "json_extract_path",
        "json_extract_path_text",
        "jsonb_extract_path",
        "jsonb_extract_path_text",
        "regexp_match",
        "regexp_substr",
    ]
)
# Expressions that give a value for any values inside of them.
_SILENT_NODES = frozenset(
    [
        "CoalesceExpr",
        "GroupingFunc",
        "List",
        "MinMaxExpr",
        "NamedArgExpr",
    ]
)


class Value(NamedTuple):
    """Its parts; is it a copy of its one part, is comparing it comparing that part, is it a value that is said?

    `is_nullable` where the values in it decide whether there is one, `is_array` where it may be an array, whose form
    they decide, `is_collated` where a collation says what equals what.
    """

    parts: tuple[Part, ...] = ()
    is_plain: bool = False
    is_comparable: bool = False
    is_constant: bool = False
    is_nullable: bool = False
    is_array: bool = False
    is_collated: bool = False


NOTHING = Value()
Handler = Callable[["Values", Any], Value]


def merged(parts: Iterable[tuple[Part, ...]]) -> tuple[Part, ...]:
    return tuple(dict.fromkeys(part for each in parts for part in each))


class Values:
    """Reads the expressions of one query. `query` reads a subquery; `used` grows with what decides something."""

    def __init__(self, query: Callable[[Node], Outline]) -> None:
        self._query = query
        self._used: dict[Used, None] = {}
        self._queries: list[Outline] = []
        # A condition in the answer is looked at twice, as one and as a value: one inside of n others 2^n times.
        self._read: dict[int, Value] = {}
        self._chosen: set[int] = set()

    @property
    def used(self) -> tuple[Used, ...]:
        return tuple(self._used)

    @property
    def queries(self) -> tuple[Outline, ...]:
        return tuple(self._queries)

    def use(self, use: Use, parts: Iterable[Part], against: tuple[Part, ...] = ()) -> None:
        for part in parts:
            self._used[Used(use, part, 0, against)] = None

    def use_output(self, use: Use, column: int) -> None:
        self._used[Used(use, None, column)] = None

    def inner(self, query: Outline) -> Inner:
        """A part that stands for all columns of a subquery."""
        self._queries.append(query)
        return Inner(len(self._queries) - 1)

    def value(self, node: Any) -> Value:
        """An expression whose value goes somewhere: into the answer, a column, another expression."""
        if isinstance(node, list):
            return _joined([self.value(item) for item in node])
        if not isinstance(node, dict) or not node:
            return NOTHING
        if id(node) not in self._read:
            self._read[id(node)] = self._value(node)
        return self._read[id(node)]

    def _value(self, node: Node) -> Value:
        if len(node) == 1:
            ((kind, body),) = node.items()
            if kind in _HANDLERS:
                return _HANDLERS[kind](self, body)
            if kind[0].isupper():
                return self._inside(kind, body)
        return self.value(list(node.values()))

    def _inside(self, kind: str, body: Any) -> Value:
        found = self.value(list(body.values()) if isinstance(body, dict) else body)
        if kind not in _SILENT_NODES or found.is_nullable:
            self.use("computed", found.parts)
        return found

    def array(self, body: Node) -> Value:
        """Arrays in an array must be of one form."""
        found = [self.value(each) for each in body.get("elements", [])]
        if any(each.is_array for each in found):
            self.use("computed", merged(each.parts for each in found))
        return _joined(found)._replace(is_array=True)

    def choice(self, node: Any) -> None:
        """A condition: whatever it looks at decides which rows there are."""
        if not isinstance(node, dict) or not node or id(node) in self._chosen:
            return
        self._chosen.add(id(node))
        ((kind, body),) = node.items()
        if kind in ("BoolExpr", "BooleanTest"):
            arguments = body.get("args", []) if kind == "BoolExpr" else [body.get("arg")]
            for each in arguments:
                self.choice(each)
            return
        found = self.value(node)
        if kind in ("A_Expr", "NullTest") or (kind == "SubLink" and body["subLinkType"] in _TESTS):
            return  # these say themselves how their operands are used
        self.use("equality" if found.is_comparable else "computed", found.parts)

    def group(self, node: Any) -> None:
        """GROUP BY: equal values come together."""
        found = self.value(node)
        self.use("group" if found.is_comparable else "computed", found.parts)

    def group_by_name(self, node: Any, column: int) -> None:
        """A bare name that is also one of an output."""
        for part in self.value(node).parts:
            self._used[Used("group", part, column)] = None

    def order(self, node: Any) -> None:
        if isinstance(node, dict) and "NullTest" in node:
            self.choice(node)
        else:
            self.use("order", self.value(node).parts)

    def window(self, body: Node) -> None:
        # The server sorts by both.
        for each in (*body.get("partitionClause", []), *body.get("orderClause", [])):
            self.order(each)
        self.use("computed", self.value([body.get("startOffset"), body.get("endOffset")]).parts)

    # What the nodes mean. Each takes the body of its kind.

    def reference(self, body: Node) -> Value:
        found = names(body["fields"])
        star = any("A_Star" in field for field in body["fields"])
        part = Reference((*found, ALL) if star else tuple(found))
        return Value((part,), is_plain=not star, is_comparable=not star)

    def indirection(self, body: Node) -> Value:
        """`(c).email`, `(c).*`, `a[1]`."""
        steps, argument = body["indirection"], body.get("arg", {})
        index = self.value([step for step in steps if "A_Indices" in step])
        self.use("computed", index.parts)
        fields = argument.get("ColumnRef", {}).get("fields", [])
        is_row = bool(fields) and not any("A_Star" in field for field in fields)
        if is_row and len(steps) == 1 and "A_Indices" not in steps[0]:
            column = ALL if "A_Star" in steps[0] else names(steps)[0]
            return Value((Field(tuple(names(fields)), column),))
        found = self.value(argument)
        if names(steps):  # a dot calls any function of one argument
            self.use("computed", found.parts)
        return Value(merged((found.parts, index.parts)), is_nullable=True)

    def call(self, body: Node) -> Value:
        schema, name = qualified(body["funcname"])
        values = [self.value(each) for each in body.get("args", [])]
        arguments = [value.parts for value in values]
        ordered = [self.value(each.get("SortBy", {}).get("node")).parts for each in body.get("agg_order", [])]
        for parts in ordered:
            self.use("order", parts)
        parts = merged([*arguments, *(ordered if body.get("agg_within_group") else ())])
        self.choice(body.get("agg_filter"))
        if "over" in body:
            self.window(body["over"])
        if body.get("agg_distinct"):
            self.use("group", parts)
        if not is_harmless(FunctionName(schema, name)):
            self.use("computed", parts)
            return Value((Call(schema, name), *parts))
        for number, each in enumerate(values):
            # Another function than `concat` may fail beside a NULL, and not beside a value, or the other way round.
            if not is_silent(name, number, len(values)) or (each.is_nullable and not name.startswith("concat")):
                self.use("computed", each.parts)
            if name == "array_agg" and each.is_array:
                self.use("computed", each.parts)
        if makes_rows(name):
            self.use("computed", parts)
        return Value(parts, is_nullable=_is_nullable(name, body), is_array="array" in name)

    def operator(self, body: Node) -> Value:
        operands = [*self._operands(body.get("lexpr")), *self._operands(body.get("rexpr"))]
        use = _use_of(body)
        if use is None and any(each.is_array for each in operands):
            use = "computed"
        if use is not None:
            self._compare(use, operands)
        found = _joined(operands)._replace(is_nullable=use is None and names(body["name"]) != ["||"])
        if len(body.get("name", [])) > 1 and qualified(body["name"])[0] != "pg_catalog":
            # Whatever function that schema has for it: as views are told, the target's own operators all look so.
            found = found._replace(parts=(Call(*qualified(body["name"])), *found.parts))
        return found

    def _compare(self, use: Use, operands: list[Value]) -> None:
        # Lists may be long, and nearly all of what is in them are constants.
        made = [each for each in operands if each.parts]
        unsaid = [each for each in operands if not _is_said(each)]
        for each in made:
            if use != "equality":
                self.use(use, each.parts)
            elif not each.is_comparable or any(other is not each for other in unsaid):
                self.use("computed", each.parts)
            else:
                self.use(use, each.parts, merged(other.parts for other in made if other is not each))

    def _operands(self, node: Any) -> list[Value]:
        """One operand, or those of a list: `IN (…)`, `BETWEEN … AND …`."""
        if isinstance(node, list):
            return [self.value(each) for each in node]
        if isinstance(node, dict) and "List" in node:
            return [self.value(each) for each in node["List"].get("items", [])]
        return [self.value(node)] if node else []

    def cast(self, body: Node) -> Value:
        found = self.value(body.get("arg"))
        kind = body.get("typeName", {})
        # `public.text` is whatever that schema has.
        is_text = bool(kind.get("names")) and qualified(kind["names"]) in _TEXTS
        is_same = found.is_comparable and is_text and not _shortens(kind)
        if not is_text or "arrayBounds" in kind:
            self.use("cast", found.parts)
        return found._replace(is_plain=False, is_comparable=is_same or found.is_constant)

    def subquery(self, body: Node) -> Value:
        inner = self.inner(self._query(body["subselect"]))
        kind = body["subLinkType"]
        if kind == "EXISTS_SUBLINK":  # that there is a row shows nothing of it
            return NOTHING
        if kind not in ("ANY_SUBLINK", "ALL_SUBLINK"):
            return Value((inner,), is_comparable=kind == "EXPR_SUBLINK")
        tested, listed = self.value(body.get("testexpr")), body["subselect"].get("SelectStmt", {})
        if "valuesLists" in listed and not self.queries[inner.number].queries:
            # `IN (VALUES …)` is a list as any other.
            self._compare("equality", [tested, Value(is_comparable=True)])
        else:
            operator = names(body.get("operName", []))[-1:] or ["="]
            use = _COMPARISONS.get(operator[0], "computed")
            self._compare(use, [tested, Value((inner,), is_comparable=True)])
        return Value(merged((tested.parts, (inner,))))

    def case(self, body: Node) -> Value:
        tested = self.value(body.get("arg"))
        parts = [tested.parts]
        for each in body.get("args", []):
            when = each["CaseWhen"]
            condition = self._case_condition(when.get("expr"), tested)
            parts += [condition, self.value(when.get("result")).parts]
        return Value(merged([*parts, self.value(body.get("defresult")).parts]), is_nullable=True)

    def _case_condition(self, node: Any, tested: Value) -> tuple[Part, ...]:
        if not tested.parts:
            self.choice(node)
            return self.value(node).parts
        compared = self.value(node)
        self._compare("equality", [tested, compared])
        return compared.parts

    def null_test(self, body: Node) -> Value:
        found = self.value(body.get("arg"))
        self.use("null" if found.is_comparable else "computed", found.parts)
        return Value(found.parts)

    def row(self, body: Node) -> Value:
        found = [self.value(each) for each in body.get("args", [])]
        return Value(merged(each.parts for each in found), is_comparable=all(each.is_comparable for each in found))

    def boolean(self, body: Node) -> Value:
        """AND, OR, NOT and IS TRUE where their value is shown: its operands are conditions all the same."""
        arguments = body.get("args", [body.get("arg")])
        for each in arguments:
            self.choice(each)
        return self.value(arguments)

    def sort_by(self, body: Node) -> Value:
        return self.value(body.get("node"))

    def collate(self, body: Node) -> Value:
        """Another collation may call other values equal."""
        return Value(self.value(body.get("arg")).parts, is_collated=True)

    def constant(self, _body: Any) -> Value:
        return Value(is_comparable=True, is_constant=True)

    def nothing(self, _body: Any) -> Value:
        return NOTHING


_TESTS = ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK")


def _use_of(body: Node) -> Use | None:
    """How an operator uses what it is given; None where it only makes a value of it."""
    kind, operator = body.get("kind", "AEXPR_OP"), names(body.get("name", []))
    if kind in _KINDS:
        return _KINDS[kind]
    if len(operator) != 1:  # `OPERATOR(schema.=)` is whatever that schema has
        return "computed"
    if kind == "AEXPR_OP" and operator[0] in _SILENT_OPERATORS:
        return None
    is_prefix = "lexpr" not in body
    return "arithmetic" if is_prefix and operator[0] == "~" else _COMPARISONS.get(operator[0], "computed")


def _joined(found: list[Value]) -> Value:
    """What several values are made of together."""
    parts = merged(each.parts for each in found)
    return Value(
        parts,
        is_nullable=any(each.is_nullable for each in found),
        is_array=any(each.is_array for each in found),
        is_collated=any(each.is_collated for each in found),
    )


def _is_said(value: Value) -> bool:
    """Is it one value, or a column as it is? What is computed of columns may be any of many."""
    return (not value.parts or value.is_comparable) and not value.is_collated


def _is_nullable(name: str, body: Node) -> bool:
    """Does it look for something in a value, and give NULL where it is not?"""
    if name == "substring":  # with a pattern, not with a place
        return any("sval" in each.get("A_Const", {}) for each in body.get("args", [])[1:])
    return name in _SEARCHES


def _shortens(kind: Node) -> bool:
    """`varchar(1)` is the first letter."""
    return bool(kind.get("typmods"))


_HANDLERS: dict[str, Handler] = {
    "ColumnRef": Values.reference,
    "A_Indirection": Values.indirection,
    "FuncCall": Values.call,
    "A_Expr": Values.operator,
    "TypeCast": Values.cast,
    "SubLink": Values.subquery,
    "CaseExpr": Values.case,
    "NullTest": Values.null_test,
    "RowExpr": Values.row,
    "A_ArrayExpr": Values.array,
    "BoolExpr": Values.boolean,
    "BooleanTest": Values.boolean,
    "SortBy": Values.sort_by,
    "CollateClause": Values.collate,
    **dict.fromkeys(("A_Const", "ParamRef", "SQLValueFunction"), Values.constant),
    **dict.fromkeys(
        (
            "SetToDefault",
            "CurrentOfExpr",
            "MergeSupportFunc",
            "String",
            "Integer",
            "TypeName",
            "Alias",
            "JsonFormat",
        ),
        Values.nothing,
    ),
}
