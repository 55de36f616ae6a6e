"""How the server names a column that nobody named, as `FigureColname` does in PostgreSQL's parse_target.c."""

from __future__ import annotations

from typing import Any

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.walk import names, qualified

# How sure the server is of a name: a weak one gives way to that of a type around it.
_NONE, _WEAK, _STRONG = 0, 1, 2
_NO_NAME = "?column?"
_SUBLINKS = {"EXISTS_SUBLINK": ("exists", _STRONG), "ARRAY_SUBLINK": ("array", _STRONG)}
_NAMES = {
    "A_ArrayExpr": ("array", _STRONG),
    "A_Const": (_NO_NAME, _NONE),
    "BoolExpr": (_NO_NAME, _NONE),
    "BooleanTest": (_NO_NAME, _NONE),
    "CoalesceExpr": ("coalesce", _STRONG),
    "NullTest": (_NO_NAME, _NONE),
    "ParamRef": (_NO_NAME, _NONE),
    "RowExpr": ("row", _STRONG),
}


def name_of(node: Any) -> str:
    """The name of an expression; empty for kinds of them where it is not known."""
    return _named(node)[0]


def _named(node: Any) -> tuple[str, int]:
    if not isinstance(node, dict) or not node:
        return _NO_NAME, _NONE
    ((kind, body),) = node.items()
    match kind:
        case "ColumnRef":
            return names(body["fields"])[-1], _STRONG
        case "A_Indirection":
            fields = names(body["indirection"])
            return (fields[-1], _STRONG) if fields else _named(body.get("arg"))
        case "FuncCall":
            return qualified(body["funcname"])[1], _STRONG
        case "TypeCast":
            name, strength = _named(body.get("arg"))
            return (names(body["typeName"]["names"])[-1], _WEAK) if strength <= _WEAK else (name, strength)
        case "CollateClause":
            return _named(body.get("arg"))
        case "CaseExpr":
            name, strength = _named(body.get("defresult"))
            return ("case", _WEAK) if strength <= _WEAK else (name, strength)
        case "A_Expr":
            return ("nullif", _STRONG) if body.get("kind") == "AEXPR_NULLIF" else (_NO_NAME, _NONE)
        case "SubLink" if body["subLinkType"] == "EXPR_SUBLINK":
            return _first_name(body["subselect"]["SelectStmt"]), _STRONG
        case "SubLink":
            return _SUBLINKS.get(body["subLinkType"], (_NO_NAME, _NONE))
        case "MinMaxExpr":
            return ("least" if body.get("op") == "IS_LEAST" else "greatest"), _STRONG
        case _:
            return _NAMES.get(kind, ("", _STRONG))


def _first_name(query: Node) -> str:
    """What the one column of a subquery is called; empty where only the catalog knows."""
    while "larg" in query:
        query = query["larg"]
    if "valuesLists" in query:
        return "column1"
    for item in query.get("targetList", []):
        target = item["ResTarget"]
        fields = target.get("val", {}).get("ColumnRef", {}).get("fields", [])
        is_star = any("A_Star" in field for field in fields)
        return "" if is_star else target.get("name") or name_of(target.get("val"))
    return ""
