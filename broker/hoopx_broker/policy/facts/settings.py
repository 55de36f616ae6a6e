"""Settings whose change a rule must see: what a session may be turned into by SET, BEGIN and set_config."""

from __future__ import annotations

import re
from typing import Any

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.walk import Walk
from hoopx_broker.terms.encodings import is_safe_encoding

_WHO_ONE_IS = ("role", "session_authorization")
_READ_ONLY = ("transaction_read_only", "default_transaction_read_only")
_ON = ("on", "true", "yes", "1", "t", "y")

# One name in a list: bare, which is folded to lower case, or quoted.
_NAME_IN_LIST = re.compile(r'\s*(?:([A-Za-z_$][\w$]*)|"((?:[^"]|"")+)")\s*')

# Values that drivers and tools set at their start, and that change nothing.
_INNOCENT = {"standard_conforming_strings": _ON}


def set_setting(walk: Walk, name: str, value: str | None) -> None:
    """`value` is None where it is computed, a list, or taken over (SET … FROM CURRENT)."""
    name = name.lower()
    if name == "search_path":
        _learn_path(walk, None if value is None else listed(value))
    elif name in _WHO_ONE_IS:
        walk.found.paths.append(None)  # "$user" in a path is another schema then
    if value is not None and value.lower() in _INNOCENT.get(name, ()):
        walk.found.actions.add("set")
        return
    walk.found.setting(name)
    value = value.lower() if value is not None else ""
    if name in _WHO_ONE_IS:
        walk.found.dangerous.add("role")
    elif name in _READ_ONLY and value not in _ON:
        walk.found.dangerous.add("read-write")
    elif name == "client_encoding" and not is_safe_encoding(value):
        walk.found.dangerous.add("encoding")


def set_path(walk: Walk, names: list[str | None]) -> None:
    """`SET search_path TO a, "b"`, where the grammar has told the names apart already."""
    known = tuple(name for name in names if name is not None)
    _learn_path(walk, known if len(known) == len(names) else None)
    walk.found.setting("search_path")
    if len(known) == 1:  # a start-up packet says it as one text
        _learn_path(walk, listed(known[0]) or known)


def _learn_path(walk: Walk, path: tuple[str, ...] | None) -> None:
    """A path that nobody can tell, or on which other names come before the server's own, takes certainty from names."""
    walk.found.paths.append(path)
    if path is None or "pg_temp" in path or "pg_catalog" in path[1:]:
        walk.found.dangerous.add("search-path")


def listed(value: str) -> tuple[str, ...] | None:
    """The names in a list that is one text, as `set_config` and start-up packets have it; None for an odd one."""
    if not value.strip():
        return ()
    names = [_NAME_IN_LIST.fullmatch(part) for part in value.split(",")]
    if not all(names):
        return None
    return tuple(found[2].replace('""', '"') if found[2] is not None else found[1].lower() for found in names if found)


def literal(argument: Node) -> str | None:
    """The text of a constant, cast or not; None for anything that is computed."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"]["arg"]
    constant = argument.get("A_Const", {})
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    text = argument.get("String") or constant.get("sval")
    return None if text is None else str(text.get("sval", ""))


_NAME = {"ColumnRef": {"fields": [{"String": {"sval": "name"}}]}}
_CALL = {
    "funcname": [{"String": {"sval": "set_config"}}],
    "args": [_NAME, "?", "?"],
    "funcformat": "COERCE_EXPLICIT_CALL",
}
_BY_CATALOG = {
    "targetList": [{"ResTarget": {"val": {"FuncCall": _CALL}}}],
    "fromClause": [{"RangeVar": {"relname": "pg_settings", "inh": True, "relpersistence": "p"}}],
    "whereClause": {"A_Expr": {"kind": "AEXPR_OP", "name": [{"String": {"sval": "="}}], "lexpr": _NAME, "rexpr": "?"}},
    "limitOption": "LIMIT_OPTION_DEFAULT",
    "op": "SETOP_NONE",
}


def set_by_catalog(query: Node) -> tuple[str, str] | None:
    """Name and value in `SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'`.

    pg_dump sets so what only some servers know. Nothing but just this is recognized.
    """
    if "fromClause" not in query:
        return None
    constants: list[str | None] = []
    if _shape(query, constants) != _BY_CATALOG:
        return None
    value, _, name = constants
    return None if name is None or value is None else (name, value)


def _shape(part: Any, constants: list[str | None]) -> Any:
    """The tree without places in the text, and with a mark for each constant."""
    if isinstance(part, list):
        return [_shape(item, constants) for item in part]
    if not isinstance(part, dict):
        return part
    if "A_Const" in part:
        constants.append(literal(part))
        return "?"
    return {name: _shape(value, constants) for name, value in part.items() if name != "location"}
