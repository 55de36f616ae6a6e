"""Look into DO blocks: what PL/pgSQL would run is read like any other statement, unless it makes it up as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hoopx_broker.policy.facts.grammar import blocks, part
from hoopx_broker.policy.facts.guards import Refused
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.walk import Place, Walk, text_of

_LANGUAGE = "plpgsql"
# Parts of PL/pgSQL that hold a text which is run: EXECUTE, FOR … IN EXECUTE, RETURN QUERY EXECUTE, OPEN … FOR EXECUTE.
_DYNAMIC = frozenset({"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "dynquery"})


def do(walk: Walk, body: Node, place: Place) -> None:
    """Statements and expressions of the block count as said here; what nobody can read may do anything to structure."""
    options = {item["DefElem"]["defname"]: text_of(item["DefElem"]) for item in body.get("args", [])}
    walk.found.dangerous.add("do-block")
    try:
        if options.get("language", _LANGUAGE).lower() != _LANGUAGE:
            raise Refused("another language")
        _inside(walk, blocks(_statement(options.get("as", ""))), place.hidden())
    except Refused:
        _unknown(walk)


def _unknown(walk: Walk) -> None:
    walk.found.actions.add("ddl")
    walk.found.dangerous.add("dynamic-sql")
    walk.found.paths.append(None)


def _inside(walk: Walk, tree: list[Node], place: Place) -> None:
    for name, value in _parts(tree):
        if name in _DYNAMIC:
            _unknown(walk)
        if name == "PLpgSQL_expr":
            for node in part(value["query"].encode(), value.get("parseMode", 0)):
                walk.wrapped(node, place)


def _parts(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _parts(item)
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield name, value
            yield from _parts(value)


def _statement(block: str) -> bytes:
    """The block as a DO statement of its own, in a dollar quote that it does not hold itself."""
    tag = "$hoopx$"
    while tag in block:
        tag = f"{tag[:-1]}x$"
    return f"DO {tag}{block}{tag}".encode()


def assignment(walk: Walk, body: Node, place: Place) -> None:
    """`variable := expression`."""
    walk.parts("PLAssignStmt", {"indirection": body.get("indirection", [])}, place)
    walk.field("PLAssignStmt", body, "val", place)
