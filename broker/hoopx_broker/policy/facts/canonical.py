"""Write statements again from what their grammar has read, so that comments, layout and odd spellings hide nothing."""

from __future__ import annotations

from typing import Any

from postgast.native import PgQueryDeparseResult, lib

from hoopx_broker.policy.facts.grammar import statements
from hoopx_broker.policy.facts.guards import Refused, guard

# Where something stood in the text is no part of what it says.
_PLACES = ("location", "stmt_len", "list_start", "list_end")


def canonical(text: bytes) -> str:
    """Each statement of `text` on lines of its own; empty where one cannot be written so that it reads the same.

    Read again, it gives the same tree as the text. Never raises; like `sql.read` only for `facts.child`.
    """
    try:
        guard(text)
        read = statements(text)
        written = [_written(own) for own, _ in read]
        again = statements(";\n".join(written).encode())
    except (Refused, RecursionError, MemoryError, ValueError):
        return ""
    is_same = [_meaning(node) for _, node in read] == [_meaning(node) for _, node in again]
    return ";\n".join(written) if is_same else ""


def _written(statement: bytes) -> str:
    """Raises `ValueError` for what the library cannot write."""
    parsed = lib.pg_query_parse_protobuf(statement)
    try:
        if parsed.error:
            raise ValueError("it cannot be read")
        return _deparsed(lib.pg_query_deparse_protobuf(parsed.parse_tree))
    finally:
        lib.pg_query_free_protobuf_parse_result(parsed)


def _deparsed(result: PgQueryDeparseResult) -> str:
    try:
        if result.error:
            raise ValueError("it cannot be written")
        return bytes(result.query).decode()
    finally:
        lib.pg_query_free_deparse_result(result)


def _meaning(node: Any) -> Any:
    """A tree without the places of its parts in the text."""
    if isinstance(node, dict):
        return {name: _meaning(part) for name, part in node.items() if not name.endswith(_PLACES)}
    return [_meaning(part) for part in node] if isinstance(node, list) else node
