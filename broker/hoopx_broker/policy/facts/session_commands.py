"""Statements about the session itself: transactions, settings, cursors, prepared statements, notifications."""

from __future__ import annotations

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.settings import literal, set_path, set_setting
from hoopx_broker.policy.facts.statement import Statement
from hoopx_broker.policy.facts.walk import Place, Walk

_TRANSACTIONS = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_RELEASE": "release",
    "TRANS_STMT_ROLLBACK_TO": "rollback-to",
}


def _transaction_kind(body: Node) -> str:
    return _TRANSACTIONS.get(body.get("kind", ""), "two-phase-commit")


def _transaction(walk: Walk, body: Node, place: Place) -> None:
    """A prepared transaction outlives the session that made it, and with it whoever may answer for it."""
    if body.get("kind") in _TRANSACTIONS:
        walk.found.actions.add("session")
    else:
        walk.found.actions.add("admin")
    for option in body.get("options", []):
        _characteristic(walk, "", option["DefElem"])


def _characteristic(walk: Walk, prefix: str, element: Node) -> None:
    """One of ISOLATION LEVEL, READ ONLY, READ WRITE, DEFERRABLE."""
    set_setting(walk, prefix + element["defname"], literal(element.get("arg", {})))


def _set_kind(body: Node) -> str:
    return "reset" if body.get("kind", "").startswith("VAR_RESET") else "set"


def _set(walk: Walk, body: Node, place: Place) -> None:
    kind, name = body.get("kind", ""), body.get("name", "all").lower()
    if kind == "VAR_SET_MULTI":
        prefix = "default_" if name == "session characteristics" else ""
        for item in body.get("args", []):
            if "DefElem" in item:
                _characteristic(walk, prefix, item["DefElem"])
            else:
                walk.found.setting(name.replace(" ", "_"))  # SET TRANSACTION SNAPSHOT
    elif kind in ("VAR_SET_VALUE", "VAR_SET_CURRENT"):
        values = [literal(argument) for argument in body.get("args", [])]
        if name == "search_path" and values:
            set_path(walk, values)
        else:
            set_setting(walk, name, values[0] if len(values) == 1 else None)
    else:
        walk.found.setting(name)


def _prepare(walk: Walk, body: Node, place: Place) -> None:
    walk.found.defines = body["name"]
    walk.field("PrepareStmt", body, "query", place)


def _execute(walk: Walk, body: Node, place: Place) -> None:
    walk.found.indirect = body["name"]
    walk.field("ExecuteStmt", body, "params", place.nested())


def _declare(walk: Walk, body: Node, place: Place) -> None:
    walk.found.defines = body["portalname"]
    walk.field("DeclareCursorStmt", body, "query", place)


def _fetch_kind(body: Node) -> str:
    return "move" if body.get("ismove") else "fetch"


def _fetch(walk: Walk, body: Node, place: Place) -> None:
    walk.found.indirect = body["portalname"]


def _explain(walk: Walk, body: Node, place: Place) -> None:
    """A plan shows names, never rows; judged as what it explains, since ANALYZE runs it."""
    if any(item["DefElem"]["defname"] == "analyze" for item in body.get("options", [])):
        walk.found.kinds.add("explain-analyze")
    walk.field("ExplainStmt", body, "query", place.hidden())


STATEMENTS: dict[str, Statement] = {
    "TransactionStmt": Statement(_transaction_kind, (), _transaction),
    "VariableSetStmt": Statement(_set_kind, ("set",), _set),
    "VariableShowStmt": Statement("show", ("session",)),
    "PrepareStmt": Statement("prepare", (), _prepare),
    "ExecuteStmt": Statement("execute", ("session",), _execute),
    "DeallocateStmt": Statement("deallocate", ("session",)),
    "DeclareCursorStmt": Statement("declare-cursor", (), _declare),
    "FetchStmt": Statement(_fetch_kind, ("session",), _fetch),
    "ClosePortalStmt": Statement("close", ("session",)),
    "ExplainStmt": Statement("explain", (), _explain),
    "ListenStmt": Statement("listen", ("session",)),
    "UnlistenStmt": Statement("unlisten", ("session",)),
    "NotifyStmt": Statement("notify", ("session",)),
    "DiscardStmt": Statement("discard", ("session",)),
    "ConstraintsSetStmt": Statement("set-constraints", ("session",)),
}
